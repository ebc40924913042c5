"""Rows -> cleaned rows on disk, with the record of what was dropped or changed; made once per content."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ftkit.data.cache_entries import find_or_make_entry
from ftkit.data.changes import ChangeFile, ChangeWriter, read_counts, write_counts
from ftkit.data.cleaning.extras import find_version
from ftkit.data.cleaning.repeated_lines import find_repeated_lines
from ftkit.data.cleaning.rules import LIBRARIES, RowRule, make_rule
from ftkit.data.columns import Column
from ftkit.data.row_json import hash_row, write_row
from ftkit.data.rows import Rows
from ftkit.data.storage import ABOUT_FILE, ROWS_FILE, Storage, StoredRow, open_storage, write_stored_rows
from ftkit.data.texts import find_text_columns
from ftkit.errors import DataError
from ftkit.recipe.sections.cleaning import CleaningRule, Function, RepeatedLines
from ftkit.sources.functions import fingerprint_function

logger = logging.getLogger(__name__)

CLEANING_VERSION = 1
"""Raised whenever a rule gives something else for the same row, so that no cleaned rows are stale."""

CHANGES_FILE = "changes.jsonl"


@dataclass(frozen=True)
class Repeated:
    """What `repeated_lines` found in the rows that it was counted in."""

    lines: frozenset[int]
    fingerprint: str
    """Of the rows, and of the rule."""


def count_repeated_lines(rows: Rows, rule: CleaningRule, *, columns: Sequence[Column]) -> Repeated:
    """Find the lines that a rule `repeated_lines` takes out, counted in some rows."""
    options = rule.options
    assert isinstance(options, RepeatedLines)
    lines = find_repeated_lines(
        rows,
        options.columns or find_text_columns(columns),
        num_rows=options.rows,
        num_characters=options.characters,
    )
    logger.info(
        "repeated_lines: %s lines stand in %d rows or more of %s", f"{len(lines):,}", options.rows, rows.name
    )
    return Repeated(lines, f"{rows.fingerprint} {rule.model_dump_json()}")


def clean_rows(
    rows: Rows,
    rules: Sequence[CleaningRule],
    *,
    columns: Sequence[Column],
    repeated: Repeated | None = None,
) -> tuple[Rows, ChangeFile]:
    """Put rows through rules, in their order.

    Args:
        rows: the table.
        rules: what the recipe says, without those that compare rows; `repeated_lines` only as the first.
        columns: the task's, which say where texts are, for rules that name no columns.
        repeated: the lines to take out, where `repeated_lines` is the first rule.

    Returns:
        The rows that are kept, which know where they stood in their files; and what was dropped or
        changed, by the number of a row in `rows`.

    Raises:
        DataError: no row is left, or a rule names a column that no row has.
    """
    check_rule_columns(rows, rules)
    key = _make_key(rows, rules, columns, repeated)

    def make(folder: Path) -> None:
        import pyarrow as pa

        logger.info("cleaning %s", rows.name)
        made = [_make(rule, columns, repeated) for rule in rules]
        with (
            (folder / CHANGES_FILE).open("w", encoding="utf-8") as file,
            pa.OSFile(str(folder / ROWS_FILE), "wb") as sink,
        ):
            changes = ChangeWriter(file)
            about = write_stored_rows(
                _clean(rows, made, changes, keeps_hashes=repeated is not None),
                sink,
                num_parts=len(rows.sources),
            )
        if not sum(about["num_rows_by_part"]):
            dropped = {
                rule: number for (rule, action), number in changes.counts.items() if action == "dropped"
            }
            counts = ", ".join(f"{rule}: {number:,}" for rule, number in dropped.items())
            raise DataError(
                f"{rows.name}: cleaning leaves none of {len(rows):,} rows; by rule: {counts}; "
                "loosen the rules of data.clean"
            )
        about["changes"] = write_counts(changes.counts)
        (folder / ABOUT_FILE).write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")

    def read(folder: Path) -> tuple[Storage, ChangeFile]:
        about = json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))
        return open_storage(folder, key), ChangeFile(folder / CHANGES_FILE, read_counts(about["changes"]))

    storage, changes = find_or_make_entry("cleaned", key, make, read)
    return replace(rows, storage=storage, indices=None), changes


def check_rule_columns(rows: Rows, rules: Sequence[CleaningRule]) -> None:
    """Refuse columns that are not there.

    Raises:
        DataError: names the rule, the column and what there is.
    """
    names = rows.column_names
    for rule in rules:
        for name in rule.options.columns or ():
            if name not in names:
                raise DataError(
                    f"data.clean: {rule.name}: {rows.name} has no column {name!r}; "
                    f"the columns are {', '.join(map(repr, names))}; name one of them"
                )


def _make_key(
    rows: Rows, rules: Sequence[CleaningRule], columns: Sequence[Column], repeated: Repeated | None
) -> str:
    """Make the key of all that cleaned rows depend on, with versions of libraries and functions."""
    functions = [
        fingerprint_function(rule.options.name, setting="data.clean")
        for rule in rules
        if isinstance(rule.options, Function)
    ]
    libraries = sorted({library for rule in rules for library in LIBRARIES.get(rule.name, ())})
    content = [
        CLEANING_VERSION,
        rows.fingerprint,
        [rule.model_dump() for rule in rules],
        [(column.name, *column.also, column.kind, column.offsets_into) for column in columns],
        repeated.fingerprint if repeated else None,
        functions,
        [(library, find_version(library)) for library in libraries],
    ]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def _make(rule: CleaningRule, columns: Sequence[Column], repeated: Repeated | None) -> RowRule:
    return make_rule(rule, columns, repeated_lines=repeated.lines if repeated else frozenset())


def _clean(
    rows: Rows, rules: Sequence[RowRule], changes: ChangeWriter, *, keeps_hashes: bool
) -> Iterator[StoredRow]:
    """Yield the rows that are kept, as they are to be stored.

    Args:
        rows: the table.
        rules: made of the recipe's.
        changes: where to note what happens.
        keeps_hashes: keep the hash that a row came with, which decides its split: what a rule does that
            has looked at other rows must not move it.
    """
    places, hashes = rows.iterate_places(), rows.hashes
    for index, (row, (source, place)) in enumerate(zip(rows, places, strict=True)):
        kept = _apply(index, row, rules, changes)
        if kept is not None:
            stored = {rows.columns.get(name, name): value for name, value in kept.items()}
            digest = int(hashes[index]) if keeps_hashes else hash_row(stored)
            yield StoredRow(write_row(stored), source, place, digest, tuple(stored))


def _apply(
    index: int, row: Mapping[str, Any], rules: Sequence[RowRule], changes: ChangeWriter
) -> Mapping[str, Any] | None:
    """Put one row through all rules, until one leaves it out."""
    for rule in rules:
        outcome = rule.apply(row)
        if outcome is None:
            continue
        if outcome.row is None:
            changes.drop(index, rule.name, outcome.detail, row)
            return None
        after = outcome.row
        differing = [name for name in {**row, **after} if row.get(name) != after.get(name)]
        before, now = ({name: each[name] for name in differing if name in each} for each in (row, after))
        changes.change(index, rule.name, outcome.detail, before, now)
        row = after
    return row
