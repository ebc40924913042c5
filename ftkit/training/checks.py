"""What `Trainer` would refuse in mid-run, refused before anything is loaded."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import MissingDependencyError, RecipeError
from ftkit.models import Precision
from ftkit.training.arguments import make_arguments

if TYPE_CHECKING:
    from transformers import TrainingArguments

    from ftkit.recipe import EvaluationSection, TrainingSection


def check_training(training: TrainingSection, evaluation: EvaluationSection) -> None:
    """Check that arguments, optimiser, schedule and trackers can be made as the recipe says.

    Raises:
        RecipeError: a setting that transformers refuses or would ignore.
        MissingDependencyError: an optimiser or tracker whose package is not installed.
    """
    with _without_processes():
        arguments = make_arguments(
            training,
            evaluation,
            Precision("float32", None, "not chosen yet"),
            folder=Path("checkpoints"),
            total_steps=100,
            world_size=1,
            device_type="cpu",
            best_metric=("loss", False),
        )
    check_optimizer(arguments, training)
    check_schedule(training)
    check_trackers(training.report_to)


_LAUNCHERS = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Variables by which accelerate knows that it is one of several processes."""


@contextmanager
def _without_processes() -> Iterator[None]:
    """Keep arguments that are only checked from joining the processes, which would time out meanwhile.

    Making them asks for the device, and that creates the process group: before rows are prepared.
    """
    from accelerate.state import AcceleratorState, PartialState

    if PartialState._shared_state:  # noqa: SLF001 - the caller's own, as in a notebook
        yield
        return
    hidden = {name: os.environ.pop(name) for name in _LAUNCHERS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
        AcceleratorState._reset_state(reset_partial_state=True)  # noqa: SLF001 - as accelerate's tests do


def check_optimizer(arguments: TrainingArguments, training: TrainingSection) -> None:
    """Make the optimiser's arguments, and see that each of the recipe's is read."""
    try:
        _read_optimizer(arguments, dict(training.optim_args))
    except ImportError as error:
        raise MissingDependencyError(f"training.optim: {training.optim}: {_first_line(error)}") from error
    except (ValueError, TypeError, RuntimeError) as error:
        raise RecipeError(f"training.optim: {training.optim}: {_first_line(error)}") from error
    for key in training.optim_args:
        if not _reads(arguments, dict(training.optim_args), key):
            raise RecipeError(
                f"training.optim_args.{key}: the optimiser {training.optim} does not read it; take it out, "
                "or look for a setting in training.arguments"
            )


def check_schedule(training: TrainingSection) -> None:
    """Make the schedule once, for an optimiser of one number."""
    import torch
    from transformers import get_scheduler

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=training.learning_rate)
    options = dict(training.lr_scheduler_kwargs)
    try:
        get_scheduler(
            training.lr_scheduler_type,
            optimizer,
            num_warmup_steps=1,
            num_training_steps=100,
            scheduler_specific_kwargs=options,
        )
    except (ValueError, TypeError) as error:
        raise RecipeError(
            f"training.lr_scheduler_kwargs: {training.lr_scheduler_type} with {options or 'no arguments'}: "
            f"{_first_line(error)}"
        ) from error


def check_trackers(names: list[str]) -> None:
    """Make sure that every tracker is known and installed."""
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

    known = [*INTEGRATION_TO_CALLBACK, "all", "none"]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise RecipeError(f"training.report_to: unknown tracker {name!r}; {hint}")
        try:
            INTEGRATION_TO_CALLBACK.get(name, object)()
        except (RuntimeError, ImportError) as error:
            raise MissingDependencyError(f"training.report_to: {name}: {_first_line(error)}") from error


def _read_optimizer(arguments: TrainingArguments, optim_args: dict[str, Any]) -> str:
    """Return class and arguments of the optimiser as text, to compare."""
    import torch
    from transformers import Trainer

    given, arguments.optim_args = arguments.optim_args, _join(optim_args)
    try:
        found = Trainer.get_optimizer_cls_and_kwargs(arguments, torch.nn.Linear(1, 1))
    finally:
        arguments.optim_args = given
    return repr(found[1])


def _reads(arguments: TrainingArguments, optim_args: dict[str, Any], key: str) -> bool:
    """Say whether an argument makes a difference: another value gives another optimiser, or is refused."""
    results = set()
    for value in (optim_args[key], "0.123", "7", "true"):
        try:
            results.add(_read_optimizer(arguments, {**optim_args, key: value}))
        except (ValueError, TypeError, AttributeError):
            return True
    return len(results) > 1


def _join(optim_args: dict[str, Any]) -> str | None:
    return ",".join(f"{key}={value}" for key, value in optim_args.items()) or None


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
