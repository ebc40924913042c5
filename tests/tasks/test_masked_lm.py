import logging
import math

import numpy as np
import pytest
import torch
import transformers
from tiny_models import make_byte_level_tokenizer, make_unigram_tokenizer, make_wordpiece_tokenizer

from ftkit.errors import ModelError, RecipeError
from ftkit.tasks import LossOptions, masked_lm
from ftkit.tasks.protocol import Encoding

TOKENIZER = make_wordpiece_tokenizer()
CLS, SEP, MASK = TOKENIZER.cls_token_id, TOKENIZER.sep_token_id, TOKENIZER.mask_token_id
TEXTS = ["the cat sat on the mat", "a catdog ran over the house", "床前明月光", "hello world"]


def encode(texts=TEXTS, max_tokens=12, tokenizer=TOKENIZER, **settings):
    rejected = []
    encoding = Encoding(max_tokens, settings.pop("too_long", "split"), **settings)
    rows = enumerate({"text": text} for text in texts)
    examples = list(masked_lm.encode(rows, tokenizer, encoding, lambda *entry: rejected.append(entry)))
    return examples, rejected


def collate(examples, seed=(0,), tokenizer=TOKENIZER, **settings):
    return masked_lm.collate(examples, tokenizer, Encoding(12, "split", **settings), seed)


def test_blocks_hold_every_token_once_each_in_the_models_frame():
    examples, _ = encode()
    expected = [
        token for text in TEXTS for token in [*TOKENIZER(text, add_special_tokens=False)["input_ids"], SEP]
    ]
    found = []
    for example in examples:
        ids = example["input_ids"]
        assert (ids[0], ids[-1]) == (CLS, SEP)
        assert len(ids) == len(example["units"]) <= 12
        assert example["labels"] == ids
        found += ids[1:-1]
    # Where a document ends with its block, the frame's end token is the document's.
    assert [each for each in found if each != SEP] == [each for each in expected if each != SEP]


def test_blocks_that_begin_in_one_document_are_numbered():
    examples, _ = encode(["the cat sat on the mat " * 5], max_tokens=9)
    assert [(example["row"], example["piece"]) for example in examples] == [
        (0, number) for number in range(len(examples))
    ]
    assert len(examples) > 3


def test_whole_documents_stay_apart_and_long_ones_are_reported():
    examples, rejected = encode(["hello world", "the cat sat on the mat"], 6, documents="whole")
    assert [TOKENIZER.decode(example["input_ids"]) for example in examples] == [
        "[CLS] hello world [SEP]",
        "[CLS] the cat sat on [SEP]",
        "[CLS] the mat [SEP]",
    ]
    assert rejected == [(1, "too_long:split", "8 tokens, the limit is 6")]


def test_a_document_that_just_fits_stays_whole():
    examples, rejected = encode(["the cat sat on"], 6, documents="whole", too_long="error")
    assert len(examples[0]["input_ids"]) == 6
    assert rejected == []


def test_units_mark_words_and_leave_special_and_unknown_tokens_out():
    example = encode(["catdog 龘 on"], documents="whole")[0][0]
    tokens = TOKENIZER.convert_ids_to_tokens(example["input_ids"])
    assert tokens[-3:] == ["[UNK]", "on", "[SEP]"]
    units = example["units"]
    assert units[0] == units[-1] == units[-3] == masked_lm.NEVER_HIDDEN
    assert units[1:-3] == [1] + [0] * (len(units) - 5)


def test_without_whole_words_each_token_is_for_itself():
    example = encode(["catdog"], documents="whole", whole_word_masking=False)[0][0]
    assert set(example["units"][1:-1]) == {1}


def test_a_block_without_anything_to_hide_is_left_out_and_reported():
    examples, rejected = encode(["龘 龘", "hello world"], documents="whole")
    assert [example["row"] for example in examples] == [1]
    assert rejected == [(0, "masking:drop", "2 tokens, all special or unknown")]


