"""The runs in a folder: their settings and scores as one table, filtered and sorted by any of them."""

from __future__ import annotations

import difflib
import html
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ftkit.errors import FtkitError, RunError
from ftkit.reporting.formats import format_number, format_seconds
from ftkit.runs import SavedRun, find_runs, read_saved_run

COLUMNS = ("run", "status", "verdict", "metric", "base", "tuned", "seconds", "started")
"""What the table shows by default, of every run."""

CONDITION = re.compile(r"\s*([\w.\-]+)\s*(<=|>=|!=|=|<|>|~)\s*(.*?)\s*")
TESTS: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, wanted: bool(value == wanted),
    "!=": lambda value, wanted: bool(value != wanted),
    "<": lambda value, wanted: bool(value < wanted),
    "<=": lambda value, wanted: bool(value <= wanted),
    ">": lambda value, wanted: bool(value > wanted),
    ">=": lambda value, wanted: bool(value >= wanted),
    "~": lambda value, wanted: str(wanted).lower() in str(value).lower(),
}


@dataclass(frozen=True)
class RunList:
    """Runs, each with its values by name; iterate or index it, print it, or show it in a notebook."""

    runs: tuple[Mapping[str, Any], ...]
    columns: tuple[str, ...] = COLUMNS
    """What is shown of each run; `runs` has all."""

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, place: int) -> Mapping[str, Any]:
        return self.runs[place]

    def __str__(self) -> str:
        lines = [list(self.columns), *self._list_cells()]
        widths = [max(len(line[place]) for line in lines) for place in range(len(self.columns))]
        padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
        return "\n".join("  ".join(line).rstrip() for line in padded)

    def _repr_html_(self) -> str:
        head, *lines = (
            "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in line)
            for tag, line in [("th", list(self.columns)), *(("td", line) for line in self._list_cells())]
        )
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _list_cells(self) -> list[list[str]]:
        return [[_show(name, run.get(name)) for name in self.columns] for run in self.runs]


def list_runs(
    folder: str | os.PathLike[str] = "runs",
    *,
    where: str | Sequence[str] = (),
    sort: str | None = None,
    descending: bool = False,
    show: Sequence[str] = (),
) -> RunList:
    """List the runs in a folder, at any depth.

    Args:
        folder: what is searched.
        where: conditions that must all hold, such as `training.learning_rate<1e-4`, `status=finished`,
            `macro_f1>=0.9`, `model.base~minilm`; names are those of settings, scores (of the tuned model;
            `base.macro_f1` of the base) and what `ftkit runs --json` prints.
        sort: the name to sort by; by default the newest run first.
        descending: the largest first.
        show: further names to show as columns.

    Raises:
        RunError: no such folder, no runs in it, or a name that no run has.
    """
    runs = [_read_values(path, Path(folder)) for path in find_runs(folder)]
    if not runs:
        raise RunError(f"{folder}: there are no runs in it; name the folder that your runs are in")
    conditions = [_read_condition(text) for text in ([where] if isinstance(where, str) else where)]
    names = {name for run in runs for name in run}
    for name in [*(name for name, _, _ in conditions), *filter(None, [sort]), *show]:
        _check_name(name, names)
    kept = [run for run in runs if all(_holds(run, *condition) for condition in conditions)]
    ordered = _sort(kept, sort or "started", descending=descending if sort else True)
    extra = [*show, *(name for name, _, _ in conditions), *filter(None, [sort])]
    return RunList(tuple(ordered), tuple(dict.fromkeys([*COLUMNS, *extra])))


def _read_values(path: Path, folder: Path) -> dict[str, Any]:
    """Read all that a run is known by; a damaged one says so instead of hiding the others."""
    values: dict[str, Any] = {"run": os.path.relpath(path, folder), "path": str(path)}
    try:
        run = read_saved_run(path, finished=False)
        return {**values, **_read_info(run), **_read_scores(run), **run.settings}
    except FtkitError as error:
        return {**values, "status": "damaged", "damage": str(error)}


def _read_info(run: SavedRun) -> dict[str, Any]:
    names = ("status", "started", "finished", "device", "seed")
    return {name: run.info[name] for name in names if name in run.info}


def _read_scores(run: SavedRun) -> dict[str, Any]:
    """Return scores and cost of a finished run."""
    if not run.is_finished:
        return {}
    report = run.report
    scores = report["scores"]
    values = {f"base.{name}": value for name, value in scores.get("base", {}).items()}
    values |= dict(scores.get("tuned", {}))
    main = report.get("verdict") or next(iter(report["comparisons"]), None)
    metric = main["metric"] if main else next(iter(report["metrics"]), None)
    values |= {"verdict": main["verdict"] if main else None, "metric": metric}
    values |= {who: scores[who].get(metric) for who in ("base", "tuned") if who in scores}
    training = report.get("training") or {}
    return {**values, **{key: value for key, value in training.items() if value is not None}}


def _read_condition(text: str) -> tuple[str, str, Any]:
    match = CONDITION.fullmatch(text)
    if match is None:
        raise RunError(
            f"{text!r}: not a condition; write NAME and =, !=, <, <=, >, >= or ~ (contains) and a value, "
            "such as training.learning_rate<1e-4"
        )
    name, sign, value = match.groups()
    return name, sign, _read_value(value)


def _read_value(text: str) -> Any:
    try:
        return (
            float(text)
            if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", text, re.IGNORECASE)
            else yaml.safe_load(text)
        )
    except (ValueError, yaml.YAMLError):
        return text


def _check_name(name: str, names: set[str]) -> None:
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1)
    ends = sorted(each for each in names if each.endswith(f".{name}"))
    hint = f"did you mean {(ends or near)[0]}?" if ends or near else "ftkit runs --json prints all names"
    raise RunError(f"{name}: no run here has a setting or score of this name; {hint}")


def _holds(run: Mapping[str, Any], name: str, sign: str, wanted: Any) -> bool:
    """Tell whether a condition holds; a run without the value meets none but `!=`."""
    value = run.get(name)
    if value is None and wanted is not None:
        return sign == "!="
    if sign in ("<", "<=", ">", ">="):
        comparable = all(isinstance(one, (int, float)) for one in (value, wanted)) or all(
            isinstance(one, str) for one in (value, wanted)
        )
        if not comparable:
            return False
    return TESTS[sign](value, wanted)


def _sort(runs: Iterable[Mapping[str, Any]], name: str, *, descending: bool) -> list[Mapping[str, Any]]:
    """Sort by a value: numbers before texts, and runs that lack it last in either direction."""
    runs = list(runs)
    have = [run for run in runs if run.get(name) is not None]
    lack = [run for run in runs if run.get(name) is None]

    def read_key(run: Mapping[str, Any]) -> tuple[bool, float, str]:
        value = run[name]
        is_number = isinstance(value, (int, float))
        return (not is_number, float(value) if is_number else 0.0, "" if is_number else _show(name, value))

    return sorted(have, key=read_key, reverse=descending) + lack


def _show(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name == "seconds":
        return format_seconds(value)
    if name == "started":
        return str(value)[:16].replace("T", " ")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return format_number(value) if isinstance(value, float) else str(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
