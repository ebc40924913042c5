"""Steps, warm-up, intervals and the learning rate: what never comes, and what is unusual."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ftkit.checks.findings import Finding
from ftkit.training.arguments import count_total_steps, count_warmup_steps
from ftkit.training.steps import count_steps

if TYPE_CHECKING:
    from ftkit.recipe import EvaluationSection, TrainingSection

USUAL_RATES = {"full": (1e-6, 1e-3), "adapter": (1e-5, 1e-2), "random": (1e-5, 2e-2)}
"""Learning rates that Adam's family usually takes, by what is trained. From the papers of BERT (2e-5 to
5e-5), T5 (1e-3 to 1e-4) and LoRA (2e-4, GPT-2 and GPT-3) with a decade on both sides for small models."""
LARGE_MODEL = 1_000_000_000
LARGE_RATE = 2e-4
"""Highest usual rate for all weights of a model of a thousand million parameters or more."""
_ADAMS = ("adamw", "adam", "paged_adamw", "galore_adamw", "apollo_adamw")
_LIONS = ("lion", "paged_lion")


def check_schedule_fits(
    training: TrainingSection, evaluation: EvaluationSection, *, num_examples: int, validates: bool
) -> Iterator[Finding]:
    """Compare the lengths of run, warm-up and intervals.

    Args:
        training: the recipe's section.
        evaluation: the recipe's section.
        num_examples: of the training split.
        validates: whether there are validation rows.
    """
    per_epoch = count_steps(num_examples, training.batch_size)
    total = count_total_steps(training, per_epoch)
    epochs = total / per_epoch
    message = f"{total:,} steps, {per_epoch:,} an epoch of {num_examples:,} examples ({epochs:.3g} epochs)"
    yield Finding("schedule", "note", message)
    warmup = count_warmup_steps(training.warmup, total)
    if warmup >= total > 1:
        message = (
            f"training.warmup: is {warmup:,} steps and the run has {total:,}, so that learning_rate is never "
            "reached; give a share of the run, such as 5%"
        )
        yield Finding("schedule", "warning", message)
    if training.batch_size > num_examples:
        message = (
            f"training.batch_size: is {training.batch_size}, but there are {num_examples:,} training "
            "examples, so that an epoch is one step; set it lower"
        )
        yield Finding("schedule", "warning", message)
    yield from _check_intervals(training, evaluation, total, per_epoch, validates=validates)


def _check_intervals(
    training: TrainingSection, evaluation: EvaluationSection, total: int, per_epoch: int, *, validates: bool
) -> Iterator[Finding]:
    intervals = [("training.checkpoint_every", training.checkpoint_every, "no checkpoint is saved")]
    if validates:
        intervals.append(("evaluation.every", evaluation.every, "nothing is scored while training"))
    for name, every, effect in intervals:
        if isinstance(every, int) and every > total:
            message = f"{name}: is {every:,}, but the run has {total:,} steps, so that {effect}; set it lower"
            yield Finding("schedule", "warning", message)
    if not validates or training.early_stopping_patience is None or evaluation.every == "never":
        return
    every = evaluation.every if isinstance(evaluation.every, int) else per_epoch
    if training.early_stopping_patience >= max(1, total // every):
        message = (
            f"training.early_stopping_patience: is {training.early_stopping_patience}, but the run is scored "
            f"{total // every} times, so that it never stops early; set it lower, or evaluation.every"
        )
        yield Finding("schedule", "warning", message)


def check_learning_rate(training: TrainingSection, *, method: str, num_parameters: int) -> Iterator[Finding]:
    """Name a learning rate that is outside what the method usually takes.

    Args:
        training: the recipe's section.
        method: a key of `USUAL_RATES`: what is trained.
        num_parameters: of the whole model.
    """
    optimiser = training.optim
    lion = optimiser.startswith(_LIONS)
    if not lion and not optimiser.startswith(_ADAMS):
        return  # every other optimiser has a scale of its own
    low, high = USUAL_RATES[method]
    if method == "full" and num_parameters >= LARGE_MODEL:
        high = LARGE_RATE
    low, high = (low / 10, high / 3) if lion else (low, high)  # Chen et al. 2023: 3 to 10 times less
    rate = training.learning_rate
    if low <= rate <= high:
        return
    what = {"full": "all weights", "adapter": "an adapter", "random": "random weights"}[method]
    side = f"above {high:.0e}" if rate > high else f"below {low:.0e}"
    message = (
        f"training.learning_rate: {rate:g} is {side}; {what} are usually trained with {low:.0e} to "
        f"{high:.0e} "
        f"({optimiser})"
    )
    yield Finding("schedule", "warning", message)
