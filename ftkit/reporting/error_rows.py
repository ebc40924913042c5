"""The rows worth reading, each once, cut so that the page stays small."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftkit.reporting.formats import format_count, format_number

BUDGET_BYTES = 900_000
"""Text of rows on the page; what has to be cut for it is whole in evaluation/report.json."""
LONGEST_PREVIEW = 110
LIMITS = (4_000, 2_000, 1_000, 500, 250)
"""Characters of one text, the first that keeps the budget."""
KINDS = ("broken", "fixed", "worst")


def view_errors(report: Mapping[str, Any], *, with_rows: bool) -> dict[str, Any]:
    """Return the rows that tuning broke and fixed, and those with the highest loss, to browse and filter."""
    errors = report.get("errors")
    nothing = {"text": "", "entries": [], "kinds": [], "expected": []}
    if not errors:
        return {**nothing, "text": "The report names no rows."}
    text = (
        f"By {errors['metric']}, tuning made {format_count(errors['num_fixed'])} of "
        f"{format_count(errors['num_rows'])} rows better and {format_count(errors['num_broken'])} worse."
    )
    if not with_rows:
        return {**nothing, "text": f"{text} This page was written without the text of rows."}
    kinds, rows = _merge_kinds(errors)
    limit = next((each for each in LIMITS if _count_bytes(rows, each) <= BUDGET_BYTES), LIMITS[-1])
    entries = [_view_row(row, kinds[number], limit) for number, row in rows.items()]
    expected = dict.fromkeys(entry["expected"] for entry in entries if entry["expected"] is not None)
    was_cut = any(len(one) > limit for row in rows.values() for _, one in _list_texts(row))
    cut = f" Texts are cut at {limit:,} characters; evaluation/report.json has them longer." * was_cut
    return {
        "text": f"{text} Shown are up to {len(errors['worst'])} of each kind; worst: the highest loss.{cut}",
        "entries": entries,
        "kinds": [kind for kind in KINDS if errors[kind]],
        "expected": list(expected) if len(expected) <= LONGEST_PREVIEW and _are_labels(expected) else [],
    }


def _are_labels(expected: Mapping[str, Any]) -> bool:
    """Tell a few names from answers that are all different."""
    return len(expected) <= 30 and all(len(one) <= 60 and "\n" not in one for one in expected)


def _merge_kinds(errors: Mapping[str, Any]) -> tuple[dict[int, list[str]], dict[int, Mapping[str, Any]]]:
    """Put a row that is of several kinds together."""
    kinds: dict[int, list[str]] = {}
    rows: dict[int, Mapping[str, Any]] = {}
    for kind in KINDS:
        for row in errors[kind]:
            kinds.setdefault(row["row"], []).append(kind)
            rows[row["row"]] = row
    return kinds, rows


def _list_texts(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    texts = list(row["fields"].items())
    if row["expected"] is not None:
        texts.append(("expected", row["expected"]))
    return texts + [(who, one["output"]) for who, one in row["outputs"].items() if one["output"] is not None]


def _count_bytes(rows: Mapping[int, Mapping[str, Any]], limit: int) -> int:
    return sum(len(text[:limit].encode()) for row in rows.values() for _, text in _list_texts(row))


def _view_row(row: Mapping[str, Any], kinds: list[str], limit: int) -> dict[str, Any]:
    texts = [(name, text if len(text) <= limit else f"{text[:limit]}…") for name, text in _list_texts(row)]
    numbers = []
    for what in ("score", "loss"):
        found = {who: one[what] for who, one in row["outputs"].items() if one[what] is not None}
        if found:
            numbers.append((what, ", ".join(f"{who} {format_number(value)}" for who, value in found.items())))
    first = next(iter(row["fields"].values()), "")
    return {
        "kinds": kinds,
        "title": row["where"],
        "preview": " ".join(first.split())[:LONGEST_PREVIEW],
        "expected": row["expected"],
        "fields": [*texts, *numbers],
    }
