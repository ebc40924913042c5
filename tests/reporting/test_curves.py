import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_runs import make_log

from ftkit.reporting.curves import MOST_POINTS, read_course, smooth, thin_out


def test_the_lines_of_the_log_become_curves_with_evaluations_and_checkpoints():
    course = read_course(make_log())
    titles = [curve.title for curve in course.curves]
    assert titles == ["Loss", "Learning rate", "Gradient norm", "Throughput", "Memory"]
    loss = course.curves[0]
    assert len(loss.steps) == len(loss.values) == len(loss.smoothed) == 40
    assert [step for step, _ in loss.evaluations] == [10, 20, 30, 40]
    assert [curve.name for curve in course.scores] == ["eval_macro_f1"]
    assert course.scores[0].values == pytest.approx((0.91, 0.92, 0.93, 0.94))
    assert course.evaluations == course.checkpoints == (10, 20, 30, 40)
    assert course.curves[-1].values[0] == 1.0


def test_a_log_without_some_numbers_has_the_curves_of_the_others():
    course = read_course(
        [{"step": 1, "loss": 0.5}, {"step": 2, "loss": float("nan")}, {"step": 3, "loss": 0.4}]
    )
    assert [curve.title for curve in course.curves] == ["Loss"]
    assert course.curves[0].steps == (1, 3)
    assert course.curves[0].smoothed == ()


def test_an_empty_or_foreign_log_has_no_curves():
    assert read_course([]).curves == ()
    assert read_course([{"note": "no step"}, {"step": "3", "loss": 1.0}]).curves == ()


def smooth_slowly(values, weight):
    """The weighted mean written out: the newest value counts 1, the one before it `weight`, ..."""
    for place in range(len(values)):
        weights = [weight ** (place - before) for before in range(place + 1)]
        total = sum(each * value for each, value in zip(weights, values, strict=False))
        yield total / sum(weights)


def test_smoothing_is_the_weighted_mean_of_what_came_before():
    draw = random.Random(3)
    values = [draw.random() for _ in range(100)]
    assert smooth(values) == pytest.approx(list(smooth_slowly(values, 1 - 1 / 5)))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_a_smoothed_curve_stays_within_its_values_and_begins_where_they_begin(values):
    smoothed = smooth(values)
    assert smoothed[0] == pytest.approx(values[0])
    slack = 1e-6 * max(1, *map(abs, values))
    assert all(min(values) - slack <= each <= max(values) + slack for each in smoothed)


@given(st.lists(st.floats(-1e3, 1e3), max_size=300), st.integers(8, 60))
def test_a_thinned_curve_keeps_its_ends_and_its_extremes_and_is_short(values, most):
    kept = thin_out(values, most)
    assert len(kept) <= max(most, 0)
    assert kept == sorted(set(kept))
    if values:
        assert {kept[0], kept[-1]} == {0, len(values) - 1}
        assert max(values) == max(values[place] for place in kept)
        assert min(values) == min(values[place] for place in kept)


def test_a_run_of_many_steps_is_thinned_and_keeps_its_spike():
    lines = [{"step": step, "loss": 1.0 + (step == 70_001)} for step in range(1, 100_001)]
    loss = read_course(lines).curves[0]
    assert len(loss.steps) <= MOST_POINTS
    assert max(loss.values) == 2.0
