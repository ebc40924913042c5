"""What holds for each metric that ftkit has."""

import json
import math
import random
import subprocess
import sys

import numpy as np
import pytest

from ftkit.errors import MetricError
from ftkit.metrics import (
    METRIC_KINDS,
    METRICS,
    has_sums,
    load_metric,
    measure_rows,
    score,
    score_rows,
    score_sums,
)
from ftkit.metrics.scorers import SCORERS

NAMES = list(METRICS)
ADDITIVE = [name for name in NAMES if has_sums(name)]
HEAVY = [
    "torch",
    "transformers",
    "datasets",
    "evaluate",
    "sklearn",
    "scipy",
    "sacrebleu",
    "nltk",
    "pandas",
    "numpy",
]

WORDS = [
    "the",
    "small",
    "dog",
    "sees",
    "a",
    "big",
    "red",
    "house",
    "near",
    "water",
    "and",
    "runs",
    "home",
    "quickly",
]
TAGS = ["O", "O", "B-PER", "I-PER", "B-LOC"]


def make_rows(kind, number=40, seed=0):  # noqa: C901 - a table
    """Give plausible predictions and references of a kind: some right, some wrong."""
    draw = random.Random(seed)
    match kind:
        case "labels":
            references = [draw.randrange(4) for _ in range(number)]
            predictions = [label if draw.random() < 0.6 else draw.randrange(4) for label in references]
        case "label_sets":
            references = [[draw.randrange(2) for _ in range(5)] for _ in range(number)]
            predictions = [[bit if draw.random() < 0.7 else 1 - bit for bit in row] for row in references]
        case "label_probabilities":
            references = [[draw.randrange(2) for _ in range(5)] for _ in range(number)]
            predictions = [[(bit + 2 * draw.random()) / 3 for bit in row] for row in references]
        case "numbers":
            references = [draw.gauss(3, 2) for _ in range(number)]
            predictions = [value + draw.gauss(0, 1) for value in references]
        case "losses" | "byte_losses":
            references = [draw.randrange(1, 30) for _ in range(number)]
            predictions = [count * draw.uniform(0.5, 3) for count in references]
        case "counts":
            references = [draw.randrange(1, 9) for _ in range(number)]
            predictions = [draw.randint(0, count) for count in references]
        case "json_texts":
            calls = [{"name": word, "arguments": {"place": word}} for word in ("cat", "dog", "bird")]
            references = [json.dumps(draw.choice(calls)) for _ in range(number)]
            predictions = [text if draw.random() < 0.5 else json.dumps(calls[0]) for text in references]
        case "schemas":
            references = ["{}"] * number
            predictions = [draw.choice(['{"a": 1}', "{a: 1}"]) for _ in range(number)]
        case "samples":
            references = [10] * number
            predictions = [draw.randint(0, 10) for _ in range(number)]
        case "tags":
            references = [[draw.choice(TAGS) for _ in range(draw.randrange(1, 9))] for _ in range(number)]
            predictions = [[tag if draw.random() < 0.8 else "O" for tag in row] for row in references]
        case "answers":
            references = [
                [" ".join(draw.choices(WORDS, k=3))] if draw.random() < 0.8 else [] for _ in range(number)
            ]
            predictions = [
                row[0] if row and draw.random() < 0.5 else draw.choice(["", "dog"]) for row in references
            ]
        case "texts":
            references = [" ".join(draw.choices(WORDS, k=draw.randrange(6, 12))) for _ in range(number)]
            predictions = [
                text
                if draw.random() < 0.3
                else " ".join(word for word in text.split() if draw.random() < 0.8)
                for text in references
            ]
    return predictions, references


def make_best(kind):
    """Give predictions that are as good as can be."""
    _, references = make_rows(kind)
    if kind in ("losses", "byte_losses"):
        return [0.0] * len(references), references
    if kind == "schemas":
        return ["[]"] * len(references), references
    if kind == "answers":
        return [row[0] if row else "" for row in references], references
    return references, references


@pytest.mark.parametrize("name", NAMES)
def test_a_metric_says_what_it_scores_and_how_to_read_it(name):
    info = METRICS[name]
    assert info.name == name
    assert info.kind in METRIC_KINDS
    assert info.meaning
    assert info.source
    assert info.unit
    assert info.needs_generation == (info.kind in ("texts", "json_texts", "schemas", "samples"))


def test_each_metric_is_computed_and_nothing_else():
    assert set(SCORERS) == set(METRICS)


@pytest.mark.parametrize("name", NAMES)
def test_a_score_lies_within_the_stated_range(name):
    low, high = METRICS[name].range
    assert low <= score(name, *make_rows(METRICS[name].kind)) <= (math.inf if high is None else high)


