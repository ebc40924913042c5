import json
import math
import random

import pytest
import torch
import transformers
from tiny_models import make_byte_level_tokenizer, make_wordpiece_tokenizer

import ftkit
from ftkit.errors import DataError, RecipeError
from ftkit.metrics import score
from ftkit.tasks import token_classification as task
from ftkit.tasks.padding import IGNORED
from ftkit.tasks.protocol import Encoding, LossOptions

TAGS = ("O", "B-PER", "I-PER")
ANIMALS = {"cat": "B-ANIMAL", "dog": "B-ANIMAL", "bird": "I-ANIMAL"}


def encode(rows, *, tokenizer=None, **options):
    rejected = []
    encoding = Encoding(**{"max_tokens": 64, "too_long": "split", "stride": 4, "labels": TAGS, **options})
    tokenizer = tokenizer or make_wordpiece_tokenizer()
    examples = list(task.encode(enumerate(rows), tokenizer, encoding, lambda *entry: rejected.append(entry)))
    return examples, rejected


def make_rows(number, seed, longest=30):
    """Make sentences with tags that follow from the word alone, which 16 dimensions can learn."""
    draw = random.Random(seed)
    words = [*ANIMALS, "a", "the", "sat", "ran", "flew", "on", "over", "mat", "house", "hello", "月", "光"]
    for _ in range(number):
        tokens = draw.choices(words, k=draw.randint(3, longest))
        tags = [ANIMALS.get(token, "O") for token in tokens]
        yield {"tokens": tokens, "tags": tags}


def test_the_first_token_of_a_word_carries_its_tag():
    tokenizer = make_wordpiece_tokenizer()
    (example,), rejected = encode([{"tokens": ["zoe", "sat"], "tags": ["B-PER", "O"]}])
    assert tokenizer.convert_ids_to_tokens(example["input_ids"]) == [
        "[CLS]",
        "z",
        "##o",
        "##e",
        "sat",
        "[SEP]",
    ]
    assert example["labels"] == [IGNORED, 1, IGNORED, IGNORED, 0, IGNORED]
    assert (example["words"], example["places"]) == ([0, 1], [1, 4])
    assert rejected == []


def test_all_tokens_of_a_word_carry_its_tag_where_the_recipe_says_so():
    (example,), _ = encode([{"tokens": ["zoe", "sat"], "tags": ["B-PER", "O"]}], label_all_tokens=True)
    assert example["labels"] == [IGNORED, 1, 2, 2, 0, IGNORED]
    assert example["places"] == [1, 4]


def test_spans_and_words_of_the_same_row_give_the_same_example():
    words = {"tokens": ["Zoe", "sat", "."], "tags": ["B-PER", "O", "O"], "text": "Zoe sat."}
    spans = {"text": "Zoe sat.", "entities": [{"start": 0, "end": 3, "label": "PER"}]}
    for tokenizer in (make_wordpiece_tokenizer(), make_byte_level_tokenizer(["<s>"], eos_token="<s>")):
        (first,), _ = encode([words], tokenizer=tokenizer)
        (second,), _ = encode([spans], tokenizer=tokenizer)
        assert first == second


def test_a_text_has_the_tokens_that_the_tokenizer_gives_it_whole():
    text = "Hello, the cat sat (zoe's) on 月光 10.5 mat"
    tokenizer = make_wordpiece_tokenizer()
    (example,), _ = encode([{"text": text}], labelled=False)
    assert example["input_ids"] == tokenizer(text)["input_ids"]
    tokenizer = make_byte_level_tokenizer(["<s>"], eos_token="<s>")
    (example,), _ = encode([{"text": "the cat sat on 月"}], tokenizer=tokenizer, labelled=False)
    assert tokenizer.decode(example["input_ids"]) == " the cat sat on 月"


def test_a_word_that_the_tokenizer_drops_is_unknown_and_keeps_its_tag():
    tokenizer = make_wordpiece_tokenizer()
    (example,), _ = encode([{"tokens": ["\u200b", "sat"], "tags": ["B-PER", "O"]}])
    assert example["input_ids"][1] == tokenizer.unk_token_id
    assert example["labels"][1:3] == [1, 0]


