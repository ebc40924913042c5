"""What tasks there are, for people."""

from __future__ import annotations

from dataclasses import dataclass

from ftkit.data import Column
from ftkit.recipe import TASKS
from ftkit.tasks import get_task


@dataclass(frozen=True)
class TaskInfo:
    """What a task does and what its rows look like."""

    name: str
    """What a recipe calls it."""
    summary: str
    columns: tuple[Column, ...]
    metrics: tuple[str, ...]
    """Reported by default; the first one chooses the best checkpoint."""
    model_class: str
    """The Auto class of transformers that loads its models."""


def describe_tasks() -> list[TaskInfo]:
    """List ftkit's tasks with their columns and metrics."""
    infos = []
    for name in TASKS:
        task = get_task(name)
        infos.append(TaskInfo(name, task.SUMMARY, task.COLUMNS, task.METRICS, task.MODEL_CLASS))
    return infos
