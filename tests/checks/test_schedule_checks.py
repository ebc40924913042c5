"""What never comes, and rates that are unusual."""

import pytest

from ftkit.checks.schedule import check_learning_rate, check_schedule_fits
from ftkit.recipe import EvaluationSection, TrainingSection


def fits(num_examples=160, validates=True, evaluation=None, **training):
    found = check_schedule_fits(
        TrainingSection(**training),
        EvaluationSection(**(evaluation or {})),
        num_examples=num_examples,
        validates=validates,
    )
    return [each.message for each in found if each.severity == "warning"]


def rate(learning_rate, method="full", num_parameters=10**8, **training):
    section = TrainingSection(learning_rate=learning_rate, **training)
    return [
        each.message for each in check_learning_rate(section, method=method, num_parameters=num_parameters)
    ]


def test_the_length_of_the_run_is_said():
    found = check_schedule_fits(
        TrainingSection(epochs=2), EvaluationSection(), num_examples=33, validates=False
    )
    assert next(found).message == "6 steps, 3 an epoch of 33 examples (2 epochs)"


@pytest.mark.parametrize("warmup", [0, 0.1, 29])
def test_a_warm_up_within_the_run_is_fine(warmup):
    assert fits(warmup=warmup) == []


def test_a_warm_up_as_long_as_the_run_is_named():
    assert "training.warmup: is 30 steps and the run has 30" in fits(warmup=30)[0]


def test_a_smoke_run_of_one_step_with_a_share_of_warm_up_is_fine():
    assert fits(warmup=0.05, max_steps=1) == []


@pytest.mark.parametrize("every", ["epoch", "never", 1, 30])
def test_intervals_within_the_run_are_fine(every):
    assert fits(checkpoint_every=every, evaluation={"every": every}) == []


def test_intervals_beyond_the_run_are_named():
    assert "training.checkpoint_every: is 31" in fits(checkpoint_every=31)[0]
    assert "evaluation.every: is 31" in fits(evaluation={"every": 31})[0]
    assert fits(evaluation={"every": 31}, validates=False) == []  # nothing to be scored anyway


@pytest.mark.parametrize(("patience", "wrong"), [(1, False), (2, False), (3, True)])
def test_patience_is_compared_with_the_number_of_evaluations(patience, wrong):
    assert bool(fits(early_stopping_patience=patience)) is wrong  # three epochs, three evaluations


@pytest.mark.parametrize(
    ("learning_rate", "method", "wrong"),
    [
        (2e-5, "full", False),
        (1e-3, "full", False),
        (2e-3, "full", True),
        (1e-7, "full", True),
        (2e-4, "adapter", False),
        (5e-3, "adapter", False),
        (5e-6, "adapter", True),
        (2e-2, "adapter", True),
        (1e-3, "random", False),
        (1e-6, "random", True),
    ],
)
def test_a_rate_is_compared_with_what_the_method_takes(learning_rate, method, wrong):
    assert bool(rate(learning_rate, method)) is wrong


def test_a_large_model_takes_less():
    assert rate(5e-4) == []
    assert "above 2e-04" in rate(5e-4, num_parameters=7 * 10**9)[0]
    assert rate(5e-4, "adapter", num_parameters=7 * 10**9) == []


def test_lion_takes_less_and_other_optimisers_are_left_alone():
    assert rate(5e-7, optim="lion_32bit") == []
    assert "above 3e-04" in rate(5e-4, optim="lion_32bit")[0]
    assert rate(0.1, optim="sgd") == []
    assert rate(0.1, optim="adamw_torch") != []
