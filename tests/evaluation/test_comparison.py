"""Two models beside each other: verdicts, corrections, and what many rows would tell."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from simulated_models import GroupedShares, Labels, Losses, Shares, measure_coverage
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from ftkit.errors import MetricError
from ftkit.evaluation.comparison import (
    compare_scores,
    correct_comparisons,
    correct_p_values,
    list_comparison,
    score_interval,
)
from ftkit.evaluation.row_scores import average, measure_models


def compare(base, tuned, **settings):
    return compare_scores("score", base, tuned, **{"greater_is_better": True, "seed": 1, **settings})


def draw(models, num_rows, seed=0):
    return models.draw(np.random.default_rng(seed), num_rows)


def test_a_clearly_better_model_is_better_and_its_reverse_worse():
    base, tuned = draw(Shares(0.5, 0.05, 0.35), 200)
    assert compare(base, tuned).verdict == "better"
    assert compare(tuned, base).verdict == "worse"


def test_the_direction_of_the_metric_decides():
    base, tuned = draw(Losses(0.3, 0.8), 200)
    comparison = compare(base, tuned, greater_is_better=False)
    assert comparison.difference < 0
    assert comparison.verdict == "better"
    assert compare(base, tuned, greater_is_better=True).verdict == "worse"


def test_identical_rows_are_no_change_in_a_hundred_seeds():
    rows, _ = draw(Losses(0.5, 1.0), 50)
    shares, _ = draw(Shares(0.5, 0.2, 0.2), 50)
    for seed in range(100):
        for model in (rows, shares):
            comparison = compare(model, model, seed=seed, num_samples=50)
            assert comparison.verdict == "no change"
            assert (comparison.low, comparison.high, comparison.p_value) == (0.0, 0.0, 1.0)
            assert comparison.rows_needed is None


def test_rounding_is_no_change_even_where_it_points_one_way():
    losses = np.random.default_rng(0).lognormal(size=100)
    comparison = compare(average(losses), average(losses * (1 + 1e-7)))
    assert comparison.verdict == "no change"


def test_rows_that_differ_without_a_difference_are_not_called_alike():
    comparison = compare(average([1, 0] * 20), average([0, 1] * 20))
    assert comparison.difference == 0
    assert comparison.verdict == "cannot tell"
    assert comparison.rows_needed is None


@pytest.mark.parametrize("num_rows", range(1, 6))
def test_a_handful_of_rows_cannot_tell_and_has_no_interval(num_rows):
    for base, tuned in (([0.0] * num_rows, [1.0] * num_rows), ([0.1] * num_rows, [7.5] * num_rows)):
        comparison = compare(average(base), average(tuned))
        assert comparison.verdict == "cannot tell"
        assert (comparison.low, comparison.high, comparison.rows_needed) == (None, None, None)
        assert score_interval("score", average(base), seed=1).low is None


def test_a_handful_of_identical_rows_cannot_tell_either():
    assert compare(average([1.0]), average([1.0])).verdict == "cannot tell"


def test_six_rows_that_all_improve_are_enough():
    assert compare(average([0] * 6), average([1] * 6)).verdict == "better"
    assert compare(average([0] * 6), average([1] * 5 + [0])).verdict == "cannot tell"


def test_a_perfect_model_beside_one_that_knows_nothing_is_better():
    references = ["a", "b"] * 15
    models = measure_models("macro_f1", (references[1:] + ["a"], references), (references, references))
    comparison = compare_scores("macro_f1", *models, greater_is_better=True, seed=0)
    assert (comparison.base, comparison.tuned) == (0.0, 1.0)
    assert comparison.verdict == "better"
    assert comparison.low < 1.0


@pytest.mark.parametrize(("models", "num_rows"), [(Shares(0.6, 0.1, 0.2), 80), (Losses(0.5, 0.9), 40)])
def test_a_verdict_needs_both_the_interval_and_the_test(models, num_rows):
    verdicts = set()
    for seed in range(40):
        base, tuned = draw(models, num_rows, seed)
        comparison = compare(base, tuned, num_samples=200)
        verdicts.add(comparison.verdict)
        excludes_zero = not comparison.low <= 0 <= comparison.high
        decided = comparison.verdict in ("better", "worse")
        assert decided == (excludes_zero and comparison.corrected_p_value < 0.05)
    assert len(verdicts) > 1


def test_a_high_corrected_p_value_takes_a_verdict_back():
    base, tuned = draw(Shares(0.5, 0.05, 0.35), 200)
    comparison = compare(base, tuned)
    doubtful = replace(comparison, corrected_p_value=0.2)
    assert (comparison.verdict, doubtful.verdict) == ("better", "cannot tell")


def test_right_or_wrong_rows_get_mcnemar_and_others_a_permutation():
    shares, losses = draw(Shares(0.6, 0.1, 0.2), 60), draw(Losses(0.5, 0.9), 60)
    assert compare(*shares).test == "McNemar"
    assert compare(*losses).test == "permutation"
    assert compare(*shares, groups=[row // 5 for row in range(60)]).test == "permutation"


def test_rows_of_one_conversation_count_as_one_piece_of_evidence():
    base, tuned, groups = GroupedShares().draw(np.random.default_rng(3), 20)
    alone, together = compare(base, tuned), compare(base, tuned, groups=groups.tolist())
    assert together.num_groups == 20
    assert together.num_rows == len(base)
    assert together.difference == alone.difference
    assert together.high - together.low > 1.2 * (alone.high - alone.low)


def test_few_groups_cannot_tell_however_many_rows_they_have():
    comparison = compare(average([0] * 500), average([1] * 500), groups=[row % 5 for row in range(500)])
    assert comparison.verdict == "cannot tell"
    assert comparison.low is None
    assert score_interval("score", average([0.3] * 500), seed=0, groups=[0] * 500).low is None


def test_the_same_seed_gives_the_same_comparison():
    base, tuned = draw(Losses(0.5, 0.95), 60)
    assert compare(base, tuned, seed=3) == compare(base, tuned, seed=3)
    assert compare(base, tuned, seed=3).high != compare(base, tuned, seed=4).high


def test_more_rows_than_are_drawn_one_by_one_give_nearly_the_same_interval(monkeypatch):
    base, tuned = draw(Losses(0.5, 0.95), 2_000)
    alone = compare(base, tuned)
    monkeypatch.setattr(type(base), "max_units", 500)
    bundled = compare(base, tuned)
    assert (bundled.base, bundled.tuned) == pytest.approx((alone.base, alone.tuned))
    # 500 bundles know the standard error to 1 / sqrt(2 * 500) = 3 %; three times that
    assert bundled.standard_error == pytest.approx(alone.standard_error, rel=0.1)
    assert bundled.num_rows == 2_000


def test_a_metric_that_does_not_add_up_is_compared_too():
    rng = np.random.default_rng(0)
    true = rng.normal(size=60)
    base, tuned = true + rng.normal(size=60), true + 0.2 * rng.normal(size=60)
    models = measure_models("spearman", (base, true), (tuned, true))
    comparison = compare_scores("spearman", *models, greater_is_better=True, seed=1, num_samples=100)
    assert comparison.verdict == "better"
    assert comparison.high <= 2


@pytest.mark.parametrize("seed", range(3))
def test_the_rows_needed_are_those_of_a_power_analysis(seed):
    base, tuned = draw(Losses(0.5, 0.97), 60, seed)
    comparison = compare(base, tuned)
    assert comparison.verdict == "cannot tell"
    deviation = comparison.standard_error * math.sqrt(60)
    expected = TTestPower().solve_power(abs(comparison.difference) / deviation, alpha=0.05, power=0.8)
    assert comparison.rows_needed == pytest.approx(max(expected, 61), rel=0.1)  # two digits, rounded up


def test_as_many_rows_as_needed_do_tell_in_80_of_100_cases():
    models = Shares(0.7, 0.05, 0.12)
    needed = [compare(*draw(models, 100, seed)).rows_needed for seed in range(300)]
    # of the true difference and its standard error, as rows_needed computes it
    expected = (1.96 + 0.842) ** 2 * (0.17 - 0.07**2) / 0.07**2
    told = [compare(*draw(models, round(expected), seed)).verdict == "better" for seed in range(400)]
    assert 0.72 < np.mean(told) < 0.86  # McNemar with correction is a little careful
    assert 0.4 < np.median([rows for rows in needed if rows]) / expected < 2.5


def test_a_verdict_taken_back_by_correction_asks_for_more_rows():
    base, tuned = draw(Shares(0.6, 0.1, 0.2), 160)
    comparison = compare(base, tuned)
    assert comparison.verdict == "better"
    corrected = replace(comparison, corrected_p_value=min(1.0, 12 * comparison.p_value))
    assert corrected.verdict == "cannot tell"
    assert corrected.rows_needed > 160


def test_correction_for_many_metrics_needs_as_many_rows_as_a_stricter_test():
    comparison = compare(*draw(Losses(0.5, 0.97), 60))
    corrected = replace(comparison, p_value=0.05, corrected_p_value=0.5)
    effect = abs(comparison.difference) / (comparison.standard_error * math.sqrt(60))
    expected = TTestPower().solve_power(effect, alpha=0.005, power=0.8)
    assert corrected.rows_needed == pytest.approx(expected, rel=0.1)  # two digits, rounded up


def test_never_as_few_rows_are_needed_as_there_are():
    comparison = compare(average([0] * 5 + [1] * 2), average([1] * 7))
    assert comparison.p_value == 0.0625
    assert comparison.rows_needed == 8


def test_corrected_p_values_are_those_of_statsmodels():
    rng = np.random.default_rng(0)
    for num_metrics in (1, 2, 5, 12):
        p_values = (rng.random(num_metrics) ** 3).tolist()
        expected = multipletests(p_values, method="holm")[1]
        assert correct_p_values(p_values) == pytest.approx(expected)
    assert correct_p_values([0.01, 0.01, 0.8]) == pytest.approx([0.03, 0.03, 0.8])
    assert correct_p_values([]) == []


def test_comparisons_are_corrected_in_their_order():
    comparisons = [
        compare_scores(name, *draw(models, 100), greater_is_better=True, seed=1, num_samples=400)
        for name, models in (("first", Losses(0.5, 1.05)), ("second", Shares(0.5, 0.05, 0.3)))
    ]
    corrected = correct_comparisons(comparisons)
    assert [one.metric for one in corrected] == ["first", "second"]
    assert [one.p_value for one in corrected] == [one.p_value for one in comparisons]
    expected = correct_p_values([one.p_value for one in comparisons])
    assert [one.corrected_p_value for one in corrected] == expected
    assert corrected[1].corrected_p_value == 2 * corrected[1].p_value


def test_a_comparison_can_be_written_as_json():
    comparison = compare(*draw(Shares(0.6, 0.1, 0.2), 100))
    written = json.loads(json.dumps(list_comparison(comparison)))
    assert written["verdict"] == comparison.verdict
    assert written["sentence"] == comparison.sentence
    assert written["rows_needed"] == comparison.rows_needed
    assert written["low"] == comparison.low


def test_a_score_has_an_interval_of_its_own():
    shares, _ = draw(Shares(0.6, 0.1, 0.2), 100)
    scored = score_interval("accuracy", shares, seed=1)
    assert scored.low < scored.score < scored.high
    perfect = score_interval("accuracy", average([1] * 50, bounds=(0, 1)), seed=1)
    assert (perfect.score, perfect.high) == (1.0, 1.0)
    assert 0.9 < perfect.low < 0.95


def test_the_interval_of_a_score_knows_of_groups():
    base, _, groups = GroupedShares().draw(np.random.default_rng(3), 40)
    alone = score_interval("accuracy", base, seed=1)
    together = score_interval("accuracy", base, seed=1, groups=groups.tolist())
    assert together.high - together.low > 1.2 * (alone.high - alone.low)
    assert together.num_groups == 40


@pytest.mark.parametrize(
    ("base", "tuned", "settings", "message"),
    [
        ([1.0, 2.0], [1.0], {}, "score: two models .* same rows; found 2 and 1 rows; score them again"),
        ([], [], {}, "score: there is nothing to score; found 0 rows"),
        ([1.0, math.inf], [1.0, 1.0], {}, "score: a model has no finite score; found inf; look for a loss"),
        ([1.0, 2.0], [1.0, 2.0], {"groups": [1]}, "score: each row .* found 1 groups and 2 rows"),
    ],
)
def test_what_cannot_be_compared_is_refused(base, tuned, settings, message):
    with pytest.raises(MetricError, match=message):
        compare(average(base), average(tuned), **settings)


def count_verdicts(models, num_rows, num_simulations, **settings):
    rng = np.random.default_rng(11)
    found = [compare(*models.draw(rng, num_rows), **settings).verdict for _ in range(num_simulations)]
    return {verdict: found.count(verdict) / num_simulations for verdict in ("better", "worse")}


@pytest.mark.parametrize("num_rows", [20, 50, 200, 500])
def test_equal_models_that_disagree_at_random_are_called_better_in_at_most_3_of_100(num_rows):
    verdicts = count_verdicts(Shares(0.7, 0.1, 0.1), num_rows, 1_000)
    assert verdicts["better"] <= 0.03
    assert verdicts["worse"] <= 0.03


@pytest.mark.slow
@pytest.mark.parametrize("num_rows", [20, 50, 200])
@pytest.mark.parametrize(
    "models",
    [
        Losses(0.5, 1.0),
        Losses(1.0, 1.0, perplexity=True),
        Labels((0.7, 0.2, 0.1), (0.9, 0.6, 0.5), (0.9, 0.6, 0.5)),
    ],
    ids=["loss", "heavy-tailed perplexity", "macro-F1"],
)
def test_equal_models_are_called_better_in_at_most_3_of_100_whatever_the_metric(models, num_rows):
    verdicts = count_verdicts(models, num_rows, 1_000, num_samples=1_000)
    assert verdicts["better"] <= 0.03
    assert verdicts["worse"] <= 0.03


@pytest.mark.slow
@pytest.mark.parametrize("num_groups", [10, 40])
def test_equal_models_are_called_better_in_at_most_3_of_100_where_rows_hang_together(num_groups):
    rng, better, worse = np.random.default_rng(11), 0, 0
    models = GroupedShares(0.4, 0.4 * math.sqrt(1.89 / 1.64))
    assert models.truth == pytest.approx(0)
    for _ in range(1_000):
        base, tuned, groups = models.draw(rng, num_groups)
        verdict = compare(base, tuned, groups=groups.tolist(), num_samples=1_000).verdict
        better, worse = better + (verdict == "better"), worse + (verdict == "worse")
    assert better <= 30
    assert worse <= 30


def test_the_interval_that_is_reported_covers_the_truth_in_95_of_100_simulations():
    def interval(drawn, rng):
        return compare(*drawn, seed=int(rng.integers(2**31)))

    for num_rows in (50, 100, 200, 500):
        assert 0.93 <= measure_coverage(Shares(0.75, 0.05, 0.15), num_rows, interval, seed=7) <= 0.97
