"""The tasks: one module each, all with the functions that `ftkit.tasks.protocol.Task` names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from ftkit.data import Rows, remember
from ftkit.errors import RecipeError
from ftkit.recipe import TASKS, DataSection
from ftkit.sources import hash_file
from ftkit.tasks.protocol import Encoding, LossOptions, Reject, Row, Task

__all__ = [
    "Encoding",
    "LossOptions",
    "Reject",
    "Row",
    "Task",
    "find_missing_parts",
    "fingerprint_task",
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
    if not hasattr(task, "choose_form"):
        return task
    if not isinstance(rows, Rows):
        return task.choose_form(data, rows) or task
    found = remember(
        rows,
        "problem type",
        lambda: getattr(task.choose_form(data, rows) or task, "PROBLEM_TYPE", None),
        key={**_make_key(task, data), "problem_type": data.problem_type},
    )
    return (found and task.get_form(found)) or task


def read_labels(task: Task, data: DataSection, rows: Iterable[Row]) -> dict[str, int]:
    """Read the labels of rows in the way that the recipe says; none where the task has none."""
    if not hasattr(task, "read_labels"):
        return {}
    separated = {"separator": data.label_separator} if data.label_separator else {}
    if not isinstance(rows, Rows):
        return task.read_labels(rows, data.label_names, **separated)
    found = remember(
        rows,
        "labels",
        lambda: list(task.read_labels(rows, data.label_names, **separated).items()),
        key=_make_key(task, data),
    )
    return {str(name): int(number) for name, number in found}


def fingerprint_task(task: Task) -> dict[str, Any]:
    """Return what changes when a task treats rows otherwise: its version, and of a user's module its code."""
    name, file = getattr(task, "__name__", ""), getattr(task, "__file__", None)
    code = "" if name.startswith("ftkit.") or file is None else hash_file(file)[:16]
    return {"module": name, "version": task.VERSION, "code": code}


def _make_key(task: Task, data: DataSection) -> dict[str, Any]:
    """Return what the labels of rows depend on beside the rows."""
    names = data.label_names
    # In their order, which decides the order of the labels.
    ordered = list(map(list, names.items())) if isinstance(names, Mapping) else names
    return {
        **fingerprint_task(task),
        "label_names": ordered,
        "label_separator": data.label_separator,
    }


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