def test_every_word_of_a_long_row_is_labelled_in_exactly_one_window():
    for row in make_rows(30, 3, longest=60):
        row["tokens"] = [f"{word}zx" if place % 3 else word for place, word in enumerate(row["tokens"])]
        examples, rejected = encode([row], labels=("O", "B-ANIMAL", "I-ANIMAL"), max_tokens=14, stride=5)
        assert sorted(word for example in examples for word in example["words"]) == list(
            range(len(row["tags"]))
        )
        assert all(len(example["input_ids"]) <= 14 for example in examples)
        for example in examples:
            labelled = [place for place, label in enumerate(example["labels"]) if label != IGNORED]
            assert labelled == example["places"]
            tags = [("O", "B-ANIMAL", "I-ANIMAL")[example["labels"][place]] for place in labelled]
            assert tags == [row["tags"][word] for word in example["words"]]
        assert len(rejected) == (len(examples) > 1)


@pytest.mark.parametrize("too_long", ["drop", "error"])
def test_a_long_row_is_left_out_or_an_error_where_the_recipe_says_so(too_long):
    rows = [{"tokens": ["cat"] * 9, "tags": ["O"] * 9}, {"tokens": ["cat"], "tags": ["O"]}]
    examples, rejected = encode(rows, max_tokens=8, too_long=too_long)
    assert [example["row"] for example in examples] == [1]
    assert rejected == [(0, f"too_long:{too_long}", "11 tokens, the limit is 8")]


def test_a_word_longer_than_a_window_is_cut_and_counted():
    examples, rejected = encode([{"tokens": ["z" * 20, "cat"], "tags": ["B-PER", "O"]}], max_tokens=8)
    assert [example["words"] for example in examples] == [[0], [1]]
    assert rejected[0] == (0, "word:truncate", "a word of 20 tokens, the limit is 6")


def test_widened_spans_are_counted():
    _, rejected = encode([{"text": "the catzx", "entities": [[4, 7, "PER"]]}])
    assert rejected == [(0, "span:widened", "1 of 1 entities")]


def test_labels_are_counted_by_word_and_types_get_all_prefixes():
    rows = [{"tokens": ["a", "b"], "tags": ["B-X", "O"]}, {"text": "c d", "entities": [[0, 3, "Y"]]}]
    assert task.read_labels(rows, None) == {"O": 1, "B-X": 1, "I-X": 0, "B-Y": 1, "I-Y": 1}
    assert list(task.read_labels(rows, {"Y": "X"})) == ["O", "B-X", "I-X"]
    assert list(task.read_labels(rows[:1], ["B-X", "O"])) == ["B-X", "O"]
    assert list(task.read_labels(rows[1:], ["Y", "X"])) == ["O", "B-Y", "I-Y", "B-X", "I-X"]
    with pytest.raises(DataError, match="two tags or more; found 1: 'O'"):
        task.read_labels([{"tokens": ["a"], "tags": ["O"]}], None)


def test_a_tag_that_is_unknown_names_the_word_and_the_tags():
    encoding = Encoding(8, "split", labels=TAGS)
    problem = task.check_row({"tokens": ["王", "来"], "tags": ["B-LOC", "O"]}, encoding)
    assert "word 1 ('王') has the tag 'B-LOC'; the tags are 'O', 'B-PER', 'I-PER'" in problem
    assert task.check_row({"tokens": ["王"], "tags": ["B-PER"]}, encoding) is None
    mapped = Encoding(8, "split", labels=TAGS, label_names={"1": "B-PER"})
    assert task.check_row({"tokens": ["王"], "tags": [1]}, mapped) is None


class Echo(torch.nn.Module):
    """A model that is sure of one tag for each token id."""

    def __init__(self, tags):
        super().__init__()
        self.tags = tags
        self.config = transformers.PretrainedConfig(id2label=dict(enumerate(TAGS)))

    def forward(self, input_ids, **_):
        logits = torch.zeros(*input_ids.shape, len(TAGS))
        for token, tag in self.tags.items():
            logits[input_ids == token, tag] = 5.0
        self.logits = logits
        return self


def run_echo(rows, tags, **options):
    tokenizer = make_wordpiece_tokenizer()
    examples, _ = encode(rows, **options)
    batch = task.collate(examples, tokenizer, Encoding(64, "split"), (0,))
    model = Echo({tokenizer.convert_tokens_to_ids(word): tag for word, tag in tags.items()})
    return task.merge(task.predict(model, batch, examples), rows), (model, batch)


def test_windows_are_put_together_to_one_tag_a_word():
    tokens = ["zoe", "the", "cat"] * 10
    tags = ["B-PER", "O", "I-PER"] * 10
    echo = {"z": 1, "cat": 2, "the": 0, "##o": 0, "##e": 0}
    (record,), (_, batch) = run_echo([{"tokens": tokens, "tags": tags}], echo, max_tokens=12)
    assert len(batch["row"]) > 3
    assert task.list_scored([record], "tags") == ([tags], [tags])
    (losses,), (number,) = task.list_scored([record], "losses")
    assert number == 30
    assert losses == pytest.approx(30 * math.log(1 + 2 * math.exp(-5)))


