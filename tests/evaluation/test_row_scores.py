"""Rows under a metric: each clever way beside the metric computed anew."""

import numpy as np
import pytest

from ftkit.errors import MetricError
from ftkit.evaluation.row_scores import (
    Difference,
    RescoredRows,
    SummedRows,
    _repeat,
    _score_or_nan,
    average,
    divide_sums,
    measure_models,
    number_groups,
)
from ftkit.metrics import METRICS, get_ratio, score

REFERENCES = ["ham", "spam", "ham", "广告", "spam", "ham", "广告", "ham"]
BASE = ["ham", "ham", "ham", "广告", "spam", "spam", "ham", "ham"]
TUNED = ["ham", "spam", "ham", "广告", "spam", "ham", "ham", "spam"]
LOSSES = (np.array([9.0, 4.0, 7.5, 2.0]), [3, 2, 4, 1])
SHORTER_LOSSES = (np.array([6.0, 4.5, 5.0, 1.0]), [3, 2, 4, 1])
TEXTS = ["the cat sat on the mat today", "a dog barked at the moon", "we went home early then"]
OTHER_TEXTS = ["the cat sat on a mat today", "a dog was barking at the moon", "we went home late then"]
FOUND = ([0.9, 0.2, 0.6, 0.4], [1, 0, 1, 0])

EACH_KIND = [
    ("accuracy", (BASE, REFERENCES), (TUNED, REFERENCES)),
    ("macro_f1", (BASE, REFERENCES), (TUNED, REFERENCES)),
    ("matthews_correlation", (BASE, REFERENCES), (TUNED, REFERENCES)),
    ("perplexity", LOSSES, SHORTER_LOSSES),
    ("bleu", (TEXTS, TEXTS[::-1]), (OTHER_TEXTS, TEXTS)),
    ("spearman", ([1.0, 2.0, 3.0, 5.0], [1.0, 3.0, 2.0, 4.0]), ([1.0, 3.0, 2.5, 5.0], [1.0, 3.0, 2.0, 4.0])),
]


def choose(model, places):
    return tuple([side[place] for place in places] for side in model)


@pytest.mark.parametrize(("metric", "base", "tuned"), EACH_KIND)
def test_the_score_of_all_rows_is_the_metric(metric, base, tuned):
    measured = measure_models(metric, base, tuned)
    assert [model.score() for model in measured] == pytest.approx(
        [score(metric, *base), score(metric, *tuned)]
    )


@pytest.mark.parametrize(("metric", "base", "tuned"), EACH_KIND)
def test_a_resample_scores_like_the_metric_over_the_drawn_rows(metric, base, tuned):
    num_rows = len(base[0])
    drawn = [0, 0, 1, 2] + [num_rows - 1] * (num_rows - 4) if num_rows > 3 else [0, 0, 2]
    counts = np.bincount(drawn, minlength=num_rows)[None].astype(float)
    for model, measured in zip((base, tuned), measure_models(metric, base, tuned), strict=True):
        assert measured.score_resamples(counts) == pytest.approx([score(metric, *choose(model, drawn))])


@pytest.mark.parametrize(("metric", "base", "tuned"), EACH_KIND)
def test_leaving_one_out_scores_like_the_metric_over_the_others(metric, base, tuned):
    measured = measure_models(metric, base, tuned)[1]
    places = range(len(base[0]))
    others = [choose(tuned, [place for place in places if place != left_out]) for left_out in places]
    assert measured.leave_one_out() == pytest.approx([score(metric, *rows) for rows in others])


@pytest.mark.parametrize(("metric", "base", "tuned"), EACH_KIND)
def test_an_exchange_scores_like_the_metric_over_the_mixed_rows(metric, base, tuned):
    first, second = measure_models(metric, base, tuned)
    num_rows = len(base[0])
    swaps = np.zeros((2, num_rows))
    swaps[1, [0, num_rows - 1]] = 1
    mixed = tuple(
        [theirs if swap else mine for mine, theirs, swap in zip(*sides, swaps[1], strict=True)]
        for sides in zip(base, tuned, strict=True)
    )
    assert first.exchange(second, swaps) == pytest.approx([score(metric, *base), score(metric, *mixed)])


def test_a_metric_that_adds_up_is_summed_and_another_is_rescored():
    assert isinstance(measure_models("accuracy", (BASE, REFERENCES), (TUNED, REFERENCES))[0], SummedRows)
    assert isinstance(measure_models("spearman", FOUND, FOUND)[0], RescoredRows)


