"""Runs side by side: as a table for the terminal, as a page, in a notebook."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ftkit.reporting.curves import read_course
from ftkit.reporting.formats import format_bytes, format_count, format_interval, format_number, format_seconds
from ftkit.reporting.plots import Plot, draw_together
from ftkit.reporting.rendering import render
from ftkit.reporting.report_view import write_setting
from ftkit.reporting.summary import describe_change
from ftkit.runs import write_text

PASSIVE = ("output_dir",)
"""Settings that differ between any two runs and explain nothing."""

COSTS = (
    ("seconds", "training time", format_seconds),
    ("num_steps", "steps", format_count),
    ("num_tokens", "tokens", format_count),
    ("tokens_per_second", "tokens/s", format_count),
    ("peak_memory_bytes", "memory", format_bytes),
)
MOST_CURVES = 8


@dataclass(frozen=True)
class RunComparison:
    """Finished runs side by side; print it, show it in a notebook, or write its page."""

    names: tuple[str, ...]
    tasks: tuple[str, ...]
    rows: tuple[int, ...]
    """Held-out rows of each run."""

    differences: Mapping[str, tuple[Any, ...]]
    """Setting -> its value in each run, for those that differ."""

    metrics: Mapping[str, Mapping[str, Any]]
    scores: Sequence[Mapping[str, Mapping[str, Any]]]
    """Of each run's tuned model: metric -> `score`, `low`, `high`."""

    costs: Sequence[Mapping[str, float]]
    compared: Sequence[Mapping[str, Any]]
    """Each run with the first, metric by metric, as in report.json, with `run` and `first`; the first one
    stands as `base`."""

    same_rows: bool
    logs: Sequence[Sequence[Mapping[str, Any]]] = field(default=(), repr=False)

    def as_dict(self) -> dict[str, Any]:
        """Return all but the curves as plain values."""
        return {name: value for name, value in vars(self).items() if name != "logs"}

    def __str__(self) -> str:
        heads, lines = self._make_table(with_intervals=False)
        table = [["", *self.names], *([head, *cells] for head, cells in zip(heads, lines, strict=True))]
        widths = [max(len(line[place]) for line in table) for place in range(len(table[0]))]
        shown = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in table
        ]
        sentences = [f"{one['run']} against {one['first']}: {one['sentence']}" for one in self.compared]
        return "\n".join([*shown, "", *(sentences or [self.note])])

    @property
    def note(self) -> str:
        """Say why nothing is said between the runs; empty where something is."""
        if self.compared:
            return ""
        if not self.same_rows:
            return "The runs were scored on different rows: their figures do not compare."
        return "No row-by-row comparison: predictions.jsonl does not give the scores of the reports."

    def _repr_html_(self) -> str:
        return render("comparison_summary.html", self._make_view())

    def write_page(self, path: str | os.PathLike[str]) -> Path:
        """Write the page: one file that needs no network."""
        write_text(Path(path), render("comparison.html", self._make_view()))
        return Path(path)

    def _make_table(self, *, with_intervals: bool) -> tuple[list[str], list[list[str]]]:
        """Return the heads of lines, and a cell for each run in each line."""
        lines = {
            name: [write_setting(value) for value in values] for name, values in self.differences.items()
        }
        for name, info in self.metrics.items():
            arrow = {True: " (more is better)", False: " (less is better)"}.get(info["greater_is_better"], "")
            found = [scores.get(name, {}) for scores in self.scores]
            lines[name + arrow] = [_show_score(one, with_intervals=with_intervals) for one in found]
        lines["held-out rows"] = [format_count(number) for number in self.rows]
        for name, title, write in COSTS:
            values = [costs.get(name) for costs in self.costs]
            if any(value is not None for value in values):
                lines[title] = ["–" if value is None else write(value) for value in values]
        return list(lines), list(lines.values())

    def _make_view(self) -> dict[str, Any]:
        heads, lines = self._make_table(with_intervals=True)
        sections = [("scores", "Side by side"), ("first", f"Against {self.names[0]}"), ("curves", "Training")]
        return {
            "title": f"{len(self.names)} runs side by side",
            "version": version("ftkit"),
            "sections": sections,
            "names": self.names,
            "task": ", ".join(dict.fromkeys(self.tasks)),
            "lines": list(zip(heads, lines, strict=True)),
            "num_settings": len(self.differences),
            "first": self.names[0],
            "compared": [{**one, **describe_change(one)} for one in self.compared],
            "note": self.note,
            "plots": _draw_logs(self.names, self.logs),
        }


def list_differences(settings: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, ...]]:
    """Return the settings in which runs differ, each with its value in every run."""
    names = dict.fromkeys(name for one in settings for name in one if name not in PASSIVE)
    values = {name: tuple(one.get(name) for one in settings) for name in names}
    return {name: found for name, found in values.items() if any(each != found[0] for each in found)}


def list_scores(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the tuned model's scores with their intervals, where the report has them."""
    scores = report["scores"].get("tuned", {})
    intervals = report.get("intervals", {}).get("tuned", {})
    return {
        name: {"score": score, **{end: intervals.get(name, {}).get(end) for end in ("low", "high")}}
        for name, score in scores.items()
    }


def list_costs(report: Mapping[str, Any]) -> dict[str, float]:
    """Return what training took."""
    training = report.get("training") or {}
    return {name: training[name] for name, _, _ in COSTS if training.get(name) is not None}


def _show_score(one: Mapping[str, Any], *, with_intervals: bool) -> str:
    score = format_number(one.get("score"))
    interval = format_interval(one.get("low"), one.get("high"))
    return f"{score} ({interval})" if interval and with_intervals else score


def _draw_logs(names: Sequence[str], logs: Sequence[Sequence[Mapping[str, Any]]]) -> list[Plot]:
    """Draw the training loss of all runs in one picture, and their validation loss in another."""
    courses = [read_course(log) for log in logs][:MOST_CURVES]
    losses = [next((curve for curve in course.curves if curve.name == "loss"), None) for course in courses]
    training = {
        name: list(zip(loss.steps, loss.smoothed or loss.values, strict=True))
        for name, loss in zip(names, losses, strict=False)
        if loss is not None
    }
    validation = {
        name: list(loss.evaluations)
        for name, loss in zip(names, losses, strict=False)
        if loss is not None and loss.evaluations
    }
    titles = (("Loss, smoothed", training), ("Loss on validation rows", validation))
    return [draw_together(title, lines) for title, lines in titles if lines]
