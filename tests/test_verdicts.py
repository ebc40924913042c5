"""Runs that are known to be bad, or to be nothing, and what their verdict is."""

import math
import random
from types import SimpleNamespace

import pytest
from report_contents import check_report
from test_pipeline import make_mails, spam_recipe, write_rows

import ftkit
from ftkit.data import load_rows
from ftkit.evaluation.analysis import analyse
from ftkit.evaluation.scoring import score_records
from ftkit.recipe import EvaluationSection
from ftkit.tasks import Encoding, text_classification

METRICS = ["accuracy", "loss"]


@pytest.fixture
def mails(tmp_path):
    write_rows(tmp_path / "train.jsonl", make_mails(90, 1))
    write_rows(tmp_path / "test.jsonl", make_mails(60, 2))
    return tmp_path


def test_a_run_on_shuffled_labels_is_worse_than_the_good_model_that_it_began_with(mails, tiny_bert):
    good = ftkit.finetune(spam_recipe(mails, tiny_bert))
    assert good.report["verdict"]["verdict"] == "better"
    rows = list(make_mails(90, 1))
    labels = [row["label"] for row in rows]
    random.Random(0).shuffle(labels)
    write_rows(
        mails / "train.jsonl", [{**row, "label": label} for row, label in zip(rows, labels, strict=True)]
    )
    recipe = ftkit.load_recipe(spam_recipe(mails, good.folder.model), [f"output_dir={mails / 'bad'}"])
    bad = ftkit.finetune(recipe).report
    check_report(bad)
    assert bad["verdict"]["verdict"] == "worse"
    assert bad["verdict"]["sentence"].startswith("worse: macro_f1 1.0")
    assert bad["errors"]["num_broken"] > bad["errors"]["num_fixed"]
    assert any("got worse" in warning for warning in bad["warnings"])


def test_a_run_that_learns_nothing_is_no_change(mails, tiny_bert):
    recipe = ftkit.load_recipe(spam_recipe(mails, tiny_bert), ["training.learning_rate=1e-12"])
    report = ftkit.finetune(recipe).report
    assert {one["verdict"] for one in report["comparisons"]} == {"no change"}
    assert report["warnings"] == []


def make_null_run(seed, shift):
    """Simulate a classifier, and the same one after tuning that moved each log-odds by `shift` at most."""
    draw = random.Random(seed)
    models = {"base": [], "tuned": []}
    for row in range(60):
        label, odds = draw.randrange(2), draw.gauss(0, 2)
        for who, moved in (("base", odds), ("tuned", odds + draw.uniform(-shift, shift))):
            logs = [-math.log1p(math.exp(moved)), -math.log1p(math.exp(-moved))]
            models[who].append(text_classification._make_record(row, logs, label))
    return models


@pytest.fixture(scope="module")
def split():
    rows = load_rows(
        [{"text": "free money" if row % 2 else "床前明月光", "label": "ham"} for row in range(60)]
    )
    import datasets

    examples = datasets.Dataset.from_dict(
        {"row": list(range(60)), "input_ids": [[1] * (row % 7 + 1) for row in range(60)]}
    )
    return SimpleNamespace(name="test", rows=rows, examples=examples, encoding=Encoding(9, "truncate"))


@pytest.mark.parametrize("shift", [0.0, 1e-7, 0.02], ids=["nothing", "rounding", "noise"])
def test_a_null_run_is_never_better_nor_worse_in_a_hundred_seeds(split, shift):
    checkpoint = SimpleNamespace(labels=("ham", "spam"), tokenizer=None)
    verdicts = set()
    for seed in range(100):
        records = make_null_run(seed, shift)
        scored = {who: score_records(some, text_classification, METRICS) for who, some in records.items()}
        found = analyse(
            scored, split, text_classification, checkpoint, METRICS, EvaluationSection(errors=0), seed=seed
        )
        verdicts |= {found["verdict"]["verdict"]}
        assert found["warnings"] == []
    assert verdicts <= {"no change", "cannot tell"}
    if shift < 1e-6:
        assert verdicts == {"no change"}