@pytest.mark.parametrize("name", NAMES)
def test_perfect_predictions_reach_the_best_end_of_the_range(name):
    info = METRICS[name]
    best = info.range[1] if info.greater_is_better else info.range[0]
    assert score(name, *make_best(info.kind)) == pytest.approx(best, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_worse_predictions_score_worse_in_the_stated_direction(name):
    info = METRICS[name]
    better, worse = score(name, *make_best(info.kind)), score(name, *make_rows(info.kind))
    assert better > worse if info.greater_is_better else better < worse


@pytest.mark.parametrize("name", NAMES)
def test_a_score_is_a_plain_float_that_json_can_hold(name):
    value = score(name, *make_rows(METRICS[name].kind))
    assert type(value) is float
    assert json.loads(json.dumps(value, allow_nan=False)) == value


@pytest.mark.parametrize("name", NAMES)
def test_the_order_of_rows_does_not_matter(name):
    predictions, references = make_rows(METRICS[name].kind)
    expected = pytest.approx(score(name, predictions, references), rel=1e-12)
    assert score(name, predictions[::-1], references[::-1]) == expected


@pytest.mark.parametrize("name", NAMES)
def test_saying_each_row_twice_changes_nothing(name):
    predictions, references = make_rows(METRICS[name].kind)
    expected = pytest.approx(score(name, predictions, references), rel=1e-9)
    assert score(name, predictions * 2, references * 2) == expected


@pytest.mark.parametrize(
    "name", [name for name in NAMES if METRICS[name].kind in ("labels", "numbers", "losses")]
)
def test_arrays_score_as_lists_do(name):
    predictions, references = make_rows(METRICS[name].kind)
    expected = score(name, predictions, references)
    assert score(name, np.array(predictions), np.array(references)) == expected


@pytest.mark.parametrize("name", NAMES)
def test_nothing_to_score_is_an_error(name):
    with pytest.raises(MetricError, match="nothing to score; found 0 rows"):
        score(name, [], [])


@pytest.mark.parametrize("name", NAMES)
def test_more_predictions_than_references_are_an_error(name):
    predictions, references = make_rows(METRICS[name].kind)
    with pytest.raises(MetricError, match="found 40 predictions and 39 references"):
        score(name, predictions, references[:-1])


@pytest.mark.parametrize("name", NAMES)
def test_one_row_is_scored_without_a_warning(name):
    value = score(name, *make_rows(METRICS[name].kind, number=1, seed=3))
    assert math.isfinite(value)


@pytest.mark.parametrize("name", NAMES)
def test_the_metric_of_evaluate_computes_the_same(name):
    predictions, references = make_rows(METRICS[name].kind)
    found = load_metric(name).compute(predictions=predictions, references=references)
    assert found == {name: pytest.approx(score(name, predictions, references), rel=1e-12)}


@pytest.mark.parametrize("name", ADDITIVE)
def test_sums_over_rows_give_the_score(name):
    predictions, references = make_rows(METRICS[name].kind)
    rows = measure_rows(name, predictions, references)
    assert rows.shape[0] == len(references)
    assert score_sums(name, rows.sum(axis=0)) == pytest.approx(score(name, predictions, references), rel=1e-9)


@pytest.mark.parametrize("name", ADDITIVE)
def test_sums_over_drawn_rows_give_the_score_of_those_rows(name):
    predictions, references = make_rows(METRICS[name].kind)
    rows = measure_rows(name, predictions, references)
    chosen = np.random.default_rng(0).integers(len(references), size=len(references))
    expected = score(name, [predictions[row] for row in chosen], [references[row] for row in chosen])
    assert score_sums(name, rows[chosen].sum(axis=0)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["accuracy", "rougeL", "exact_match", "answer_f1", "mae", "subset_accuracy"])
def test_the_mean_of_row_scores_is_the_score_where_a_metric_averages_rows(name):
    predictions, references = make_rows(METRICS[name].kind)
    rows = score_rows(name, predictions, references)
    assert rows.mean() == pytest.approx(score(name, predictions, references), rel=1e-12)


def test_a_row_without_anything_to_score_is_nan_among_row_scores():
    rows = score_rows("loss", [3.0, 0.0], [2, 0])
    assert rows[0] == 1.5
    assert np.isnan(rows[1])
    assert np.isnan(score_rows("entity_f1", [["O"]], [["O"]])[0])


def test_a_metric_that_does_not_add_up_says_so():
    assert not has_sums("spearman")
    with pytest.raises(MetricError, match=r"spearman: its rows do not add up.*call score"):
        measure_rows("spearman", [1, 2], [1, 2])


def test_rows_of_two_models_measured_together_share_their_columns():
    references = [0, 1, 2]
    base, tuned = [0, 0, 0], [0, 1, 3]
    rows = measure_rows("macro_f1", base + tuned, references + references)
    assert score_sums("macro_f1", rows[:3].sum(axis=0)) == pytest.approx(score("macro_f1", base, references))
    assert score_sums("macro_f1", rows[3:].sum(axis=0)) == pytest.approx(score("macro_f1", tuned, references))


def test_importing_the_room_imports_nothing_heavy():
    code = f"import sys, ftkit.metrics; print([name for name in {HEAVY!r} if name in sys.modules])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
