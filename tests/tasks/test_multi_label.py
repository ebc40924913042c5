"""Several labels for a text, and the threshold from which on they are given."""

import json
import math
import random
from types import SimpleNamespace

import pytest
import torch
import transformers
from tiny_models import make_wordpiece_tokenizer

import ftkit
from ftkit.errors import DataError, RecipeError
from ftkit.tasks import multi_label as task
from ftkit.tasks.protocol import Encoding, LossOptions

TOPICS = {"money": "free win money", "animals": "cat dog bird", "greeting": "hello world"}


def make_rows(number, seed, *, as_text=False):
    draw = random.Random(seed)
    for _ in range(number):
        labels = [topic for topic in TOPICS if draw.random() < 0.4]
        words = [word for label in labels for word in draw.choices(TOPICS[label].split(), k=2)]
        text = " ".join(draw.sample([*words, "the", "a", "on"], k=len(words) + 3))
        yield {"text": text, "label": ";".join(labels) if as_text else labels}


def make_encoding(**options):
    return Encoding(**{"max_tokens": 32, "too_long": "truncate", "labels": tuple(sorted(TOPICS)), **options})


def encode(rows, **options):
    reject = lambda *entry: None  # noqa: E731
    return list(task.encode(enumerate(rows), make_wordpiece_tokenizer(), make_encoding(**options), reject))


