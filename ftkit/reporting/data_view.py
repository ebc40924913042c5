"""The rows of a run as the page shows them: splits, what was left out and why, lengths, labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftkit.reporting.formats import format_count, format_number, shorten_path
from ftkit.reporting.plots import draw_bars
from ftkit.runs import SavedRun, read_json, read_json_lines

NUM_SHOWN = 30
"""Rejected rows on the page; all are in data/rejected.jsonl."""
NUM_LABELS = 40
LONGEST_TEXT = 300
"""Characters of a row that are shown beside the one it repeats."""


def view_data(run: SavedRun, *, with_rows: bool) -> dict[str, Any]:
    """Return the tables and pictures of the section on data.

    Args:
        run: the run.
        with_rows: whether the text of rows may be shown.
    """
    report = run.report
    splits = report.get("data", {})
    tables = [*_list_rules(report), *_list_labels(report), *_list_mixing(report)]
    tables += _list_leakage(report, with_rows=with_rows)
    if with_rows:
        tables += _list_rejected(run)
    return {
        "splits": [
            (
                name,
                format_count(split["number"]),
                format_count(split["examples"]),
                format_count(sum(split["rejected"].values())),
                str(split["fingerprint"])[:12],
            )
            for name, split in splits.items()
        ],
        "tables": tables,
        "pictures": _draw_lengths(run),
        "notes": [] if splits else ["report.json says nothing of the run's splits."],
    }


def _list_rules(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what happened to rows, by rule: of newer reports with what was done."""
    changes = report.get("changes")
    lines: list[tuple[str, ...]]
    if changes is not None:
        lines = [(one["rule"], one["split"], one["action"], format_count(one["rows"])) for one in changes]
        heads = ["rule", "split", "action", "rows"]
    else:
        lines = [
            (rule, name, format_count(number))
            for name, split in report.get("data", {}).items()
            for rule, number in split["rejected"].items()
        ]
        heads = ["rule", "split", "rows"]
    return [{"title": "Changed or left out, by rule", "text": "", "heads": heads, "lines": lines}] * bool(
        lines
    )


def _list_labels(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    counts = report.get("labels") or {}
    total = sum(counts.values()) or 1
    ordered = sorted(counts.items(), key=lambda pair: -pair[1])
    lines = [(label, format_count(number), f"{number / total:.1%}") for label, number in ordered[:NUM_LABELS]]
    left = f"The {NUM_LABELS} most frequent of {len(counts)}." if len(counts) > NUM_LABELS else ""
    heads = ["label", "training rows", "share"]
    return [{"title": "Labels", "text": left, "heads": heads, "lines": lines}] * bool(lines)


def _list_mixing(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    sources = report.get("mixing") or []
    lines = [
        (shorten_path(one["name"]), format_count(one["examples"]), format_count(one["per_epoch"]))
        for one in sources
    ]
    heads = ["source", "examples", "in an epoch"]
    return [{"title": "Sources of an epoch", "text": "", "heads": heads, "lines": lines}] * bool(lines)


def _list_leakage(report: Mapping[str, Any], *, with_rows: bool) -> list[dict[str, Any]]:
    """Return how many training rows repeat held-out ones, and a few of them beside what they repeat."""
    leakage = report.get("leakage")
    if not leakage:
        return []
    compared = ", ".join(
        f"{name}: {format_count(number)}" for name, number in leakage["num_compared"].items()
    )
    lines = [
        ("training rows compared", format_count(leakage["num_train"])),
        ("with held-out rows", compared),
        ("exact repeats", format_count(leakage["num_exact"])),
        ("near repeats", f"{format_count(leakage['num_near'])} (similarity from {leakage['threshold']})"),
        ("left out of training", f"{format_count(leakage['num_dropped'])} (action: {leakage['action']})"),
    ]
    title = "Training rows that repeat held-out rows"
    tables = [{"title": title, "text": "", "heads": ["what", "found"], "lines": lines}]
    heads = ["training row", "repeats", "similarity", "training text", "held-out text"]
    shown = [
        (one["train"], one["held_out"], format_number(one["similarity"]), *_shorten_texts(one))
        for one in leakage["examples"]
    ]
    if shown and with_rows:
        tables.append({"title": "Such rows", "text": "", "heads": heads, "lines": shown})
    return tables


def _shorten_texts(one: Mapping[str, Any]) -> list[str]:
    texts = (" | ".join(map(str, one[side])) for side in ("train_text", "held_out_text"))
    return [text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…" for text in texts]


def _list_rejected(run: SavedRun) -> list[dict[str, Any]]:
    entries = read_json_lines(run.folder.data / "rejected.jsonl", most=NUM_SHOWN)
    lines = [(one.get("source", ""), one.get("rule", ""), one.get("detail", "")) for one in entries]
    text = f"From data/rejected.jsonl, the first {NUM_SHOWN} at most."
    heads = ["where", "rule", "detail"]
    return [{"title": "Rows, one by one", "text": text, "heads": heads, "lines": lines}] * bool(lines)


def read_examples(run: SavedRun) -> dict[str, Any]:
    """Return what `ftkit.reporting.examples` wrote when the run began; empty for older runs."""
    path = run.folder.data / "examples.json"
    return dict(read_json(path)) if path.is_file() else {}


def _draw_lengths(run: SavedRun) -> list[dict[str, Any]]:
    pictures = []
    for name, lengths in read_examples(run).get("lengths", {}).items():
        summary = (
            f"{format_count(lengths['number'])} examples, {format_count(lengths['total'])} tokens: shortest "
            f"{lengths['shortest']:,}, median {lengths['median']:,}, longest {lengths['longest']:,}"
        )
        svg = draw_bars(lengths["counts"], lengths["edges"], unit="tokens")
        pictures.append({"title": name, "svg": svg, "summary": summary})
    return pictures
