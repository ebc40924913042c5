"""Every task's predictions.jsonl against the scores of its own report."""

import random
from types import SimpleNamespace

import pytest

import ftkit
from ftkit.evaluation.saved_predictions import compare_saved, read_pairs

WORDS = ["free", "money", "win", "now", "hello", "world", "the", "cat", "sat", "on", "mat"]


def make_rows(task, seed, number=24):
    draw = random.Random(seed)
    for _ in range(number):
        text = " ".join(draw.choices(WORDS, k=draw.randint(3, 8)))
        yield {
            "text-classification": {"text": text, "label": draw.choice(["ham", "spam"])},
            "multi-label": {"text": text, "label": draw.sample(["a", "b", "c"], k=draw.randint(1, 3))},
            "regression": {"text": text, "label": draw.random()},
            "multiple-choice": {"question": text, "choices": ["cat", "mat"], "answer": draw.randint(0, 1)},
            "chat": {"prompt": text, "answer": draw.choice(WORDS)},
        }[task]


CASES = {
    "text-classification": ("bert", "text-classification", {"accuracy", "macro_f1", "loss"}, None),
    "multi-label": (
        "bert",
        "text-classification",
        {"multilabel_micro_f1", "average_precision", "loss"},
        None,
    ),
    "regression": ("bert", "text-classification", {"rmse", "pearson"}, None),
    "multiple-choice": ("bert", "multiple-choice", {"accuracy", "loss"}, None),
    "chat": ("llama", "chat", {"perplexity", "loss", "chrf"}, ["perplexity", "loss", "chrf"]),
}


@pytest.mark.parametrize("case", CASES)
def test_runs_are_paired_under_the_metrics_that_their_files_give(case, request, tmp_path):
    model, task, expected, metrics = CASES[case]
    runs = [
        ftkit.finetune(
            task=task, model=str(request.getfixturevalue(f"tiny_{model}")),
            data={"train": list(make_rows(case, 1)), "validation": None, "test": list(make_rows(case, 2)),
                  "max_tokens": 64},
            training={"max_steps": 1, "learning_rate": rate, "arguments": {"use_cpu": True},
                      "precision": "float32"},
            evaluation={"metrics": metrics, "baseline": False, "generation": {"max_new_tokens": 4}},
            output_dir=str(tmp_path / f"{rate}"),
        )
        for rate in (1e-5, 1e-2)
    ]  # fmt: skip
    compared = ftkit.compare_runs(*runs).compared
    assert {one["metric"] for one in compared} >= expected
    for one in compared:
        assert one["base"] == pytest.approx(runs[0].report["scores"]["tuned"][one["metric"]])
        assert one["tuned"] == pytest.approx(runs[1].report["scores"]["tuned"][one["metric"]])


def test_lines_that_lack_what_a_metric_scores_give_nothing():
    run = SimpleNamespace(info={"labels": ["a", "b"]})
    assert read_pairs([{"row": 0, "loss": 1.0}], "labels", run) is None
    assert read_pairs([], "losses", run) is None
    assert read_pairs([{"row": 0}], "tags", run) is None
    assert read_pairs([{"row": 0, "label": 3}], "label_sets", run) is None


def test_a_metric_that_ftkit_does_not_know_is_not_compared(tmp_path):
    run = SimpleNamespace(info={}, report={})
    assert compare_saved(run, run, "seen_elsewhere", ([], [])) is None
