"""The bootstrap and the permutation test: against slow versions, scipy, and known truths."""

import numpy as np
import pytest
import scipy.stats
from simulated_models import (
    GroupedLosses,
    GroupedShares,
    Labels,
    Losses,
    Shares,
    measure_coverage,
)

from ftkit.evaluation import resampling
from ftkit.evaluation.resampling import MIN_UNITS, NO_INTERVAL, bootstrap_interval, permutation_p_value
from ftkit.evaluation.row_scores import Difference, RescoredRows, average, number_groups


def make_rng(seed=0):
    return np.random.default_rng(seed)


def take_interval(drawn, rng, num_samples=1_000):
    base, tuned, *groups = drawn
    if groups:
        group_of_row, num_groups = number_groups(groups[0].tolist())
        base, tuned = base.merge(group_of_row, num_groups), tuned.merge(group_of_row, num_groups)
    return bootstrap_interval(Difference(tuned, base), rng=rng, num_samples=num_samples)


def bootstrap_slowly(values, num_samples, rng):
    """The same interval of a mean, one resample at a time."""
    num_rows, error = len(values), np.std(values, ddof=1) / np.sqrt(len(values))
    ratios = []
    for _ in range(num_samples):
        drawn = values[rng.integers(num_rows, size=num_rows)]
        drawn_error = np.sqrt(np.var(drawn) / (num_rows - 1))
        ratios.append(abs(drawn.mean() - values.mean()) / drawn_error)
    student = scipy.stats.t.ppf(0.975, num_rows - 1)
    return np.clip(np.quantile(ratios, 0.95), student, 2 * student) * error


def test_the_interval_is_that_of_a_bootstrap_written_out():
    values = make_rng(1).lognormal(size=40)
    interval = bootstrap_interval(average(values), rng=make_rng(), num_samples=2_000)
    reach = bootstrap_slowly(values, 2_000, make_rng())
    assert (interval.low, interval.high) == pytest.approx((values.mean() - reach, values.mean() + reach))


def test_the_standard_error_of_a_mean_is_the_textbook_one():
    values = make_rng(1).normal(size=30)
    interval = bootstrap_interval(average(values), rng=make_rng(), num_samples=10)
    assert interval.standard_error == pytest.approx(scipy.stats.sem(values))


def test_the_interval_of_well_behaved_rows_is_that_of_students_t():
    values = make_rng(2).normal(3, 1, size=400)
    interval = bootstrap_interval(average(values), rng=make_rng(), num_samples=20_000)
    student = scipy.stats.t.interval(0.95, 399, values.mean(), scipy.stats.sem(values))
    # the bootstrap's own noise: the 95 % quantile of 20,000 draws is known to 1 %
    assert (interval.low, interval.high) == pytest.approx(student, abs=0.05 * np.ptp(student))


def test_a_metric_computed_anew_gets_the_same_interval():
    values = make_rng(1).normal(size=30)
    rescored = RescoredRows([[(value,)] for value in values], np.mean)
    fast = bootstrap_interval(average(values), rng=make_rng(), num_samples=200)
    slow = bootstrap_interval(rescored, rng=make_rng(), num_samples=200)
    assert (slow.low, slow.high) == pytest.approx((fast.low, fast.high))


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    base, tuned = Losses(0.5, 0.85).draw(make_rng(), 50)
    intervals = [take_interval((base, tuned), make_rng(seed), 500) for seed in (3, 3, 4)]
    assert intervals[0] == intervals[1]
    assert intervals[0] != intervals[2]


def test_a_higher_confidence_gives_a_wider_interval():
    scores = average(make_rng().lognormal(size=40))
    widths = []
    for confidence in (0.8, 0.95, 0.99):
        interval = bootstrap_interval(scores, rng=make_rng(), num_samples=1_000, confidence=confidence)
        widths.append(interval.high - interval.low)
    assert widths == sorted(widths)
    assert widths[0] < widths[2]


@pytest.mark.parametrize("num_rows", range(1, MIN_UNITS))
def test_too_few_rows_have_no_interval(num_rows):
    scores = average(np.arange(num_rows, dtype=float))
    assert bootstrap_interval(scores, rng=make_rng(), num_samples=100) == NO_INTERVAL


def test_there_is_no_interval_where_one_row_is_all_there_is():
    tokens = np.zeros((20, 2))
    tokens[0] = [12.0, 4.0]
    scores = type(average([1.0]))(tokens, average([1.0]).combine)
    assert bootstrap_interval(scores, rng=make_rng(), num_samples=100) == NO_INTERVAL


def test_rows_that_are_all_alike_get_the_rule_of_three():
    interval = bootstrap_interval(average([1.0] * 50, bounds=(0, 1)), rng=make_rng(), num_samples=100)
    assert interval.high == 1.0
    assert interval.low == pytest.approx(1 - 3 / 50, abs=0.002)


def test_rows_that_are_all_alike_under_a_metric_without_bounds_are_a_point():
    interval = bootstrap_interval(average([2.5] * 50), rng=make_rng(), num_samples=100)
    assert (interval.low, interval.high) == (2.5, 2.5)


def test_one_disagreeing_row_does_not_make_the_interval_endless():
    interval = bootstrap_interval(average([0.0] * 49 + [1.0]), rng=make_rng(), num_samples=1_000)
    assert -0.1 < interval.low < 0
    assert 0.02 < interval.high < 0.13


def test_the_multiple_lies_between_students_t_and_twice_that():
    student = scipy.stats.t.ppf(0.975, 29)
    multiples = [
        resampling._choose_multiple(np.full(100, ratio), 30, 0.95) for ratio in (0.0, 3.0, 1e9, np.nan)
    ]
    assert multiples == pytest.approx([student, 3.0, 2 * student, 2 * student])


