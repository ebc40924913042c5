"""A run's report as what the page shows, section by section."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from ftkit.recipe.settings import list_settings
from ftkit.reporting.curves import read_course
from ftkit.reporting.data_view import read_examples, view_data
from ftkit.reporting.error_rows import view_errors
from ftkit.reporting.formats import (
    format_bytes,
    format_change,
    format_count,
    format_interval,
    format_number,
    format_seconds,
    shorten_path,
)
from ftkit.reporting.label_view import view_labels
from ftkit.reporting.plots import draw_course
from ftkit.reporting.summary import describe_change, summarise_scores, summarise_verdict
from ftkit.runs import SavedRun, flatten_settings

SECTIONS = (
    ("verdict", "Verdict"),
    ("scores", "Base against tuned"),
    ("curves", "Training"),
    ("data", "Data"),
    ("supervision", "What carries the loss"),
    ("slices", "Slices"),
    ("labels", "Labels and certainty"),
    ("errors", "Rows worth reading"),
    ("benchmarks", "Other data"),
    ("recipe", "Recipe"),
    ("environment", "Environment"),
    ("again", "Run it again"),
)
NUM_TABLE_LINES = 60


def make_view(run: SavedRun, *, with_rows: bool = True) -> dict[str, Any]:
    """Return everything that the page shows.

    Args:
        run: a finished run.
        with_rows: whether the text of rows may be shown; without, the page has numbers alone, and of
            paths their last part, for a page to pass on.
    """
    report = run.report
    recipe = dict(run.recipe) if with_rows else shorten_paths(dict(run.recipe))
    view = {
        **view_summary(report, run.log),
        "version": run.info.get("versions", {}).get("ftkit", ""),
        "title": run.name,
        "subtitle": f"{report['task']}; base: {name_base(recipe)}",
        "facts": list_facts(run),
        "tables": _list_tables(report),
        "data": view_data(run, with_rows=with_rows),
        "supervision": _view_supervision(run) if with_rows else [],
        "no_supervision": "This page was written without the text of rows."
        if not with_rows
        else "data/examples.json is not there: the run is of an older ftkit.",
        **_view_slices(report),
        "labels": view_labels(report),
        "errors": view_errors(report, with_rows=with_rows),
        "benchmarks": _list_benchmarks(report),
        "settings": list_changed_settings(run, short=not with_rows),
        "recipe": yaml.safe_dump(recipe, allow_unicode=True, sort_keys=False),
        "environment": _list_environment(run.info),
        "commands": _list_commands(run, str(run.folder.path) if with_rows else run.name),
    }
    shown = [id for id, _ in SECTIONS if id not in ("labels", "benchmarks") or view[id]]
    return {**view, "sections": [(id, title) for id, title in SECTIONS if id in shown]}


def view_summary(report: Mapping[str, Any], log: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return the verdict, the scores and the curves: what a notebook shows too.

    Args:
        report: as in report.json.
        log: the lines of metrics.jsonl; none where nothing was trained.
    """
    return {
        "report": report,
        "verdict": summarise_verdict(report),
        "scores": summarise_scores(report),
        "plots": draw_course(read_course(log)),
    }


def name_base(recipe: Mapping[str, Any]) -> str:
    """Say what the run started from."""
    model = recipe.get("model") or {}
    if isinstance(model, str):
        return model
    config = model.get("config") or {}
    return str(model.get("base") or f"random weights ({config.get('model_type', 'unknown')})")


def list_facts(run: SavedRun) -> list[tuple[str, str]]:
    """Return the figures that a reader looks for first."""
    training = run.report.get("training") or {}
    facts = [
        ("held-out rows", format_count(run.report["rows"]["number"])),
        ("training rows", _show(run.report.get("data", {}).get("train", {}).get("number"), format_count)),
        ("steps", _show(training.get("num_steps"), format_count)),
        ("epochs", _show(training.get("num_epochs"), lambda value: f"{value:.3g}")),
        ("training time", _show(training.get("seconds"), format_seconds)),
        ("tokens trained on", _show(training.get("num_tokens"), format_count)),
        ("tokens per second", _show(training.get("tokens_per_second"), format_count)),
        ("FLOPs utilisation", _show(training.get("utilisation"), lambda value: f"{value:.0%}")),
        ("memory", _show(training.get("peak_memory_bytes"), format_bytes)),
        ("device", str(run.info.get("device", ""))),
        ("weights of step", _show(training.get("best_step"), format_count)),
    ]
    return [(name, value) for name, value in facts if value]


def _show(value: Any, write: Any) -> str:
    return "" if value is None else str(write(value))


