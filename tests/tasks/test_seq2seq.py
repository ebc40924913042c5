"""Sources and targets, and the loss on the targets alone."""

import pytest
import torch
import transformers
from tiny_models import make_byte_level_tokenizer

from ftkit.errors import MetricError
from ftkit.tasks import Encoding, LossOptions, seq2seq

ROWS = [
    {"source": "the cat sat on the mat", "target": "cat on mat"},
    {"source": "床前明月光，疑是地上霜", "target": "月光如霜"},
    {"source": "hello", "target": "hello world, this is a good day"},
]
SENTINELS = [f"<extra_id_{number}>" for number in range(20)]


@pytest.fixture(scope="module")
def tokenizer():
    return make_byte_level_tokenizer(["<pad>", "</s>", *SENTINELS], eos_token="</s>", pad_token="<pad>")


def encode(tokenizer, rows=ROWS, **settings):
    rejected = []
    encoding = Encoding(**{"max_tokens": 60, "too_long": "truncate", **settings})
    examples = list(
        seq2seq.encode(enumerate(rows), tokenizer, encoding, lambda *entry: rejected.append(entry))
    )
    return examples, rejected, encoding


def load(folder):
    return transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()


def test_the_source_is_read_with_its_prefix_and_the_target_ends_with_the_end_token(tokenizer):
    examples, rejected, _ = encode(tokenizer, source_prefix="summarize: ")
    assert tokenizer.decode(examples[1]["input_ids"]) == "summarize: 床前明月光，疑是地上霜"
    assert tokenizer.decode(examples[1]["labels"]) == "月光如霜</s>"
    assert rejected == []


def test_an_end_token_of_the_tokenizers_own_is_not_doubled(tiny_bart):
    from tokenizers.processors import TemplateProcessing

    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_bart)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    examples, _, _ = encode(tokenizer)
    assert examples[0]["labels"][0] == 0
    assert examples[0]["labels"].count(2) == 1


def test_the_tokens_of_both_sides_are_counted(tokenizer):
    for example in encode(tokenizer)[0]:
        assert example["num_tokens"] == len(example["input_ids"]) + len(example["labels"])


def test_what_is_too_long_is_cut_on_the_right_and_a_cut_target_has_no_end(tokenizer):
    whole, _, _ = encode(tokenizer)
    cut, rejected, _ = encode(tokenizer, max_tokens=7, max_target_tokens=9)
    assert cut[0]["input_ids"] == whole[0]["input_ids"][:7]
    assert cut[2]["labels"] == whole[2]["labels"][:9]
    assert tokenizer.eos_token_id not in cut[2]["labels"]
    assert {entry[:2] for entry in rejected} >= {(0, "too_long:truncate"), (2, "target_too_long:truncate")}
    assert any("(data.max_target_tokens)" in entry[2] for entry in rejected)


@pytest.mark.parametrize("too_long", ["drop", "error"])
def test_other_choices_for_long_rows_are_followed(tokenizer, too_long):
    length = len(encode(tokenizer)[0][2]["labels"])
    examples, rejected, _ = encode(tokenizer, max_target_tokens=length - 1, too_long=too_long)
    assert [example["row"] for example in examples] == [0, 1]
    assert [entry[:2] for entry in rejected] == [(2, f"target_too_long:{too_long}")]


@pytest.mark.parametrize("target", [None, "", "  "])
def test_a_row_without_a_target_is_refused_unless_it_is_to_be_answered(target):
    row = {"source": "a", "target": target}
    assert "nothing to learn" in seq2seq.check_row(row, Encoding(9, "drop"))
    assert seq2seq.check_row(row, Encoding(9, "drop", labelled=False)) is None
    assert seq2seq.check_row(row, Encoding(9, "drop", objective="span-corruption")) is None


def test_a_batch_pads_sources_and_labels_each_to_their_own_width(tokenizer):
    examples, _, encoding = encode(tokenizer)
    batch = seq2seq.collate(examples, tokenizer, encoding, (0,))
    for example, ids, mask, labels in zip(
        examples, batch["input_ids"], batch["attention_mask"], batch["labels"], strict=True
    ):
        assert ids[mask.bool()].tolist() == example["input_ids"]
        assert labels[labels != -100].tolist() == example["labels"]
    assert seq2seq.count_items(batch) == sum(len(example["labels"]) for example in examples)


@pytest.mark.parametrize("name", ["tiny_t5", "tiny_bart"])
def test_the_loss_is_that_of_the_models_own_forward(request, name):
    folder = request.getfixturevalue(name)
    model, tokenizer = load(folder), transformers.AutoTokenizer.from_pretrained(folder)
    examples, _, encoding = encode(tokenizer)
    batch = seq2seq.collate(examples, tokenizer, encoding, (0,))
    inputs = {key: batch[key] for key in ("input_ids", "attention_mask", "labels")}
    with torch.no_grad():
        loss = seq2seq.compute_loss(model, batch, LossOptions())
        expected = model(**inputs).loss * seq2seq.count_items(batch)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("name", ["tiny_t5", "tiny_bart"])
