"""Scores as a report: the file, and the table in the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import RunError
from ftkit.evaluation.contents import FORMAT, MetricMeaning
from ftkit.metrics import METRICS
from ftkit.runs import write_json, write_json_lines
from ftkit.runs.files import make_write_error

if TYPE_CHECKING:
    from ftkit.evaluation.scoring import Scored
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split

HEAD_NOTE = "The base has no trained head for this task: its scores are those of random weights."
CHOSEN_NOTE = "These rows also chose the best checkpoint: give data.test for a score without that advantage."
NO_ROWS_NOTE = "No held-out rows: nothing says whether the tuning helped. Give data.test or data.validation."


@dataclass(frozen=True)
class Evaluation:
    """Scores, and where they were written."""

    report: dict[str, Any]
    folder: Path | None = None

    def __str__(self) -> str:
        notes = self.report["notes"]
        lines = [f"{self.report['task']}, {self.report['split']}: {self.report['rows']['number']} rows", ""]
        lines.append(format_table(self.report))
        compared = [comparison["sentence"] for comparison in self.report["comparisons"]]
        lines += ["", *compared] if compared else []
        lines += ["", *self.report.get("warnings", ())] if self.report.get("warnings") else []
        lines += ["", *notes] if notes else []
        if self.folder is not None:
            lines += ["", f"written to {self.folder}"]
        return "\n".join(lines)


def make_report(
    *,
    task_name: str,
    split: str,
    rows: Mapping[str, Any],
    scored: Mapping[str, Scored],
    details: Mapping[str, Any],
    analysis: Mapping[str, Any],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Put an evaluation together, as it is written to report.json: see `contents.Report`.

    Args:
        task_name: the task.
        split: name of the split or file.
        rows: number, fingerprint and the like of the rows.
        scored: who was scored (`majority`, `base`, `tuned`, in this order) and how it did.
        details: the task's own tables, such as scores per class.
        analysis: what `analyse` and its like found.
        notes: sentences that a reader of the scores must know.
    """
    names = dict.fromkeys(name for one in scored.values() for name in one.scores)
    return {
        "format": FORMAT,
        "task": task_name,
        "split": split,
        "rows": dict(rows),
        "metrics": {name: describe_metric(name) for name in names},
        "scores": {who: one.scores for who, one in scored.items()},
        **details,
        **analysis,
        "notes": list(notes),
    }


def describe_split(split: Split) -> dict[str, Any]:
    """Count a split: its rows, the examples made of them, and what was changed or left out, by rule."""
    return {
        "number": len(split.rows),
        "examples": len(split.examples),
        "lengths": dict(split.prepared.summary.get("lengths", {})),
        "rejected": split.prepared.rejected.count_rules(),
        "fingerprint": split.rows.fingerprint,
    }


def write_evaluation(
    where: Path, report: Mapping[str, Any], scored: Scored, task: Task, labels: Sequence[str]
) -> None:
    """Write scores and predictions into a folder."""
    write_json(where / "report.json", report)
    shown = (task.present(record, labels) for record in scored.records)
    write_json_lines(where / "predictions.jsonl", shown)


def check_output(output: Path) -> None:
    """Refuse a folder that has a report already.

    Raises:
        RunError: it has one.
    """
    if (output / "report.json").exists():
        raise RunError(f"{output}: has a report already; choose another folder")


def make_new_folder(parent: Path) -> Path:
    """Make a folder named after the time; of two in the same second, the second gets a number.

    Raises:
        RunError: it cannot be made.
    """
    name = time.strftime("%Y-%m-%d-%H%M%S")
    for candidate in (name, *(f"{name}-{number}" for number in range(2, 1_000))):
        try:
            (parent / candidate).mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise make_write_error(parent / candidate, error) from error
        return parent / candidate
    raise RunError(f"{parent}: has a thousand evaluations of this very second; wait for the next one")


def format_table(report: Mapping[str, Any]) -> str:
    """Write the scores as a table for the terminal: a line a metric, a column a model."""
    scores: Mapping[str, Mapping[str, float]] = report["scores"]
    if not scores:
        return "no scores"
    compares = {"base", "tuned"} <= scores.keys()
    lines = [["", *scores, *(["change"] if compares else [])]]
    for name, info in report["metrics"].items():
        cells = [_show(scores[who].get(name)) for who in scores]
        if compares:
            base, tuned = scores["base"].get(name), scores["tuned"].get(name)
            cells.append("-" if base is None or tuned is None else f"{tuned - base:+.4g}")
        better = {True: " (more is better)", False: " (less is better)", None: ""}[info["greater_is_better"]]
        lines.append([f"{name}{better}", *cells])
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    padded = (
        [
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        for line in lines
    )
    return "\n".join("  ".join(line).rstrip() for line in padded)


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def describe_metric(name: str) -> MetricMeaning:
    """Say how to read a metric."""
    if name not in METRICS:
        return {"greater_is_better": None, "unit": "", "meaning": f"evaluate.load({name!r})"}
    info = METRICS[name]
    return {"greater_is_better": info.greater_is_better, "unit": info.unit, "meaning": info.meaning}
