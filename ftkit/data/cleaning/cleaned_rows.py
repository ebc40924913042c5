"""Rows -> cleaned rows on disk, with the record of what was dropped or changed; made once per content."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftkit.data.cache_entries import find_or_make_entry
from ftkit.data.changes import ChangeFile, ChangeWriter, read_counts, write_counts
from ftkit.data.cleaning.rules import EDITS, RowRule, make_rule
from ftkit.data.columns import Column
from ftkit.data.row_json import hash_row, write_row
from ftkit.data.rows import Rows
from ftkit.data.storage import ABOUT_FILE, ROWS_FILE, Storage, StoredRow, open_storage, write_stored_rows
from ftkit.data.texts import find_text_columns
from ftkit.errors import DataError
from ftkit.recipe.sections.cleaning import CleaningRule

logger = logging.getLogger(__name__)

CLEANING_VERSION = 1
"""Raised whenever a rule gives something else for the same row, so that no cleaned rows are stale."""

CHANGES_FILE = "changes.jsonl"


def clean_rows(
    rows: Rows, rules: Sequence[CleaningRule], *, columns: Sequence[Column]
) -> tuple[Rows, ChangeFile]:
    """Put rows through rules, in their order.

    Args:
        rows: the table.
        rules: what the recipe says.
        columns: the task's, which say where texts are, for rules that name no columns.

    Returns:
        The rows that are kept, which know where they stood in their files; and what was dropped or
        changed, by the number of a row in `rows`.

    Raises:
        DataError: no row is left, or a rule names a column that no row has.
    """
    text_columns = find_text_columns(columns)
    _check_columns(rows, rules, columns)
    key = _make_key(rows, rules, text_columns)

    def make(folder: Path) -> None:
        import pyarrow as pa

        logger.info("cleaning %s", rows.name)
        made = [make_rule(rule, text_columns) for rule in rules]
        with (
            (folder / CHANGES_FILE).open("w", encoding="utf-8") as file,
            pa.OSFile(str(folder / ROWS_FILE), "wb") as sink,
        ):
            changes = ChangeWriter(file)
            about = write_stored_rows(_clean(rows, made, changes), sink, num_parts=len(rows.sources))
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


def _check_columns(rows: Rows, rules: Sequence[CleaningRule], columns: Sequence[Column]) -> None:
    """Refuse columns that are not there, and changes to a text whose characters another column counts."""
    names = rows.column_names
    counted = {each.offsets_into: each.name for each in columns if each.offsets_into and each.name in names}
    text_columns = find_text_columns(columns)
    for rule in rules:
        for name in rule.options.columns or ():
            if name not in names:
                raise DataError(
                    f"data.clean: {rule.name}: {rows.name} has no column {name!r}; "
                    f"the columns are {', '.join(map(repr, names))}; name one of them"
                )
        for name in rule.options.columns or text_columns:
            if rule.name in EDITS and name in counted:
                raise DataError(
                    f"data.clean: {rule.name}: would change {name!r}, whose characters "
                    f"{counted[name]!r} counts; name other columns for the rule, or take it out"
                )


def _make_key(rows: Rows, rules: Sequence[CleaningRule], text_columns: Sequence[str]) -> str:
    content = [CLEANING_VERSION, rows.fingerprint, [rule.model_dump() for rule in rules], list(text_columns)]
    return hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()


def _clean(rows: Rows, rules: Sequence[RowRule], changes: ChangeWriter) -> Iterator[StoredRow]:
    """Yield the rows that are kept, as they are to be stored."""
    places = rows.iterate_places()
    for index, (row, (source, place)) in enumerate(zip(rows, places, strict=True)):
        kept = _apply(index, row, rules, changes)
        if kept is not None:
            stored = {rows.columns.get(name, name): value for name, value in kept.items()}
            yield StoredRow(write_row(stored), source, place, hash_row(stored), tuple(stored))


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