def test_columns_mean_the_same_where_only_one_model_predicts_a_label():
    base, tuned = measure_models("macro_f1", (["a"] * 4, list("aabb")), (list("aabc"), list("aabb")))
    assert base.statistics.shape == tuned.statistics.shape
    assert [base.score(), tuned.score()] == pytest.approx(
        [score("macro_f1", ["a"] * 4, list("aabb")), score("macro_f1", list("aabc"), list("aabb"))]
    )


def test_options_reach_the_metric():
    model = (["Ja", "nein"], ["ja", "nein"])
    assert measure_models("exact_match", model, model)[0].score() == 0.5
    assert measure_models("exact_match", model, model, ignore_case=True)[0].score() == 1.0


def test_the_bounds_are_those_of_the_metric():
    base, tuned = measure_models("perplexity", LOSSES, SHORTER_LOSSES)
    assert base.bounds == (1.0, np.inf)
    share = average([0.0, 1.0], bounds=(0, 1))
    assert Difference(share, share).bounds == (-1, 1)
    assert Difference(tuned, base).bounds == (-np.inf, np.inf)


def test_models_with_different_rows_are_refused():
    with pytest.raises(MetricError, match="accuracy: both models .* found 8 of the base and 7 of the tuned"):
        measure_models("accuracy", (BASE, REFERENCES), (TUNED[1:], REFERENCES[1:]))


def test_a_resample_without_a_token_has_no_score():
    base, _ = measure_models("perplexity", ([2.0, 0.0], [2, 0]), ([2.0, 0.0], [2, 0]))
    assert np.isnan(base.score_resamples(np.array([[0.0, 2.0]]))).all()
    assert np.isnan(divide_sums(np.zeros((1, 2)))).all()


def test_a_resample_that_cannot_be_rescored_has_no_score():
    def refuse(*_):
        raise MetricError("only negative rows")

    rows = RescoredRows([[(1, 1)], [(0, 0)]], refuse)
    assert np.isnan(rows.leave_one_out()).all()


@pytest.mark.parametrize(("metric", "base", "tuned"), EACH_KIND)
def test_merged_rows_score_as_before_and_are_drawn_together(metric, base, tuned):
    measured = measure_models(metric, base, tuned)[1]
    num_rows = len(base[0])
    group_of_row = np.array([0, *[1] * (num_rows - 1)])
    merged = measured.merge(group_of_row, 2)
    assert len(merged) == 2
    assert merged.score() == pytest.approx(measured.score())
    assert merged.bounds == measured.bounds
    drawn = [*range(1, num_rows), *range(1, num_rows)]
    expected = score(metric, *choose(tuned, drawn))
    assert merged.score_resamples(np.array([[0.0, 2.0]])) == pytest.approx([expected])


def test_groups_are_numbered_by_whatever_names_them():
    numbers, num_groups = number_groups(["b", ("a", 1), "b", 7])
    assert numbers.tolist() == [0, 1, 0, 2]
    assert num_groups == 3


def test_models_agree_in_spite_of_rounding_but_not_of_a_changed_row():
    base, tuned = measure_models("perplexity", LOSSES, (LOSSES[0] * (1 + 1e-7), LOSSES[1]))
    assert base.agrees_with(tuned)
    base, tuned = measure_models("perplexity", LOSSES, SHORTER_LOSSES)
    assert not base.agrees_with(tuned)


def test_rescored_models_agree_only_where_each_row_does():
    same, other = measure_models("spearman", FOUND, ([0.9, 0.2, 0.6, 0.3], FOUND[1]))
    assert same.agrees_with(same)
    assert not same.agrees_with(other)


def test_a_difference_subtracts_the_base_from_the_tuned_model():
    difference = Difference(average([2.0, 4.0, 9.0]), average([1.0, 1.0, 1.0]))
    assert len(difference) == 3
    assert difference.score() == 4.0
    assert difference.leave_one_out().tolist() == [5.5, 4.5, 2.0]
    assert difference.score_resamples(np.array([[3.0, 0.0, 0.0]])).tolist() == [1.0]


@pytest.mark.parametrize("name", sorted(METRICS))
def test_ratios_computed_at_once_are_those_computed_one_by_one(name):
    ratio = get_ratio(name)
    is_plain = name in {"macro_f1", "multilabel_micro_f1", "entity_f1", "bleu", "chrf", "pearson", "spearman"}
    assert (ratio is None) or not is_plain
    if ratio is None:
        return
    rng = np.random.default_rng(0)
    sums = np.stack([rng.random(50) * 9, rng.integers(0, 5, 50)], axis=1)
    sums[0, 1] = 0
    slow = [_score_or_nan(name, vector) for vector in sums]
    assert _repeat(name)(sums) == pytest.approx(slow, nan_ok=True)
