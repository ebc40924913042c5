"""The recipe's settings as `TrainingArguments`."""

from __future__ import annotations

import dataclasses
import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import RecipeError
from ftkit.recipe import read_duration

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from ftkit.models import Precision
    from ftkit.recipe import EvaluationSection, TrainingSection


def count_total_steps(section: TrainingSection, steps_per_epoch: int) -> int:
    """Return the optimiser steps of the whole run; `max_steps` decides alone where it is given."""
    from math import ceil

    if section.max_steps is not None:
        return section.max_steps
    assert section.epochs is not None  # the recipe gives a run without a length three epochs
    return max(1, ceil(section.epochs * steps_per_epoch))


def count_warmup_steps(warmup: float, total_steps: int) -> int:
    """Return warm-up in steps, from a number of steps or a share of the run."""
    from math import ceil

    return ceil(warmup * total_steps) if isinstance(warmup, float) and warmup < 1 else int(warmup)


def make_arguments(
    training: TrainingSection,
    evaluation: EvaluationSection,
    precision: Precision,
    *,
    folder: Path,
    total_steps: int,
    world_size: int,
    device_type: str,
    best_metric: tuple[str, bool] | None,
    sharding: Mapping[str, Any] | None = None,
) -> TrainingArguments:
    """Translate settings.

    Args:
        training: how the model learns.
        evaluation: how often it is scored.
        precision: weights and computation.
        folder: where checkpoints go.
        total_steps: optimiser steps of the run.
        world_size: number of processes.
        device_type: of the device that trains, such as `cpu`; decided already, so that Trainer agrees.
        best_metric: name and whether greater is better; None when nothing is scored while training.
        sharding: arguments from `make_shard_arguments`; None where every process has a copy of all.

    Raises:
        RecipeError: `training.arguments` has what `TrainingArguments` does not know or refuses.
    """
    from transformers import TrainingArguments

    known = [field.name for field in dataclasses.fields(TrainingArguments)]
    _check_known(training.arguments, known)
    try:
        arguments = TrainingArguments(
            output_dir=str(folder),
            max_steps=total_steps,
            per_device_train_batch_size=-(-training.batch_size // world_size),
            learning_rate=training.learning_rate,
            lr_scheduler_type=training.lr_scheduler_type,
            lr_scheduler_kwargs=dict(training.lr_scheduler_kwargs),
            warmup_steps=count_warmup_steps(training.warmup, total_steps),
            optim=training.optim,
            optim_args=",".join(f"{key}={value}" for key, value in training.optim_args.items()) or None,
            weight_decay=training.weight_decay,
            max_grad_norm=training.max_grad_norm,
            seed=training.seed,
            bf16=precision.compute == "bfloat16",
            fp16=precision.compute == "float16",
            **{_name_checkpointing(known): training.gradient_checkpointing},
            logging_strategy="steps",
            logging_steps=training.log_every,
            logging_first_step=True,
            logging_nan_inf_filter=False,  # it shows the last good loss instead of the bad one
            report_to=list(training.report_to) or "none",
            disable_tqdm=True,  # ftkit shows the progress
            remove_unused_columns=False,
            restore_callback_states_from_checkpoint=True,  # the patience of early stopping
            metric_for_best_model=f"eval_{best_metric[0]}" if best_metric else None,
            greater_is_better=best_metric[1] if best_metric else None,
            **_make_intervals("save", training.checkpoint_every),
            **_make_intervals("eval", evaluation.every if best_metric else "never"),
            **{**training.arguments, **(sharding or {}), "use_cpu": device_type == "cpu"},
        )
    except (ValueError, TypeError, ImportError) as error:
        raise RecipeError(f"training: TrainingArguments refuses the settings: {error}") from error
    # Set here because the constructor asks for equal intervals of saving and evaluation; ftkit saves
    # at every new best, so that they need not be.
    keeps_best = training.load_best_model_at_end and training.checkpoint_every != "never"
    arguments.load_best_model_at_end = best_metric is not None and keeps_best
    return arguments


def _name_checkpointing(known: list[str]) -> str:
    """Return what transformers calls gradient checkpointing: since 5.23, activation checkpointing."""
    return "activation_checkpointing" if "activation_checkpointing" in known else "gradient_checkpointing"


def _make_intervals(what: str, every: int | str) -> dict[str, Any]:
    if isinstance(every, int):
        return {f"{what}_strategy": "steps", f"{what}_steps": every}
    if read_duration(every) is not None:
        return {f"{what}_strategy": "steps", f"{what}_steps": sys.maxsize}  # a callback looks at the clock
    return {f"{what}_strategy": {"epoch": "epoch", "never": "no"}[every]}


def _check_known(arguments: dict[str, Any], known: list[str]) -> None:
    problems = []
    for name in arguments:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            problems.append(f"training.arguments.{name}: TrainingArguments has no such setting{hint}")
    if problems:
        raise RecipeError("\n".join(problems))
