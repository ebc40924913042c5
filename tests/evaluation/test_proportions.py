"""Closed forms for right-or-wrong rows, against scipy, statsmodels and exact enumeration."""

import numpy as np
import pytest
import scipy.stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from ftkit.evaluation.proportions import (
    mcnemar_p_value,
    read_right_or_wrong,
    share_difference_interval,
    share_interval,
)
from ftkit.evaluation.resampling import NO_INTERVAL
from ftkit.evaluation.row_scores import RescoredRows, SummedRows, average, divide_sums, measure_models


@pytest.mark.parametrize(("num_right", "num_rows"), [(0, 20), (1, 6), (37, 50), (412, 412)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_the_interval_of_a_share_is_that_of_statsmodels(num_right, num_rows, confidence):
    interval = share_interval(num_right, num_rows, confidence)
    expected = proportion_confint(num_right, num_rows, alpha=1 - confidence, method="wilson")
    assert (interval.low, interval.high) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("fixed", "broken"), [(0, 0), (0, 6), (1, 0), (5, 5), (3, 12), (20, 4)])
def test_few_disagreements_are_tested_exactly(fixed, broken):
    expected = mcnemar([[0, fixed], [broken, 0]], exact=True).pvalue if fixed + broken else 1.0
    assert mcnemar_p_value(fixed, broken) == pytest.approx(expected)
    if fixed + broken:
        assert mcnemar_p_value(fixed, broken) == pytest.approx(
            scipy.stats.binomtest(fixed, fixed + broken).pvalue
        )


@pytest.mark.parametrize(("fixed", "broken"), [(25, 0), (14, 13), (30, 55), (400, 300)])
def test_many_disagreements_are_tested_by_chi_squared_with_correction(fixed, broken):
    expected = mcnemar([[0, fixed], [broken, 0]], exact=False, correction=True).pvalue
    assert mcnemar_p_value(fixed, broken) == pytest.approx(expected)
    assert mcnemar_p_value(fixed, broken) == mcnemar_p_value(broken, fixed)


def test_as_many_fixed_as_broken_rows_are_no_evidence():
    assert mcnemar_p_value(40, 40) == 1.0


def cover_exactly(only_base, only_tuned, num_rows):
    """Add up the probability of all tables whose interval has the truth; no simulation noise."""
    covered = 0.0
    tables = [(fixed, broken) for fixed in range(num_rows + 1) for broken in range(num_rows + 1 - fixed)]
    cells = np.array([(fixed, broken, num_rows - fixed - broken) for fixed, broken in tables])
    shares = [only_tuned, only_base, 1 - only_base - only_tuned]
    for (fixed, broken), probability in zip(
        tables, scipy.stats.multinomial.pmf(cells, num_rows, shares), strict=True
    ):
        if probability > 1e-12:
            interval = share_difference_interval(fixed, broken, num_rows)
            covered += probability * (interval.low <= only_tuned - only_base <= interval.high)
    return covered


@pytest.mark.parametrize(
    ("only_base", "only_tuned"),
    [(0.1, 0.2), (0.05, 0.1), (0.03, 0.06), (0.1, 0.4), (0.1, 0.1), (0.05, 0.15), (0.02, 0.2)],
)
@pytest.mark.parametrize("num_rows", [50, 100, 200])
def test_the_interval_of_a_change_covers_the_truth_in_95_of_100(only_base, only_tuned, num_rows):
    assert 0.93 <= cover_exactly(only_base, only_tuned, num_rows) <= 0.97


@pytest.mark.parametrize(("only_base", "only_tuned"), [(0.05, 0.05), (0.02, 0.02), (0.0, 0.1), (0.01, 0.03)])
@pytest.mark.parametrize("num_rows", [50, 100, 200])
def test_with_hardly_a_disagreement_the_interval_errs_on_the_wide_side(only_base, only_tuned, num_rows):
    assert cover_exactly(only_base, only_tuned, num_rows) >= 0.93


def test_half_a_row_on_either_side_is_added():
    interval = share_difference_interval(10, 4, 50)
    centre = (10.5 - 4.5) / 51
    error = np.sqrt(((10.5 + 4.5) / 51 - centre**2) / 51)
    assert interval.standard_error == pytest.approx(error)
    assert (interval.low, interval.high) == pytest.approx(scipy.stats.norm.interval(0.95, centre, error))


def test_the_interval_of_a_change_stays_between_minus_one_and_one():
    assert share_difference_interval(50, 0, 50).high == 1.0
    assert 0.8 < share_difference_interval(50, 0, 50).low < 1.0
    assert share_difference_interval(0, 50, 50).low == -1.0


def test_too_few_rows_have_no_interval():
    assert share_interval(4, 5) == NO_INTERVAL
    assert share_difference_interval(4, 0, 5) == NO_INTERVAL
    assert share_difference_interval(4, 0, 6).low is not None


def test_right_or_wrong_rows_are_recognised():
    labels = (["a", "b", "a"], ["a", "a", "a"])
    assert read_right_or_wrong(measure_models("accuracy", labels, labels)[0]).tolist() == [1, 0, 1]
    assert read_right_or_wrong(average([1, 0, 0])).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    "scores",
    [
        average([1, 0.5, 0]),
        SummedRows(np.array([[1.0, 2.0], [0.0, 1.0]]), divide_sums),
        SummedRows(np.array([[1.0, 1.0], [0.0, 1.0]]), lambda sums: np.sqrt(divide_sums(sums))),
        SummedRows(np.array([[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]), divide_sums),
        RescoredRows([[(1, 1)], [(0, 1)]], lambda *_: 0.5),
    ],
    ids=["half right", "uneven weights", "root of a mean", "three columns", "rescored"],
)
def test_other_rows_are_not_taken_for_right_or_wrong(scores):
    assert read_right_or_wrong(scores) is None
