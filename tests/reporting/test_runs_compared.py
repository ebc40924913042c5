"""Runs side by side, from what they left on disk."""

import json
import random

import pytest
from sample_runs import make_report, write_json, write_lines, write_run
from test_page import read

import ftkit
from ftkit.errors import RunError
from ftkit.evaluation.comparison import compare_scores
from ftkit.evaluation.row_scores import measure_models

LABELS = ("ham", "spam")


def make_predictions(share_right, number=300, seed=0):
    """Rows with the same true labels, of which a share is answered rightly."""
    truth, draw = random.Random(7), random.Random(seed)
    for row in range(number):
        label = truth.choice(LABELS)
        other = LABELS[label == "ham"]
        right = draw.random() < share_right
        yield {
            "row": row,
            "prediction": label if right else other,
            "label": label,
            "loss": 0.1 if right else 2.0,
        }


def write_scored(folder, share_right, *, seed=0, **options):
    """A run whose report has the accuracy and the loss of its predictions."""
    lines = list(make_predictions(share_right, seed=seed))
    report = make_report(fingerprint=options.pop("fingerprint", "same"))
    accuracy = sum(line["prediction"] == line["label"] for line in lines) / len(lines)
    loss = sum(line["loss"] for line in lines) / len(lines)
    report["metrics"] = {
        "accuracy": {"greater_is_better": True, "unit": "share", "meaning": ""},
        "loss": {"greater_is_better": False, "unit": "nats", "meaning": ""},
    }
    report["scores"] = {"tuned": {"accuracy": accuracy, "loss": loss}}
    report["intervals"] = {}
    run = write_run(folder, report=report, **options)
    write_lines(run / "evaluation" / "predictions.jsonl", lines)
    return run


@pytest.fixture
def four(tmp_path):
    """Four runs that differ in one setting."""
    settings = ((0.70, 1e-5), (0.90, 1e-4), (0.71, 2e-4), (0.50, 1e-2))
    return [
        write_scored(tmp_path / f"run-{place}", share, seed=place, rate=rate)
        for place, (share, rate) in enumerate(settings)
    ]


def test_four_runs_that_differ_in_one_setting_show_it_and_who_is_better(four):
    comparison = ftkit.compare_runs(*four)
    assert comparison.differences == {"training.learning_rate": (1e-5, 1e-4, 2e-4, 1e-2)}
    verdicts = {(one["run"], one["metric"]): one["verdict"] for one in comparison.compared}
    assert verdicts["run-1", "accuracy"] == verdicts["run-1", "loss"] == "better"
    assert verdicts["run-2", "accuracy"] == "cannot tell"
    assert verdicts["run-3", "accuracy"] == verdicts["run-3", "loss"] == "worse"


def test_intervals_between_runs_are_those_of_the_rows_themselves(four):
    found = next(one for one in ftkit.compare_runs(*four).compared if one["metric"] == "accuracy")
    sides = [
        [
            [LABELS.index(line[name]) for line in make_predictions(share, seed=seed)]
            for name in ("prediction", "label")
        ]
        for share, seed in ((0.70, 0), (0.90, 1))
    ]
    pair = measure_models("accuracy", *map(tuple, sides))
    expected = compare_scores("accuracy", *pair, greater_is_better=True, seed=42)
    assert (found["low"], found["high"], found["p_value"]) == (expected.low, expected.high, expected.p_value)
    assert found["corrected_p_value"] >= found["p_value"]


def test_predictions_that_do_not_give_the_reported_score_are_not_compared(four):
    report = json.loads((four[1] / "evaluation" / "report.json").read_text())
    report["scores"]["tuned"]["accuracy"] += 0.01
    write_json(four[1] / "evaluation" / "report.json", report)
    comparison = ftkit.compare_runs(four[0], four[1])
    assert [one["metric"] for one in comparison.compared] == ["loss"]


def test_without_predictions_the_figures_stand_alone_and_the_reason_is_said(four):
    for run in four:
        (run / "evaluation" / "predictions.jsonl").unlink()
    comparison = ftkit.compare_runs(*four)
    assert comparison.compared == []
    assert "predictions.jsonl does not give the scores" in str(comparison)


def test_rows_in_another_order_are_not_paired(four):
    path = four[1] / "evaluation" / "predictions.jsonl"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    assert ftkit.compare_runs(four[0], four[1]).compared == []


def test_runs_on_other_rows_are_refused_unless_told(tmp_path, four):
    other = write_scored(tmp_path / "other", 0.9, fingerprint="different")
    with pytest.raises(RunError, match=r"rows: run-0 on .*same.*; other on .*different.*--any-rows"):
        ftkit.compare_runs(four[0], other)
    comparison = ftkit.compare_runs(four[0], other, any_rows=True)
    assert comparison.compared == []
    assert "different rows: their figures do not compare" in str(comparison)


@pytest.mark.parametrize("places", [[], [0], [0, 0]])
def test_fewer_than_two_runs_are_refused(four, places):
    with pytest.raises(RunError, match="compare: needs two runs or more"):
        ftkit.compare_runs(*(four[place] for place in places))


def test_an_unfinished_run_is_refused(tmp_path, four):
    with pytest.raises(RunError, match="not finished"):
        ftkit.compare_runs(four[0], write_run(tmp_path / "going", status="running"))


def test_runs_of_the_same_name_are_told_apart_by_their_paths(tmp_path):
    runs = [write_scored(tmp_path / side / "run", 0.8, seed=place) for place, side in enumerate("ab")]
    assert ftkit.compare_runs(*runs).names == tuple(map(str, runs))


def test_the_table_in_the_terminal_has_settings_scores_and_cost(four):
    lines = str(ftkit.compare_runs(*four)).splitlines()
    assert lines[0].split() == ["run-0", "run-1", "run-2", "run-3"]
    starts = [line.split("  ")[0] for line in lines]
    assert starts[1:5] == [
        "training.learning_rate",
        "accuracy (more is better)",
        "loss (less is better)",
        "held-out rows",
    ]
    assert lines[-1].startswith("run-3 against run-0: worse: loss")


def test_the_page_has_everything_and_escapes_names(four, tmp_path):
    strange = write_scored(tmp_path / "<script>alert(1)<", 0.6, seed=9)
    path = ftkit.compare_runs(*four, strange).write_page(tmp_path / "comparison.html")
    reader = read(path.read_text(encoding="utf-8"))
    text = "".join(reader.text)
    assert reader.tags.count("script") == 1
    for word in (
        "training.learning_rate",
        "0.01",
        "<script>alert(1)<",
        "Against run-0",
        "cannot tell",
        "Loss, smoothed",
    ):
        assert word in text, word
    assert reader.tags.count("figure") == 2


def test_a_notebook_shows_the_tables(four):
    shown = ftkit.compare_runs(*four)._repr_html_()
    assert "Against run-0" in shown
    assert "script" not in read(shown).tags


def test_all_of_it_is_json(four):
    values = json.loads(json.dumps(ftkit.compare_runs(*four).as_dict()))
    assert values["names"] == ["run-0", "run-1", "run-2", "run-3"]
    assert len(values["compared"]) == 6