def _list_tables(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the task's own tables, whatever they are called: lists of dicts with the same keys."""
    tables = []
    for name, lines in report.items():
        if name.startswith("per_") and isinstance(lines, list) and lines and isinstance(lines[0], dict):
            heads = list(lines[0])
            cells = [[_show_cell(line.get(head)) for head in heads] for line in lines[:NUM_TABLE_LINES]]
            tables.append({"title": name.replace("_", " ").capitalize(), "heads": heads, "lines": cells})
    return tables


def _show_cell(value: Any) -> str:
    return format_number(value) if isinstance(value, (int, float)) or value is None else str(value)


def _view_supervision(run: SavedRun) -> list[dict[str, Any]]:
    shown = []
    for sample in read_examples(run).get("samples", []):
        learned = sample["num_supervised"]
        counts = f"{sample['num_tokens']:,} tokens"
        share = (
            "" if learned is None else f", {learned:,} carry the loss ({learned / sample['num_tokens']:.0%})"
        )
        label = ": the loss is on the row's label, not on its tokens" if learned is None else ""
        shown.append({**sample, "counts": counts + share + label})
    return shown


def _view_slices(report: Mapping[str, Any]) -> dict[str, Any]:
    who = [name for name in report["scores"] if name != "majority"]
    lines = [
        {
            "name": part["name"],
            "by": part["by"],
            "num_rows": part["num_rows"],
            "cells": [_make_cell(part["scores"].get(name)) for name in who],
            "difference": "",
            **{key: value for key, value in describe_change(part["comparison"]).items() if key != "strip"},
        }
        for part in report.get("slices", [])
    ]
    return {"slices": lines, "slice_heads": ["slice", "by", "rows", *who, "change", "verdict"]}


def _make_cell(found: Mapping[str, Any] | None) -> dict[str, Any]:
    if found is None:
        return {"score": "–", "interval": "", "value": ""}
    interval = format_interval(found["low"], found["high"])
    return {"score": format_number(found["score"]), "interval": interval, "value": found["score"]}


def _list_benchmarks(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    tables = []
    heads = ["metric", "base", "tuned", "change", "interval", "verdict"]
    for other in report.get("also", []):
        lines = [_line_up(one["metric"], one) for one in other["comparisons"]]
        sentence = (other.get("verdict") or {}).get("sentence", "")
        tables.append(
            {"title": f"{other['name']} ({other['task']})", "text": sentence, "heads": heads, "lines": lines}
        )
    harness = report.get("harness")
    if harness:
        lines = [
            _line_up(f"{one['task']}: {one['metric']}", one["comparison"] or {}, one["scores"])
            for one in harness["scores"]
        ]
        title = f"Benchmarks of lm-evaluation-harness {harness['version']}"
        tables.append({"title": title, "text": "", "heads": heads, "lines": lines})
    return tables


def _line_up(
    name: str, one: Mapping[str, Any], scores: Mapping[str, Mapping[str, Any]] | None = None
) -> list[str]:
    found = {who: (scores or {}).get(who, {}).get("score") for who in ("base", "tuned")}
    base, tuned = (one.get(who, found[who]) for who in ("base", "tuned"))
    interval = format_interval(one.get("low"), one.get("high"), signed=True)
    change = format_change(one.get("difference"))
    return [name, format_number(base), format_number(tuned), change, interval, one.get("verdict", "")]


def list_changed_settings(run: SavedRun, *, short: bool = False) -> list[tuple[str, str]]:
    """Return the settings that differ from their defaults, as far as this ftkit knows them.

    Args:
        run: the run.
        short: cut absolute paths to their last part, for what is passed on.
    """
    defaults = {name: field.get_default(call_default_factory=True) for name, field in list_settings().items()}
    settings = flatten_settings(shorten_paths(dict(run.recipe)) if short else dict(run.recipe))
    return [
        (name, write_setting(value))
        for name, value in settings.items()
        if name not in defaults or defaults[name] != value
    ]


def shorten_paths(value: Any) -> Any:
    """Cut absolute paths in a recipe to their last part: who reads it need not know where it ran."""
    if isinstance(value, Mapping):
        return {key: shorten_paths(one) for key, one in value.items()}
    if isinstance(value, list):
        return [shorten_paths(one) for one in value]
    return shorten_path(value) if isinstance(value, str) else value


def write_setting(value: Any) -> str:
    """Write a setting's value as a recipe does."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _list_environment(info: Mapping[str, Any]) -> list[tuple[str, str]]:
    precision = info.get("precision") or {}
    named = {
        "started": info.get("started"),
        "finished": info.get("finished"),
        "device": info.get("device"),
        "precision": precision.get("reason"),
        "seed": info.get("seed"),
        **info.get("versions", {}),
        **{f"fingerprint of {name}": value for name, value in info.get("fingerprints", {}).items()},
    }
    return [(name, str(value)) for name, value in named.items() if value is not None]


def _list_commands(run: SavedRun, path: str) -> list[tuple[str, str]]:
    commands = [
        (
            "The same run again, from its resolved recipe, in a new folder:",
            f"ftkit finetune {path}/recipe.yaml output_dir={path}-again",
        ),
        ("Score it on other rows:", f"ftkit eval {path} --data FILE"),
        ("This page again:", f"ftkit report {path}"),
    ]
    first, _, rest = str(run.info.get("command", "")).partition(" ")
    if rest.startswith("finetune") and path != run.name:
        name = "ftkit" if first.endswith(("ftkit", "__main__.py")) else first
        commands.insert(0, ("As it was started:", f"{name} {rest}"))
    return commands
