"""Tasks and metrics as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from ftkit.metrics import MetricInfo
from ftkit.tasks.listing import TaskInfo


def write_tasks(tasks: Iterable[TaskInfo]) -> str:
    """Write a paragraph a task: what it does, its columns, its metrics."""
    return "\n\n".join(_write_task(task) for task in tasks)


def _write_task(task: TaskInfo) -> str:
    lines = [f"{task.name}: {task.summary}"]
    width = max(len(column.name) for column in task.columns)
    for column in task.columns:
        needed = "" if column.required else "  (optional)"
        lines.append(f"  {column.name.ljust(width)}  {column.meaning}{needed}")
    return "\n".join([*lines, f"  metrics: {', '.join(task.metrics)}"])


def write_metrics(metrics: Iterable[MetricInfo]) -> str:
    """Write a line a metric: name, what it scores, direction, range, unit, meaning."""
    lines = [("metric", "scores", "better", "range", "unit", "meaning")]
    lines += [
        (
            info.name,
            info.kind.replace("_", " "),
            "more" if info.greater_is_better else "less",
            _write_range(info.range),
            info.unit,
            info.meaning + (" (the model writes texts)" if info.needs_generation else ""),
        )
        for info in metrics
    ]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _write_range(bounds: tuple[float, float | None]) -> str:
    lowest, highest = bounds
    return f"from {lowest:g}" if highest is None else f"{lowest:g} to {highest:g}"
