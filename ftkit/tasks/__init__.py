"""The tasks: one module each, all with the functions that `ftkit.tasks.protocol.Task` names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import cast

from ftkit.errors import RecipeError
from ftkit.recipe import TASKS, DataSection
from ftkit.tasks.protocol import Encoding, LossOptions, Reject, Row, Task

__all__ = [
    "Encoding",
    "LossOptions",
    "Reject",
    "Row",
    "Task",
    "find_missing_parts",
    "get_task",
    "read_labels",
    "suit_task",
]

REQUIRED = (
    *Task.__annotations__,
    *(name for name, value in vars(Task).items() if callable(value) and not name.startswith("_")),
)


OPTIONAL = {
    *("prepare_model", "suit_metrics", "choose_form", "get_form", "find_threshold", "decode"),
    *("read_labels", "list_probabilities"),
}
"""What a module may do without."""


def find_missing_parts(module: ModuleType) -> list[str]:
    """Name what a module lacks to be a task; see `ftkit.tasks.protocol.Task`."""
    optional = set(OPTIONAL)
    if not getattr(module, "GENERATES", False):
        optional.add("make_prompt")
    if "texts" not in getattr(module, "METRIC_KINDS", ()):
        optional.add("split_answer")
    return [part for part in REQUIRED if not hasattr(module, part) and part not in optional]


def get_task(name: str, problem_type: str | None = None) -> Task:
    """Import the module of a task.

    Args:
        name: one of `ftkit.recipe.TASKS`, or the dotted name of a module outside ftkit.
        problem_type: of a run, for a task that has a module for each; None for the task itself.

    Raises:
        RecipeError: no such module, or one that lacks part of the protocol.
    """
    task = _import_task(name)
    return (problem_type and hasattr(task, "get_form") and task.get_form(problem_type)) or task


def suit_task(task: Task, data: DataSection, rows: Iterable[Row]) -> Task:
    """Return the module for rows of this kind; the task itself for all that have one module alone."""
    return (hasattr(task, "choose_form") and task.choose_form(data, rows)) or task


def read_labels(task: Task, data: DataSection, rows: Iterable[Row]) -> dict[str, int]:
    """Read the labels of rows in the way that the recipe says; none where the task has none."""
    if not hasattr(task, "read_labels"):
        return {}
    separated = {"separator": data.label_separator} if data.label_separator else {}
    return task.read_labels(rows, data.label_names, **separated)


def _import_task(name: str) -> Task:
    if name in TASKS:
        return cast(Task, importlib.import_module(f"ftkit.tasks.{name.replace('-', '_')}"))
    try:
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))  # a lab's own module lies beside its recipe
        module = importlib.import_module(name)
    except ImportError as error:
        raise RecipeError(
            f"task: cannot import {name!r}: {error}; known tasks: {', '.join(TASKS)}"
        ) from error
    missing = find_missing_parts(module)
    if missing:
        raise RecipeError(f"task: module {name!r} lacks {', '.join(missing)}; see ftkit.tasks.protocol.Task")
    return cast(Task, module)
