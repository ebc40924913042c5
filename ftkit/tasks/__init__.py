"""The tasks: one module each, all with the functions that `ftkit.tasks.protocol.Task` names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import cast

from ftkit.errors import RecipeError
from ftkit.recipe import TASKS
from ftkit.tasks.protocol import Encoding, LossOptions, Reject, Row, Task

__all__ = ["Encoding", "LossOptions", "Reject", "Row", "Task", "get_task"]

REQUIRED = (
    *Task.__annotations__,
    *(name for name, value in vars(Task).items() if callable(value) and not name.startswith("_")),
)


def get_task(name: str) -> Task:
    """Import the module of a task.

    Args:
        name: one of `ftkit.recipe.TASKS`, or the dotted name of a module outside ftkit.

    Raises:
        RecipeError: no such module, or one that lacks part of the protocol.
    """
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
    needed = [name for name in REQUIRED if name != "make_prompt" or getattr(module, "GENERATES", False)]
    missing = [attribute for attribute in needed if not hasattr(module, attribute)]
    if missing:
        raise RecipeError(f"task: module {name!r} lacks {', '.join(missing)}; see ftkit.tasks.protocol.Task")
    return cast(Task, module)
