"""What people read."""

import numpy as np
import pytest

from ftkit.evaluation.comparison import Comparison, ScoreInterval
from ftkit.evaluation.sentences import choose_digits

FOUND = Comparison(
    metric="macro-F1",
    greater_is_better=True,
    base=0.431,
    tuned=0.968,
    difference=0.537,
    low=0.491,
    high=0.583,
    standard_error=0.023,
    confidence=0.95,
    test="permutation",
    p_value=0.0002,
    corrected_p_value=0.0002,
    identical=False,
    num_rows=412,
    num_groups=None,
)


def say(**changes):
    return Comparison(**{**FOUND.__dict__, **changes}).sentence


def test_a_better_model_says_how_much_and_how_sure():
    assert say() == "better: macro-F1 0.431 -> 0.968 (+0.537, 95 % interval +0.491 to +0.583, 412 rows)"


def test_a_metric_of_which_less_is_better_says_so():
    lower = {"metric": "perplexity", "greater_is_better": False, "base": 21.3, "tuned": 14.9}
    assert say(**lower, difference=-6.4, low=-7.1, high=-5.8) == (
        "better: perplexity 21.3 -> 14.9 (-6.4, lower is better, 95 % interval -7.1 to -5.8, 412 rows)"
    )


def test_a_worse_model_is_called_worse():
    assert say(base=0.968, tuned=0.431, difference=-0.537, low=-0.583, high=-0.491).startswith(
        "worse: macro-F1 0.968 -> 0.431 (-0.537, "
    )


def test_no_change_says_that_the_rows_are_alike():
    same = {"base": 0.9, "tuned": 0.9, "difference": 0.0, "low": 0.0, "high": 0.0, "identical": True}
    assert say(**same) == "no change: macro-F1 0.900 before and after, alike in each of 412 rows"


def test_what_cannot_be_told_says_how_many_rows_would():
    doubtful = {"p_value": 0.5, "corrected_p_value": 0.5}
    assert say(tuned=0.442, difference=0.011, low=-0.02, high=0.04, standard_error=0.015, **doubtful) == (
        "cannot tell with these 412 rows: macro-F1 0.431 -> 0.442 "
        "(+0.011, 95 % interval -0.020 to +0.040); "
        "an estimated 6,100 rows would tell, if the difference is real"
    )


def test_what_points_nowhere_names_no_number_of_rows():
    sentence = say(tuned=0.431, difference=0.0, low=-0.02, high=0.02, p_value=1.0, corrected_p_value=1.0)
    assert sentence.endswith("(+0.000, 95 % interval -0.020 to +0.020)")


def test_a_handful_of_rows_has_no_interval():
    few = {"low": None, "high": None, "standard_error": None}
    assert say(**few, num_rows=3) == (
        "cannot tell with these 3 rows: macro-F1 0.431 -> 0.968 (+0.537, no interval from so few rows)"
    )
    assert say(**few, num_rows=1).startswith("cannot tell with this 1 row: ")
    assert "these 90 rows in 2 groups" in say(**few, num_rows=90, num_groups=2)
    assert "no interval from so few groups" in say(**few, num_rows=90, num_groups=2)


def test_groups_are_counted():
    assert say(num_groups=37).endswith("412 rows in 37 groups)")
    assert "in 1 group)" in say(num_groups=1)
    assert say(num_rows=20_000).endswith(", 20,000 rows)")


def test_a_verdict_that_only_the_test_holds_back_gives_its_p_value():
    assert "; p = 0.08; an estimated" in say(p_value=0.08, corrected_p_value=0.08)
    assert "; p = 0.08 over all metrics; an estimated" in say(p_value=0.02, corrected_p_value=0.08)


def test_a_bound_that_is_not_zero_is_never_written_as_zero():
    assert "+3e-05 to" in say(low=0.00003)
    assert "-0.000" not in say(low=-0.0, difference=0.2)


def test_the_confidence_is_written_as_it_is():
    assert "99.5 % interval" in say(confidence=0.995)


@pytest.mark.parametrize(
    ("scores", "digits"),
    [
        ((0.431, 0.968, 0.537), 3),
        ((21.3, 14.9, -6.4), 1),
        ((1234.0, 1500.0, 266.0), 0),
        ((0.9, 0.9004, 0.0004), 5),
        ((0.0, 0.0, 0.0), 3),
        ((0.5, 0.5, 1e-12), 6),
    ],
)
def test_numbers_have_the_digits_that_show_the_difference(scores, digits):
    assert choose_digits(*scores) == digits


def test_one_score_says_its_interval():
    scored = ScoreInterval("accuracy", 0.912, 0.88, 0.94, 0.95, 412, None)
    assert scored.sentence == "accuracy 0.912 (95 % interval 0.880 to 0.940, 412 rows)"
    alone = ScoreInterval("困惑度", 14.9, None, None, 0.95, 1, None)
    assert alone.sentence == "困惑度 14.9 (no interval from so few rows, 1 row)"


def test_numpy_numbers_are_written_like_others():
    assert say(base=np.float64(0.431), tuned=np.float64(0.968)) == say()