def test_an_interval_stays_within_what_the_metric_can_be():
    interval = bootstrap_interval(
        average([0.0] * 2 + [0.97, 1.0] * 4, bounds=(0, 1)), rng=make_rng(), num_samples=500
    )
    assert interval.high == 1.0
    assert interval.low > 0


def test_chunks_draw_all_samples_however_few_fit(monkeypatch):
    monkeypatch.setattr(resampling, "_CELLS", 100)
    chunks = list(resampling._draw_counts(30, 10, make_rng()))
    assert [len(chunk) for chunk in chunks] == [3, 3, 3, 1]
    assert all((chunk.sum(axis=1) == 30).all() for chunk in chunks)
    assert sum(len(chunk) for chunk in resampling._draw_swaps(1_000, 5, make_rng())) == 5


def test_each_row_is_drawn_equally_often():
    (counts,) = resampling._draw_counts(10, 20_000, make_rng())
    assert counts.mean(axis=0) == pytest.approx(np.ones(10), abs=0.03)
    assert counts.var() == pytest.approx(0.9, abs=0.02)  # of a binomial with 10 draws of 1 in 10


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.6])
def test_the_permutation_test_is_that_of_scipy(shift):
    rng = make_rng(5)
    base, tuned = rng.normal(size=12), rng.normal(shift, 1, size=12)
    found = permutation_p_value(average(tuned), average(base), rng=rng, num_samples=20_000)
    exact = scipy.stats.permutation_test(
        (tuned, base),
        lambda x, y: x.mean() - y.mean(),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=False,
    )
    assert found == pytest.approx(exact.pvalue, abs=0.012)  # three times the noise of 20,000 draws


def test_a_permutation_test_of_rescored_rows_is_that_of_summed_ones():
    rng = make_rng(5)
    base, tuned = rng.normal(size=12), rng.normal(0.5, 1, size=12)
    rescored = [RescoredRows([[(value,)] for value in values], np.mean) for values in (tuned, base)]
    fast = permutation_p_value(average(tuned), average(base), rng=make_rng(), num_samples=300)
    assert permutation_p_value(*rescored, rng=make_rng(), num_samples=300) == pytest.approx(fast)


def test_equal_models_have_a_p_value_of_one():
    scores = average(make_rng().normal(size=20))
    assert permutation_p_value(scores, scores, rng=make_rng(), num_samples=100) == 1.0


def test_a_p_value_is_never_zero():
    p_value = permutation_p_value(average([9.0] * 40), average([1.0] * 40), rng=make_rng(), num_samples=99)
    assert p_value == 0.01


def test_rows_in_groups_are_exchanged_together():
    groups = np.repeat(np.arange(3), 20)
    base, tuned = average(np.zeros(60)), average(np.ones(60))
    alone = permutation_p_value(tuned, base, rng=make_rng(), num_samples=2_000)
    together = permutation_p_value(
        tuned.merge(groups, 3), base.merge(groups, 3), rng=make_rng(), num_samples=2_000
    )
    assert alone < 0.001
    assert together == pytest.approx(0.25, abs=0.03)  # 2 of the 8 exchanges of three groups


def test_resamples_without_a_score_count_against_the_difference():
    base, tuned = average(np.zeros(10)), average(np.ones(10))
    broken = type(tuned)(tuned.statistics, lambda sums: sums[:, 0] / np.where(sums[:, 0] > 9.5, 1, np.nan))
    assert np.isfinite(broken.score())
    assert permutation_p_value(broken, base, rng=make_rng(), num_samples=50) == 1.0


@pytest.mark.parametrize(
    "models", [Losses(0.5, 0.85), Losses(0.3, 0.9, perplexity=True)], ids=["loss", "perplexity"]
)
def test_the_interval_covers_the_truth_in_95_of_100_simulations(models):
    def interval(drawn, rng):
        return take_interval(drawn, rng, 400)

    assert 0.93 <= measure_coverage(models, 50, interval, seed=7) <= 0.97


COVERED = {
    "right or wrong": Shares(0.6, 0.1, 0.2),
    "rarely wrong": Shares(0.75, 0.05, 0.15),
    "loss": Losses(0.5, 0.85),
    "heavy-tailed loss": Losses(1.0, 0.85),
    "perplexity": Losses(0.3, 0.9, perplexity=True),
    "heavy-tailed perplexity": Losses(0.5, 0.85, perplexity=True),
    "macro-F1, 2 labels": Labels((0.9, 0.1), (0.9, 0.5), (0.96, 0.75)),
    "macro-F1, 4 labels": Labels((0.6, 0.25, 0.1, 0.05), (0.85, 0.7, 0.5, 0.4), (0.9, 0.8, 0.7, 0.6)),
}


@pytest.mark.slow
@pytest.mark.parametrize("num_rows", [50, 100, 200, 500])
@pytest.mark.parametrize("name", COVERED)
def test_the_interval_covers_the_truth_whatever_the_metric(name, num_rows):
    assert 0.93 <= measure_coverage(COVERED[name], num_rows, take_interval, seed=7) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("num_groups", [15, 30, 60, 120])
@pytest.mark.parametrize("models", [GroupedShares(), GroupedLosses()], ids=["right or wrong", "perplexity"])
def test_the_interval_covers_the_truth_where_rows_hang_together(models, num_groups):
    assert 0.93 <= measure_coverage(models, num_groups, take_interval, seed=7) <= 0.97


def test_rows_that_hang_together_fool_an_interval_that_does_not_know():
    def ignore_groups(drawn, rng):
        return take_interval(drawn[:2], rng, 200)

    assert measure_coverage(GroupedLosses(), 40, ignore_groups, seed=7, num_simulations=300) < 0.9