class Fixed(torch.nn.Module):
    """A model whose logits are given."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.tensor(logits)
        self.config = SimpleNamespace(type_vocab_size=2)

    def forward(self, **_):
        return self


def make_batch(labels, rows=None):
    return {
        "labels": torch.tensor(labels, dtype=torch.float32),
        "row": torch.tensor(rows or list(range(len(labels)))),
        "weights": torch.ones(len(labels), dtype=torch.float64),
    }


def test_each_label_counts_the_rows_that_have_it():
    rows = [{"label": ["b", "a"]}, {"label": []}, {"label": ["b"]}, {"label": 3}]
    assert task.read_labels(rows, None) == {"3": 1, "a": 1, "b": 2}
    assert task.read_labels(rows[:3], {"b": "beta"}) == {"a": 1, "beta": 2}
    assert task.read_labels([{"label": "a|b"}, {"label": "b"}], ["b", "a"], separator="|") == {"b": 2, "a": 1}
    with pytest.raises(DataError, match="two classes or more; found 1: 'a'"):
        task.read_labels([{"label": ["a"]}], None)


def test_labels_become_zeros_and_ones_in_the_order_of_the_names():
    rows = [{"text": "a", "label": ["money", "animals"]}, {"text": "a", "label": []}]
    assert [example["labels"] for example in encode(rows)] == [[1, 0, 1], [0, 0, 0]]
    (example,) = encode(
        [{"text": "a", "label": "cash, greeting"}], label_separator=",", label_names={"cash": "money"}
    )
    assert example["labels"] == [0, 1, 1]


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        (None, "column 'label' is None; labels are words"),
        (["money", None], r"labels are words or whole numbers, in a list"),
        (["money", "money"], "has 'money' more than once"),
        (["money", "Money"], "is 'Money'; the labels are 'animals', 'greeting', 'money'"),
    ],
)
def test_bad_labels_are_problems(label, problem):
    assert problem in task.check_row({"text": "a", "label": label}, make_encoding())


def test_no_label_is_a_good_answer_and_needs_none_for_prediction():
    assert task.check_row({"text": "a", "label": []}, make_encoding()) is None
    assert task.check_row({"text": "a"}, make_encoding(labelled=False)) is None


def test_loss_is_that_of_torch_with_smoothing_and_weights():
    logits, labels = [[2.0, -1.0, 0.5], [0.0, 3.0, -2.0]], [[1, 0, 0], [0, 1, 1]]
    plain = task.compute_loss(Fixed(logits), make_batch(labels), LossOptions())
    expected = [
        sum(-math.log(1 / (1 + math.exp(-x if y else x))) for x, y in zip(*row, strict=True)) / 3
        for row in zip(logits, labels, strict=True)
    ]
    assert float(plain) == pytest.approx(sum(expected))
    found = task.compute_loss(Fixed(logits), make_batch(labels), LossOptions(0.2, (1.0, 4.0, 2.0)))
    reference = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor([1.0, 4.0, 2.0]), reduction="sum")
    targets = torch.tensor(labels) * 0.8 + 0.1
    assert float(found) == pytest.approx(float(reference(torch.tensor(logits), targets)) / 3)
    records = task.predict(Fixed(logits), make_batch(labels), ())
    assert [record["loss"] for record in records] == pytest.approx(expected)


def test_a_label_is_given_from_the_threshold_on():
    (record,) = task.predict(Fixed([[2.0, -1.0, 0.0]]), make_batch([[1, 1, 0]]), ())
    assert task.list_scored([record], "label_sets") == ([[1, 0, 1]], [[1, 1, 0]])
    shown = task.present({**record, "threshold": 0.2}, ["a", "b", "c"])
    assert shown["prediction"] == ["a", "c", "b"]
    assert shown["label"] == ["a", "b"]
    assert shown["probabilities"]["b"] == pytest.approx(1 / (1 + math.e))
    assert task.present({"row": 0, "logits": [-9.0, -9.0]}, ["a", "b"])["prediction"] == []


def test_the_threshold_is_the_best_of_all_by_trying_each():
    draw = random.Random(3)
    logits = [[draw.gauss(0, 2) for _ in range(3)] for _ in range(40)]
    labels = [[int(x + draw.gauss(1, 1) > 0) for x in row] for row in logits]
    records = task.predict(Fixed(logits), make_batch(labels), ())

    def score(threshold):
        from ftkit.metrics import score

        return score(
            "multilabel_micro_f1",
            *task.list_scored([{**r, "threshold": threshold} for r in records], "label_sets"),
        )

    probabilities = [value for row in task.list_scored(records, "label_probabilities")[0] for value in row]
    assert score(task.find_threshold(records)) == pytest.approx(max(map(score, [0.5, *probabilities])))


def test_windows_are_pooled_by_their_mean_log_odds():
    records = task.predict(
        Fixed([[2.0, -4.0], [0.0, 0.0], [1.0, 0.0]]), make_batch([[1, 0]] * 3, [5, 6, 5]), ()
    )
    merged = task.merge(records, ())
    assert [record["row"] for record in merged] == [5, 6]
    assert merged[0]["logits"] == [1.5, -2.0]
    # the same by the mean of log-probabilities for and against, made to add up
    pro, con = (sum(math.log(1 / (1 + math.exp(-sign * x))) for x in (2.0, 1.0)) / 2 for sign in (1, -1))
    probability = math.exp(pro) / (math.exp(pro) + math.exp(con))
    assert task.list_scored(merged, "label_probabilities")[0][0][0] == pytest.approx(probability)


def test_the_trivial_answer_is_the_same_for_all_and_no_constant_one_is_better():
    labels = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 0]]
    records = task.predict(Fixed([[0.0] * 3] * 4), make_batch(labels), ())
    sets, true = task.list_scored(task.predict_trivially(records, [1, 1, 1]), "label_sets")
    assert sets == [sets[0]] * 4
    assert sets[0] == [1, 1, 0]  # micro-F1 10/13; with the first label alone 6/9
    assert true == labels


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def finetune(folder, model, **data):
    return ftkit.finetune(
        task="text-classification",
        model=str(model),
        data={
            "train": str(folder / "train.jsonl"),
            "test": str(folder / "test.jsonl"),
            "validation": "25%",
            **data,
        },
        training={"epochs": 10, "learning_rate": 1e-2, "batch_size": 8},
        output_dir=str(folder / "run"),
    )


@pytest.mark.parametrize("as_text", [False, True])
def test_a_model_learns_several_labels_and_plain_transformers_says_the_same(tmp_path, tiny_bert, as_text):
    write_rows(tmp_path / "train.jsonl", make_rows(160, 1, as_text=as_text))
    write_rows(tmp_path / "test.jsonl", make_rows(30, 2, as_text=as_text))
    run = finetune(tmp_path, tiny_bert, **({"label_separator": ";"} if as_text else {}))
    scores = run.report["scores"]
    assert list(scores) == ["majority", "base", "tuned"]
    # no constant answer is better than this one, so that the texts have been read
    assert scores["tuned"]["multilabel_micro_f1"] > scores["majority"]["multilabel_micro_f1"] + 0.1
    threshold = run.info["thresholds"]["tuned"]
    assert run.report["threshold"] == threshold
    assert run.info["problem_type"] == "multi_label"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(run.folder.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.folder.model)
    assert model.config.problem_type == "multi_label_classification"
    rows = [{"text": row["text"]} for row in make_rows(30, 2)]
    for row, found in zip(rows, ftkit.open_run(run.folder.path).predict(rows), strict=True):
        with torch.no_grad():
            probabilities = model(**tokenizer(row["text"], return_tensors="pt")).logits.sigmoid()[0].tolist()
        named = {model.config.id2label[place]: value for place, value in enumerate(probabilities)}
        assert found["probabilities"] == pytest.approx(named, abs=1e-5)
        assert found["threshold"] == threshold
        assert set(found["prediction"]) == {
            name for name, p in found["probabilities"].items() if p >= threshold
        }
    again = ftkit.evaluate(run)
    assert again.report["scores"] == {who: pytest.approx(scores[who], rel=1e-5) for who in ("base", "tuned")}


def test_separated_labels_where_there_is_one_are_a_contradiction(tmp_path, tiny_bert):
    write_rows(tmp_path / "train.jsonl", make_rows(20, 1, as_text=True))
    write_rows(tmp_path / "test.jsonl", make_rows(5, 2, as_text=True))
    with pytest.raises(RecipeError, match="data.label_separator: separates several labels"):
        finetune(tmp_path, tiny_bert, label_separator=";", problem_type="single_label")


def test_a_repeated_label_is_an_error_with_its_line(tmp_path, tiny_bert):
    write_rows(tmp_path / "train.jsonl", make_rows(20, 1))
    write_rows(tmp_path / "test.jsonl", [*make_rows(2, 2), {"text": "a", "label": ["money", "money"]}])
    with pytest.raises(DataError, match=r"test.jsonl:3: column 'label' has 'money' more than once"):
        finetune(tmp_path, tiny_bert)