def test_loss_is_the_sum_over_words_and_equals_what_is_reported():
    rows = [{"tokens": ["the", "cat"] * 20, "tags": ["O", "B-PER"] * 20}, {"tokens": ["cat"], "tags": ["O"]}]
    records, (model, batch) = run_echo(rows, {"cat": 1}, max_tokens=12)
    losses, numbers = task.list_scored(records, "losses")
    assert float(task.compute_loss(model, batch, LossOptions())) == pytest.approx(sum(losses), rel=1e-5)
    assert task.count_items(batch) == sum(numbers) == 41


def test_entities_are_shown_with_places_in_the_text():
    (record,), _ = run_echo([{"text": "Hello, the cat 月 sat"}], {"cat": 1, "月": 2}, labelled=False)
    (entity,) = task.present(record, TAGS)["entities"]
    assert entity.pop("score") == pytest.approx(1 / (1 + 2 * math.exp(-5)))
    assert entity == {"label": "PER", "text": "cat 月", "start": 11, "end": 16, "words": [3, 5]}


def test_words_without_a_text_are_shown_with_their_tags():
    row = {"tokens": ["the", "cat"], "tags": ["O", "B-PER"]}
    (record,), _ = run_echo([row], {"cat": 1})
    shown = task.present(record, TAGS)
    assert shown["tokens"] == row["tokens"]
    assert shown["tags"] == shown["true_tags"] == ["O", "B-PER"]
    assert shown["true_entities"] == [{"label": "PER", "text": "cat", "words": [1, 2]}]


def test_plain_tags_are_shown_as_they_are_and_scored_by_word():
    labels = ("NOUN", "VERB")
    record = {
        "row": 0, "names": labels, "tags": [0, 1], "true_tags": [0, 0], "scores": [1.0, 1.0],
        "losses": [0.0, 1.0], "text": "cat sat", "spans": [(0, 3), (4, 7)], "has_text": True,
    }  # fmt: skip
    shown = task.present(record, labels)
    assert (shown["tokens"], shown["tags"], shown["loss"]) == (["cat", "sat"], ["NOUN", "VERB"], 0.5)
    assert "entities" not in shown
    assert task.suit_metrics(labels) == ("token_accuracy", "loss")
    assert task.suit_metrics(TAGS)[0] == "entity_f1"
    lines = task.explain([record], labels)["per_class"]
    assert [(line["label"], line["support"]) for line in lines] == [("NOUN", 2), ("VERB", 0)]


def test_the_trivial_answer_is_the_most_frequent_tag_with_the_shares_as_probabilities():
    records, _ = run_echo([{"tokens": ["the", "cat"], "tags": ["O", "B-PER"]}], {"cat": 1})
    trivial = task.predict_trivially(records, [9, 1, 0])
    assert task.list_scored(trivial, "tags")[0] == [["O", "O"]]
    assert task.list_scored(trivial, "losses")[0] == [pytest.approx(-math.log(0.9) - math.log(0.1))]
    assert task.predict_trivially(records, [0, 0, 0]) is None


def finetune(folder, model, **sections):
    training = {"epochs": 6, "learning_rate": 1e-2, "batch_size": 8}
    return ftkit.finetune(
        **{
            "task": "token-classification",
            "model": str(model),
            "training": training,
            "output_dir": str(folder / "run"),
            **sections,
        }
    )


