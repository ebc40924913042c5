"""Whole runs whose rows are read while they train."""

import json
import random
from pathlib import Path

import pytest
from safetensors.torch import load_file

import ftkit
from ftkit.errors import RecipeError
from ftkit.recipe import make_recipe
from ftkit.training.trainer import StepTrainer

TIMES = {"tokens_per_second", "peak_memory_gb", "utilisation", "epoch"}


@pytest.fixture
def mails(tmp_path, monkeypatch):
    monkeypatch.setattr("ftkit.data.row_streams.ROWS_AT_ONCE", 6)
    draw = random.Random(5)
    for name, number in (("a.jsonl", 24), ("b.jsonl", 17), ("test.jsonl", 9)):
        rows = [
            {"text": " ".join(draw.choices(["free", "money", "月光", "cat", "the"], k=draw.randint(1, 20)))}
            for _ in range(number)
        ]
        lines = [{**row, "label": "spam" if "free" in row["text"] else "ham"} for row in rows]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def finetune(folder, model, *, name="run", max_steps=14, training=None, **data):
    return ftkit.finetune(
        task="text-classification",
        model=str(model),
        data={
            "train": [str(folder / "a.jsonl"), str(folder / "b.jsonl")],
            "test": str(folder / "test.jsonl"),
            "validation": None,
            "leakage": "allow",
            "max_tokens": 24,
            "too_long": "drop",
            "clean": ["white_space", {"min_characters": 4}],
            "label_names": ["ham", "spam"],
            "problem_type": "single_label",
            **data,
        },
        training={
            "max_steps": max_steps,
            "batch_size": 4,
            "learning_rate": 1e-2,
            "precision": "float32",
            "log_every": 1,
            "checkpoint_every": 3,
            "save_total_limit": 9,
            "arguments": {"use_cpu": True},
            **(training or {}),
        },
        checks={"unknown_tokens": 1.0, "rows_left_out": 1.0},
        output_dir=str(folder / name),
    )


def read_weights(run):
    return {name: each.numpy() for name, each in load_file(run.folder.model / "model.safetensors").items()}


def read_metrics(run):
    lines = map(json.loads, run.folder.metrics.read_text(encoding="utf-8").splitlines())
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


def read_rejected(run):
    return (run.folder.data / "rejected.jsonl").read_text(encoding="utf-8")


def assert_same(one, other):
    mine, theirs = read_weights(one), read_weights(other)
    assert mine.keys() == theirs.keys()
    assert all((mine[name] == theirs[name]).all() for name in mine)


def test_without_a_buffer_it_is_the_run_of_stored_rows_in_the_same_order(mails, tiny_bert, monkeypatch):
    # Within one pass: behind it, stored rows make a new loader, which draws from the numbers of dropout.
    streamed = finetune(mails, tiny_bert, max_steps=8, streaming=True, shuffle_buffer=0)
    monkeypatch.setattr("ftkit.training.steps.plan_epoch", plan_in_order)
    stored = finetune(mails, tiny_bert, name="stored", max_steps=8)
    assert_same(streamed, stored)
    assert [line["loss"] for line in read_metrics(streamed) if "loss" in line] == [
        line["loss"] for line in read_metrics(stored) if "loss" in line
    ]
    assert sorted(read_rejected(streamed).splitlines()) == sorted(read_rejected(stored).splitlines())
    mine, theirs = streamed.report, stored.report
    key = str
    assert sorted(mine["changes"], key=key) == sorted(theirs["changes"], key=key)
    for who in ("base", "tuned"):  # what needs no model goes by the labels of the first rows
        assert mine["scores"][who] == theirs["scores"][who]
    train = mine["data"]["train"]
    assert train["streamed"] is True
    assert (train["read"], train["passes"]) == (41, 1)
    assert {name: train[name] for name in ("number", "examples", "rejected")} == {
        name: theirs["data"]["train"][name] for name in ("number", "examples", "rejected")
    }


def plan_in_order(num_examples, batch_size, *, seed, epoch, mixture=None):
    return [
        list(range(start, min(start + batch_size, num_examples)))
        for start in range(0, num_examples, batch_size)
    ]


@pytest.mark.parametrize("killed_at", [2, 8, 13])
def test_killed_and_continued_it_is_the_run_that_was_never_killed(mails, tiny_bert, monkeypatch, killed_at):
    options = {"streaming": True, "shuffle_buffer": 7}
    whole = finetune(mails, tiny_bert, name="whole", **options)
    original = StepTrainer.training_step

    def die(self, *arguments, **named):
        if self.state.global_step == killed_at:
            raise RuntimeError("killed")
        return original(self, *arguments, **named)

    monkeypatch.setattr(StepTrainer, "training_step", die)
    with pytest.raises(RuntimeError, match="killed"):
        finetune(mails, tiny_bert, **options)
    monkeypatch.setattr(StepTrainer, "training_step", original)
    continued = finetune(mails, tiny_bert, **options)
    assert_same(whole, continued)
    assert read_metrics(whole) == read_metrics(continued)
    assert read_rejected(whole) == read_rejected(continued)
    assert whole.report["changes"] == continued.report["changes"]
    assert whole.report["data"] == continued.report["data"]


def test_what_needs_all_rows_is_refused_with_one_error_each(mails, tiny_bert):
    with pytest.raises(RecipeError) as caught:
        ftkit.finetune(
            task="text-classification",
            model=str(tiny_bert),
            data={
                "train": str(mails / "a.jsonl"),
                "streaming": True,
                "test": str(mails / "test.jsonl"),
                "clean": ["white_space", "repeated_lines", "near_duplicates"],
            },
            training={"class_weights": "balanced", "epochs": 2, "arguments": {"dataloader_num_workers": 2}},
            output_dir=str(mails / "run"),
        )
    settings = [line.split(": ")[0] for line in str(caught.value).splitlines()]
    assert sorted(settings) == [
        *("data.clean[1]", "data.clean[2]", "data.label_names", "data.leakage", "data.problem_type"),
        *("data.validation", "training.arguments.dataloader_num_workers", "training.class_weights"),
        *("training.epochs", "training.max_steps"),
    ]
    assert all("streaming" in line for line in str(caught.value).splitlines())


@pytest.mark.parametrize(
    ("data", "setting"),
    [
        ({"shuffle_buffer": 5}, "data.shuffle_buffer"),
        ({"streaming": True, "test": "10%"}, "data.test"),
        ({"streaming": True, "leakage": {"action": "allow", "against": ["a.jsonl"]}}, "data.leakage"),
        ({"streaming": True, "mixing": {"temperature": 2}, "train": ["a", "b"]}, "data.mixing.temperature"),
        ({"streaming": True, "train": [{"source": "a", "weight": 2}, "b"]}, "data.train"),
    ],
)
def test_other_settings_that_a_stream_cannot_have_are_refused(data, setting):
    sections = {
        "task": "causal-lm",
        "model": "model",
        "data": {"train": "a.jsonl", "validation": None, **data},
        "training": {"max_steps": 3},
    }
    with pytest.raises(RecipeError, match=f"^{setting}: "):
        make_recipe(sections, folder=Path())


def test_a_stream_is_switched_off_and_its_buffer_may_stay(mails, tiny_bert):
    sections = {"train": str(mails / "a.jsonl"), "streaming": False, "shuffle_buffer": 5}
    recipe = make_recipe({"task": "causal-lm", "model": "model", "data": sections}, folder=Path())
    assert recipe.data.streaming is False