def test_a_records_loss_does_not_depend_on_its_batch(request, name):
    folder = request.getfixturevalue(name)
    model, tokenizer = load(folder), transformers.AutoTokenizer.from_pretrained(folder)
    examples, _, encoding = encode(tokenizer)
    with torch.no_grad():
        together = seq2seq.predict(model, seq2seq.collate(examples, tokenizer, encoding, (0,)), examples)
        alone = [
            seq2seq.predict(model, seq2seq.collate([one], tokenizer, encoding, (0,)), [one])[0]
            for one in examples
        ]
    for one, other in zip(together, alone, strict=True):
        assert one["num_tokens"] == other["num_tokens"]
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)  # padding changes the order of sums


def test_the_first_token_of_every_target_counts(tiny_t5, tokenizer):
    examples, _, _ = encode(tokenizer, [{"source": "a", "target": "b"}])
    assert len(examples[0]["labels"]) == 2
    batch = seq2seq.collate(examples, tokenizer, None or Encoding(9, "drop"), (0,))
    with torch.no_grad():
        (record,) = seq2seq.predict(load(tiny_t5), batch, examples)
    assert record["num_tokens"] == 2


def test_labels_are_moved_behind_the_start_token_where_the_model_has_no_way_of_its_own():
    class Plain:
        config = transformers.T5Config(decoder_start_token_id=7, pad_token_id=0)

    moved = seq2seq.make_decoder_inputs(Plain(), torch.tensor([[4, 5, 1], [6, 1, -100]]))
    assert moved.tolist() == [[7, 4, 5], [7, 6, 1]]
    moved = seq2seq.make_decoder_inputs(Plain(), torch.tensor([[6, -100, -100]]))
    assert moved.tolist() == [[7, 6, 0]]


def test_a_model_from_scratch_gets_start_and_end_tokens(tokenizer):
    config = transformers.T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=300)
    config.decoder_start_token_id = config.eos_token_id = None
    model = transformers.T5ForConditionalGeneration(config)
    seq2seq.prepare_model(model, tokenizer)
    for settings in (model.config, model.generation_config):
        assert settings.decoder_start_token_id == tokenizer.pad_token_id
        assert settings.eos_token_id == tokenizer.eos_token_id


def test_start_and_end_tokens_of_a_checkpoint_stay(tiny_bart, tokenizer):
    model = load(tiny_bart)
    seq2seq.prepare_model(model, tokenizer)
    assert (model.config.decoder_start_token_id, model.generation_config.eos_token_id) == (2, 2)


def test_the_answer_is_the_whole_target_however_long(tokenizer):
    row, answer = seq2seq.split_answer(ROWS[2], tokenizer, Encoding(5, "truncate", max_target_tokens=2))
    assert answer == ROWS[2]["target"]
    assert len(seq2seq.make_prompt(row, tokenizer, Encoding(3, "truncate"))) == 3


def corrupted(tokenizer, seed, **settings):
    examples, _, encoding = encode(tokenizer, objective="span-corruption", **settings)
    return seq2seq.collate(examples, tokenizer, encoding, seed), examples


def test_spans_are_drawn_anew_each_epoch_and_again_the_same(tokenizer):
    first, second, again = (corrupted(tokenizer, seed)[0] for seed in ((5, 0), (5, 1), (5, 0)))
    assert torch.equal(first["input_ids"], again["input_ids"])
    assert torch.equal(first["labels"], again["labels"])
    assert not torch.equal(first["input_ids"], second["input_ids"])


def test_spans_of_an_example_do_not_depend_on_its_batch(tokenizer):
    examples, _, encoding = encode(tokenizer, objective="span-corruption", documents="whole")
    together = seq2seq.collate(examples, tokenizer, encoding, (5, 0))
    alone = seq2seq.collate(examples[1:2], tokenizer, encoding, (5, 0))
    mask = together["attention_mask"][1].bool()
    assert together["input_ids"][1][mask].tolist() == alone["input_ids"][0].tolist()


def test_corrupted_blocks_fit_the_limits_and_hold_the_whole_text(tokenizer):
    batch, examples = corrupted(tokenizer, (1, 0), rows=ROWS * 3, max_tokens=24, max_target_tokens=6)
    assert len(examples) > 3
    assert batch["input_ids"].shape[1] <= 24
    assert batch["labels"].shape[1] <= 6
    text = tokenizer.decode([token for example in examples for token in example["input_ids"]])
    assert text == "".join(f"{row['source']}</s>" for row in ROWS * 3)
    assert len({(example["row"], example["block"]) for example in examples}) == len(examples)


def test_spans_need_no_target_and_are_no_texts_to_score(tokenizer):
    examples, _, encoding = encode(tokenizer, [{"source": "the cat sat"}], objective="span-corruption")
    assert len(examples) == 1
    with pytest.raises(MetricError, match="span corruption writes no texts"):
        seq2seq.split_answer({"source": "a"}, tokenizer, encoding)


def test_a_muted_block_has_no_supervised_token(tokenizer):
    examples, _, encoding = encode(tokenizer, objective="span-corruption")
    muted = {**examples[0], "labels": [-100] * len(examples[0]["labels"])}
    assert seq2seq.count_items(seq2seq.collate([muted], tokenizer, encoding, (0,))) == 0