@pytest.mark.parametrize(
    "tokenizer",
    [
        make_unigram_tokenizer(),
        make_byte_level_tokenizer(["<s>", "<pad>", "<mask>"], eos_token="<s>", mask_token="<mask>"),
    ],
    ids=["unigram", "byte-level"],
)
def test_other_kinds_of_tokenizers_give_blocks_too(tokenizer):
    examples, _ = encode(tokenizer=tokenizer, max_tokens=20)
    assert len(examples) > 2
    assert "".join(tokenizer.decode(each["input_ids"][1:-1]) for each in examples)
    assert all(max(example["units"]) >= 0 for example in examples)


def test_chinese_by_the_character_is_said_once(caplog):
    masked_lm._say_characters.cache_clear()
    with caplog.at_level(logging.INFO):
        encode()
        encode()
    assert [message for message in caplog.messages if "data.segmenter" in message] == [
        "whole-word masking: Chinese and other text without spaces is hidden by the character; to hide "
        "words, set data.segmenter, for example to jieba:lcut"
    ]


def test_words_of_the_users_segmenter_are_hidden_together(tmp_path, monkeypatch, caplog):
    (tmp_path / "halves.py").write_text(
        "def cut(text):\n    return [text[: len(text) // 2], text[len(text) // 2 :]]\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    example = encode(["床前明月 cat"], documents="whole", segmenter="halves:cut")[0][0]
    assert example["units"] == [-1, 1, 0, 1, 0, 1, -1]
    assert caplog.messages == []


def test_too_few_tokens_for_a_block_are_refused():
    with pytest.raises(RecipeError, match="is 3, of which 2 are special"):
        encode(max_tokens=3)


def test_a_slow_tokenizer_cannot_tell_whole_words():
    class Slow:
        is_fast = False

        def __getattr__(self, name):
            return getattr(TOKENIZER, name)

        def __call__(self, *arguments, **options):
            return TOKENIZER(*arguments, **options)

    with pytest.raises(ModelError, match="needs a fast tokenizer"):
        encode(tokenizer=Slow())
    assert encode(tokenizer=Slow(), whole_word_masking=False)[0]


def test_masks_follow_from_seed_epoch_and_row_and_not_from_the_batch():
    examples, _ = encode(["the cat sat on the mat and a dog ran over the house"] * 8, documents="whole")
    together = collate(examples, (42, 1))
    for place in reversed(range(len(examples))):
        alone = collate([examples[place]], (42, 1))
        length = len(examples[place]["input_ids"])
        assert together["input_ids"][place, :length].tolist() == alone["input_ids"][0].tolist()
        assert together["labels"][place, :length].tolist() == alone["labels"][0].tolist()
    assert not torch.equal(together["labels"], collate(examples, (42, 2))["labels"])
    assert not torch.equal(together["labels"], collate(examples, (43, 1))["labels"])
    assert len({tuple(line) for line in together["labels"].tolist()}) > 1
    assert torch.equal(collate(examples)["labels"], collate(examples)["labels"])


def test_only_hidden_positions_carry_loss_and_padding_never_does():
    examples, _ = encode(documents="whole")
    batch = collate(examples)
    hidden = batch["labels"] != -100
    assert masked_lm.count_items(batch) == int(hidden.sum())
    assert not (hidden & (batch["attention_mask"] == 0)).any()
    for place, example in enumerate(examples):
        for position, number in enumerate(example["input_ids"]):
            if hidden[place, position]:
                assert batch["labels"][place, position] == number
            else:
                assert batch["input_ids"][place, position] == number


def test_an_example_that_only_joins_the_gradients_carries_no_loss():
    example = dict(encode(documents="whole")[0][0])
    example["labels"] = [-100] * len(example["labels"])
    assert masked_lm.count_items(collate([example])) == 0


SIZES = {
    "vocab_size": len(TOKENIZER), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "pad_token_id": 0, "max_position_embeddings": 40,
}  # fmt: skip
ARCHITECTURES = {
    "bert": SIZES,
    "roberta": SIZES,
    "distilbert": {"vocab_size": len(TOKENIZER), "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32},
    "electra": {**SIZES, "embedding_size": 8},
    "albert": {**SIZES, "embedding_size": 8},
    "deberta": SIZES,
    "deberta-v2": SIZES,
    "mpnet": SIZES,
    "modernbert": {**SIZES, "cls_token_id": 2, "sep_token_id": 3, "bos_token_id": 2, "eos_token_id": 3},
    "mobilebert": {**SIZES, "embedding_size": 8, "intra_bottleneck_size": 16, "num_feedforward_networks": 1},
    "xlm-roberta": SIZES,
}


def make_model(name):
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(name, **ARCHITECTURES[name])
    return transformers.AutoModelForMaskedLM.from_config(config).eval()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_loss_and_gradients_are_those_of_the_full_logits(name):
    model = make_model(name)
    batch = collate(encode()[0])
    fast = masked_lm.compute_loss(model, batch, LossOptions())
    fast.backward()
    gradients = {
        key: weights.grad.clone() for key, weights in model.named_parameters() if weights.grad is not None
    }
    model.zero_grad()
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    slow = torch.nn.functional.cross_entropy(
        logits.flatten(0, 1).float(), batch["labels"].flatten(), reduction="sum"
    )
    slow.backward()
    # float32, other order of the same sums
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-5)
    for key, weights in model.named_parameters():
        if weights.grad is not None:
            torch.testing.assert_close(gradients[key], weights.grad, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert"])
def test_only_hidden_positions_reach_the_head(name):
    model = make_model(name)
    batch = collate(encode()[0])
    shapes = []
    model.get_output_embeddings().register_forward_hook(
        lambda module, inputs, output: shapes.append(tuple(output.shape))
    )
    masked_lm.compute_loss(model, batch, LossOptions())
    assert shapes == [(masked_lm.count_items(batch), len(TOKENIZER))]


def test_records_add_up_to_the_loss_and_count_what_is_right():
    model = make_model("bert")
    examples, _ = encode()
    batch = collate(examples)
    records = masked_lm.predict(model, batch, examples)
    total = float(masked_lm.compute_loss(model, batch, LossOptions()).detach())
    assert sum(record["loss"] for record in records) == pytest.approx(total, rel=1e-5)
    assert sum(record["num_tokens"] for record in records) == masked_lm.count_items(batch)
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    rights = (logits.argmax(-1) == batch["labels"]).sum(1).tolist()
    assert [record["num_right"] for record in records] == rights
    assert masked_lm.list_scored(records, "counts") == (
        rights,
        [record["num_tokens"] for record in records],
    )
    shown = masked_lm.present(records[0], ())
    assert shown["loss"] == pytest.approx(records[0]["loss"] / records[0]["num_tokens"])


def test_a_model_that_knows_nothing_has_the_vocabulary_as_its_pseudo_perplexity():
    from ftkit.metrics import compute_metrics

    model = make_model("bert")
    for weights in model.parameters():
        torch.nn.init.zeros_(weights)
    examples, _ = encode()
    records = masked_lm.predict(model, collate(examples), examples)
    losses, counts = masked_lm.list_scored(records, "losses")
    scores = compute_metrics(["pseudo_perplexity"], "losses", predictions=losses, references=counts)
    assert scores["pseudo_perplexity"] == pytest.approx(len(TOKENIZER), rel=1e-5)
    assert math.isfinite(np.sum(losses))
    assert masked_lm.explain(records, ())["num_masked_tokens"] == sum(counts)


@pytest.mark.parametrize("name", ["roberta", "bert", "mpnet", "xlm-roberta"])
def test_the_limit_is_the_longest_input_that_the_model_really_reads(name):
    from ftkit.tasks.encoding import read_limit

    tokenizer = make_unigram_tokenizer()
    sizes = {**ARCHITECTURES[name], "pad_token_id": 1, "vocab_size": len(tokenizer)}
    config = transformers.AutoConfig.for_model(name, **sizes)
    model = transformers.AutoModelForMaskedLM.from_config(config).eval()
    limit = read_limit(tokenizer, config)
    with torch.no_grad():
        model(input_ids=torch.full((1, limit), 7))
        with pytest.raises((IndexError, RuntimeError)):
            model(input_ids=torch.full((1, limit + 1), 7))