def read_predictions(run):
    text = (run.folder.evaluation / "predictions.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_tagger_learns_over_windows_and_reports_each_type(tmp_path, tiny_bert):
    data = {
        "train": list(make_rows(120, 1)), "validation": None, "test": list(make_rows(20, 2)), "max_tokens": 16
    }  # fmt: skip
    run = finetune(tmp_path, tiny_bert, data=data)
    report = run.report
    assert list(report["scores"]) == ["majority", "base", "tuned"]
    assert report["scores"]["tuned"]["entity_f1"] > 0.9 > report["scores"]["majority"]["entity_f1"]
    assert [line["label"] for line in report["per_class"]] == ["ANIMAL"]
    assert report["num_words"] == sum(len(row["tags"]) for row in make_rows(20, 2))
    assert report["data"]["train"]["rejected"]["too_long:split"] > 5
    written = read_predictions(run)
    found, true = [one["tags"] for one in written], [one["true_tags"] for one in written]
    assert true == [row["tags"] for row in make_rows(20, 2)]
    assert score("entity_f1", found, true) == pytest.approx(report["scores"]["tuned"]["entity_f1"])
    (shown,) = run.predict(["the cat bird sat on the mat"])[0]["entities"]
    assert (shown["label"], shown["start"], shown["end"]) == ("ANIMAL", 4, 12)


def test_the_saved_tagger_gives_plain_transformers_the_same_predictions(tmp_path, tiny_bert):
    data = {"train": list(make_rows(60, 1)), "validation": None, "test": list(make_rows(20, 2, 20))}
    run = finetune(tmp_path, tiny_bert, data=data)
    model = transformers.AutoModelForTokenClassification.from_pretrained(run.folder.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.folder.model)
    written = read_predictions(run)
    for prediction, row in zip(written, make_rows(20, 2, 20), strict=True):
        inputs = tokenizer(row["tokens"], is_split_into_words=True, return_tensors="pt")
        with torch.no_grad():
            tags = model(**inputs).logits[0].argmax(-1).tolist()
        owners = inputs.word_ids()
        first = [owners.index(word) for word in range(len(row["tokens"]))]
        assert prediction["tags"] == [model.config.id2label[tags[place]] for place in first]


def test_neighbours_in_a_batch_and_padding_do_not_change_a_prediction(tiny_bert):
    torch.manual_seed(0)
    model = transformers.AutoModelForTokenClassification.from_pretrained(tiny_bert, num_labels=3).eval()
    tokenizer = make_wordpiece_tokenizer()
    examples, _ = encode(list(make_rows(9, 4)), labels=("O", "B-ANIMAL", "I-ANIMAL"))

    def run(chosen):
        with torch.no_grad():
            return task.predict(model, task.collate(chosen, tokenizer, Encoding(64, "split"), (0,)), chosen)

    together = run(examples[::-1])[::-1]
    for record, example in zip(together, examples, strict=True):
        (alone,) = run([example])
        # float32: sums in another order
        assert record["scores"] == pytest.approx(alone["scores"], abs=1e-5)
        assert record["losses"] == pytest.approx(alone["losses"], abs=1e-5)


def test_plain_tags_are_scored_by_accuracy_without_being_asked(tmp_path, tiny_bert):
    rows = [
        {"tokens": row["tokens"], "tags": ["NN" if token in ANIMALS else "XX" for token in row["tokens"]]}
        for row in make_rows(60, 1)
    ]
    run = finetune(tmp_path, tiny_bert, data={"train": rows, "test": rows[:9], "label_all_tokens": True})
    assert list(run.report["scores"]["tuned"]) == ["token_accuracy", "loss"]
    assert (
        run.report["scores"]["tuned"]["token_accuracy"] > run.report["scores"]["majority"]["token_accuracy"]
    )
    again = ftkit.evaluate(run, data=rows[:9], baseline=False).report["scores"]["tuned"]
    assert again == pytest.approx(run.report["scores"]["tuned"], rel=1e-6)


def test_an_adapter_is_trained_with_the_head_and_merged(tmp_path, tiny_bert):
    rows = list(make_rows(40, 1))
    training = {"epochs": 2, "learning_rate": 1e-2, "batch_size": 8}
    run = finetune(
        tmp_path, tiny_bert, adapter="lora", training=training, data={"train": rows, "test": rows[:8]}
    )
    config = json.loads((run.folder.adapter / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["task_type"], bool(config["modules_to_save"])) == ("TOKEN_CLS", True)
    assert run.report["scores"]["tuned"]["loss"] < run.report["scores"]["base"]["loss"]
    again = ftkit.evaluate(run, data=rows[:8], baseline=False).report["scores"]["tuned"]
    assert again == pytest.approx(run.report["scores"]["tuned"], rel=1e-4)


def test_windows_that_overlap_wholly_are_refused_and_so_is_a_stride_that_nothing_reads(tmp_path, tiny_bert):
    data = {"train": list(make_rows(8, 1)), "validation": None, "max_tokens": 16, "stride": 16}
    with pytest.raises(RecipeError, match=r"data.stride: is 16, but a window has at most 16 tokens"):
        finetune(tmp_path, tiny_bert, data=data)
    with pytest.raises(RecipeError, match=r"data.stride: the task chat does not read"):
        finetune(tmp_path, tiny_bert, data=data, task="chat")


def test_a_bad_row_is_an_error_with_its_line(tmp_path, tiny_bert):
    rows = [{"text": "the cat", "entities": [[4, 7, "X"]]}, {"text": "the cat", "entities": [[4, 9, "X"]]}]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(DataError, match=r"train.jsonl:2: the span 4 to 9 \(X\) ends outside the text"):
        finetune(tmp_path, tiny_bert, data={"train": str(path), "validation": None})
