"""A number for a text."""

import json
import random
from types import SimpleNamespace

import pytest
import torch
import transformers
from tiny_models import make_wordpiece_tokenizer, save_tiny_model

import ftkit
from ftkit.errors import DataError, RecipeError
from ftkit.tasks import regression as task
from ftkit.tasks.protocol import Encoding, LossOptions


class Fixed(torch.nn.Module):
    """A model whose numbers are given."""

    def __init__(self, numbers):
        super().__init__()
        self.logits = torch.tensor(numbers)[:, None]
        self.config = SimpleNamespace()

    def forward(self, **_):
        return self


def make_batch(labels, rows):
    return {
        "labels": torch.tensor(labels, dtype=torch.float64),
        "row": torch.tensor(rows),
        "weights": torch.tensor([1 / rows.count(row) for row in rows]),
    }


def make_rows(number, seed):
    """Texts whose number is the share of good words, less that of bad ones."""
    draw = random.Random(seed)
    for _ in range(number):
        words = draw.choices(["good", "bad", "the", "mat"], k=6)
        yield {"text": " ".join(words), "label": (words.count("good") - words.count("bad")) / 4}


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    write_rows(tmp_path / "train.jsonl", make_rows(120, 1))
    write_rows(tmp_path / "test.jsonl", make_rows(30, 2))
    return tmp_path


def finetune(folder, model, data=None, **training):
    return ftkit.finetune(
        task="text-classification",
        model=str(model),
        data={"train": str(folder / "train.jsonl"), "test": str(folder / "test.jsonl"), **(data or {})},
        training={"epochs": 8, "learning_rate": 1e-2, "batch_size": 8, **training},
        output_dir=str(folder / "run"),
    )


@pytest.mark.parametrize("label", [None, "much", True, float("nan"), [1.0]])
def test_what_is_no_number_is_a_problem(label):
    problem = task.check_row({"text": "a", "label": label}, Encoding(8, "truncate"))
    assert problem is not None
    assert "regression needs a number" in problem


def test_there_is_one_output_and_rows_without_numbers_are_refused():
    assert task.read_labels([{"label": 1}, {"label": "2.5"}, {"label": "x"}], None) == {"LABEL_0": 2}
    with pytest.raises(DataError, match="found none"):
        task.read_labels([{"label": "x"}], None)


def test_numbers_as_text_are_read():
    encoding = Encoding(8, "truncate", labels=("LABEL_0",))
    rows = enumerate([{"text": "a", "label": "0.25"}, {"text": "a", "label": -100}])
    examples = list(task.encode(rows, make_wordpiece_tokenizer(), encoding, lambda *_: None))
    assert [example["labels"] for example in examples] == [0.25, -100.0]


def test_the_loss_is_the_squared_error_and_windows_share_their_row():
    batch = make_batch([1.0, 1.0, -100.0], [0, 0, 1])
    loss = task.compute_loss(Fixed([3.0, 0.0, -99.0]), batch, LossOptions())
    assert float(loss) == pytest.approx(4 / 2 + 1 / 2 + 1)
    assert task.count_items(batch) == 2


def test_windows_are_averaged_and_the_trivial_answer_is_the_mean():
    batch = make_batch([1.0, 2.0, 1.0], [0, 1, 0])
    merged = task.merge(task.predict(Fixed([3.0, 0.5, 1.0]), batch, ()), ())
    assert task.list_scored(merged, "numbers") == ([2.0, 0.5], [1.0, 2.0])
    assert task.present(merged[0], ()) == {"row": 0, "label": 1.0, "prediction": 2.0}
    assert task.list_scored(task.predict_trivially(merged, [2]), "numbers")[0] == [1.5, 1.5]


def test_numbers_are_learned_and_plain_transformers_says_the_same(folder, tiny_bert):
    run = finetune(folder, tiny_bert)
    scores = run.report["scores"]
    assert scores["tuned"]["pearson"] > 0.8
    assert scores["tuned"]["rmse"] < scores["majority"]["rmse"]
    assert run.info["problem_type"] == "regression"
    model = transformers.AutoModelForSequenceClassification.from_pretrained(run.folder.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.folder.model)
    assert (model.config.problem_type, model.config.num_labels) == ("regression", 1)
    found = run.predict(["good good mat", "bad bad the"])
    for one, text in zip(found, ["good good mat", "bad bad the"], strict=True):
        with torch.no_grad():
            expected = float(model(**tokenizer(text, return_tensors="pt")).logits)
        assert one["prediction"] == pytest.approx(expected, abs=1e-5)
    assert found[0]["prediction"] > found[1]["prediction"]


def test_the_head_of_a_regression_model_is_kept(folder, tmp_path):
    config = transformers.BertConfig(
        vocab_size=300,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        num_labels=1,
    )
    tokenizer = make_wordpiece_tokenizer()
    base = save_tiny_model("BertForSequenceClassification", config, tokenizer, tmp_path / "base")
    run = finetune(folder, base, max_steps=1)
    assert not any("no trained head" in note for note in run.report["notes"])


@pytest.mark.parametrize(
    ("data", "training", "setting"),
    [
        ({}, {"class_weights": "balanced"}, "training.class_weights"),
        ({}, {"label_smoothing_factor": 0.1}, "training.label_smoothing_factor"),
        ({"label_names": ["a", "b"]}, {}, "data.label_names"),
    ],
)
def test_settings_for_labels_are_refused(folder, tiny_bert, data, training, setting):
    with pytest.raises(
        RecipeError, match=rf"{setting}: the task text-classification \(regression\) does not read"
    ):
        finetune(folder, tiny_bert, data, **training)
