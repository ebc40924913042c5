"""The record of every row that was dropped or changed: on disk, by stage, with counts by rule.

A stage (cleaning, the leakage gate, encoding, ...) works on one table and writes a JSON line for each row
that it drops or changes, by the row's number in that table. Files lie in the cache beside what the stage
made, so that a run that finds its rows there still says what happened to them. `Changes` puts stages
together and names split and source of each row. Nothing here holds the entries in memory.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from ftkit.data.rows import Rows

Action = Literal["dropped", "changed"]

LONGEST_TEXT = 2000
"""Characters of a text that are kept in the record; of a longer one, a part."""
_BEFORE_CHANGE = 200


@dataclass(frozen=True)
class ChangeFile:
    """What one stage did to the rows of one table: JSON lines on disk, read when iterated."""

    path: Path
    counts: Mapping[tuple[str, Action], int]
    """(rule, action) -> number of rows."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with self.path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)

    def count_rules(self) -> dict[str, int]:
        """Count rows by rule, whatever was done to them."""
        total = Counter[str]()
        for (rule, _), number in self.counts.items():
            total[rule] += number
        return dict(total)


class ChangeWriter:
    """Writes the entries of a `ChangeFile` and counts them."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.counts = Counter[tuple[str, Action]]()

    def drop(self, row: int, rule: str, detail: str, before: Any = None, *, other: int | None = None) -> None:
        """Note that a row was left out.

        Args:
            row: its number in the table that the stage got, from 0.
            rule: the rule's name.
            detail: why, in words.
            before: the row, or those of its values that decided.
            other: the row of the same table that it repeats; the record says where that one stands.
        """
        values = {"other": other, "before": before if before is None else shorten(before)}
        self._write(
            "dropped", row, rule, detail, {key: each for key, each in values.items() if each is not None}
        )

    def change(self, row: int, rule: str, detail: str, before: Any = None, after: Any = None) -> None:
        """Note that a row was changed: `before` and `after` hold the values that differ, by column."""
        values = (
            {} if before is None else dict(zip(("before", "after"), show_change(before, after), strict=True))
        )
        self._write("changed", row, rule, detail, values)

    def reject(self, row: int, rule: str, detail: str) -> None:
        """Note what encoding did to a row: a rule that ends in `:drop` left it out."""
        (self.drop if rule.endswith(":drop") else self.change)(row, rule, detail)

    def add(self, lines: str, counts: Mapping[tuple[str, Action], int]) -> None:
        """Add what another writer wrote and counted, of rows of the same table."""
        self._file.write(lines)
        self.counts.update(counts)

    def _write(self, action: Action, row: int, rule: str, detail: str, values: Mapping[str, Any]) -> None:
        self.counts[rule, action] += 1
        entry = {"row": row, "rule": rule, "action": action, "detail": detail, **values}
        self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")


def write_counts(counts: Mapping[tuple[str, Action], int]) -> list[list[Any]]:
    """Write counts as JSON values, to lie beside the file; `read_counts` reads them back."""
    return [[rule, action, number] for (rule, action), number in counts.items()]


def read_counts(values: list[list[Any]]) -> dict[tuple[str, Action], int]:
    """Read what `write_counts` wrote."""
    return {(rule, action): number for rule, action, number in values}


@dataclass(frozen=True)
class Stage:
    """What one stage did to one split."""

    split: str
    """The split; for a stage before splitting, the setting whose rows they are, such as `train`."""
    rows: Rows
    """The table as the stage got it, which knows where its rows stand."""
    file: ChangeFile


@dataclass(frozen=True)
class Changes:
    """All rows that were dropped or changed, stage by stage; iterate to read the entries one by one."""

    stages: tuple[Stage, ...] = field(default=())

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for stage in self.stages:
            for entry in stage.file:
                row = entry.pop("row")
                if "other" in entry:
                    entry["other"] = stage.rows.where(entry["other"])
                yield {"split": stage.split, "source": stage.rows.where(row), "row": row, **entry}

    def __add__(self, other: Changes) -> Changes:
        return Changes((*self.stages, *other.stages))

    def select(self, split: str) -> Changes:
        """Take the stages of one split."""
        return Changes(tuple(stage for stage in self.stages if stage.split == split))

    def count_rules(self, action: Action | None = None) -> dict[str, int]:
        """Count rows by rule, in the order of the stages; of one action, or of both."""
        total = Counter[str]()
        for stage in self.stages:
            for (rule, done), number in stage.file.counts.items():
                if action in (None, done):
                    total[rule] += number
        return dict(total)

    def list_counts(self) -> list[dict[str, Any]]:
        """List the numbers of rows by split, rule and action, as JSON values."""
        total = Counter[tuple[str, str, Action]]()
        for stage in self.stages:
            for (rule, action), number in stage.file.counts.items():
                total[stage.split, rule, action] += number
        return [
            {"split": split, "rule": rule, "action": action, "rows": number}
            for (split, rule, action), number in total.items()
        ]


def shorten(value: Any) -> Any:
    """Cut long texts inside a value, and say by how much."""
    if isinstance(value, str):
        return _cut(value, 0)
    if isinstance(value, Mapping):
        return {key: shorten(inner) for key, inner in value.items()}
    return [shorten(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def show_change(before: Any, after: Any) -> tuple[Any, Any]:
    """Cut the texts of two values that differ, each to the part around the first difference."""
    if isinstance(before, str) and isinstance(after, str):
        start = max(0, _find_difference(before, after) - _BEFORE_CHANGE)
        return _cut(before, start), _cut(after, start)
    if isinstance(before, Mapping) and isinstance(after, Mapping) and before.keys() == after.keys():
        pairs = {key: show_change(before[key], after[key]) for key in before}
        return {key: pair[0] for key, pair in pairs.items()}, {key: pair[1] for key, pair in pairs.items()}
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        items = [show_change(*pair) for pair in zip(before, after, strict=True)]
        return [item[0] for item in items], [item[1] for item in items]
    return shorten(before), shorten(after)


def _cut(text: str, start: int) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    left, kept = start, text[start : start + LONGEST_TEXT]
    right = len(text) - start - len(kept)
    head = f"[{left:,} characters before] " if left else ""
    return f"{head}{kept}" + (f" [{right:,} characters after]" if right else "")


def _find_difference(one: str, other: str) -> int:
    """Find the first place where two texts differ, by halving: comparing slices is fast."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low
