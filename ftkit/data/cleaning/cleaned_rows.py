"""Rows -> cleaned rows on disk, with the record of what was dropped or changed; made once per content."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ftkit.data.cache_entries import find_or_make_entry
from ftkit.data.changes import ChangeFile, ChangeWriter, read_counts, write_counts
from ftkit.data.cleaning.chunks import Cleaning, clean_chunks
from ftkit.data.cleaning.extras import find_version
from ftkit.data.cleaning.repeated_lines import find_repeated_lines
from ftkit.data.cleaning.rules import LIBRARIES
from ftkit.data.columns import Column
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
    lines = repeated.lines if repeated else frozenset[int]()
    cleaning = Cleaning(tuple(rules), tuple(columns), dict(rows.columns), lines)

    def make(folder: Path) -> None:
        import pyarrow as pa

        logger.info("cleaning %s", rows.name)
        with (
            (folder / CHANGES_FILE).open("w", encoding="utf-8") as file,
            pa.OSFile(str(folder / ROWS_FILE), "wb") as sink,
        ):
            changes = ChangeWriter(file)
            about = write_stored_rows(
                _clean(rows, cleaning, changes, keeps_hashes=repeated is not None),
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


def _clean(
    rows: Rows, cleaning: Cleaning, changes: ChangeWriter, *, keeps_hashes: bool
) -> Iterator[StoredRow]:
    """Yield the rows that are kept, as they are to be stored.

    Args:
        rows: the table.
        cleaning: what is done to each.
        changes: where to note what happens.
        keeps_hashes: keep the hash that a row came with, which decides its split: what a rule does that
            has looked at other rows must not move it.
    """
    places, hashes = enumerate(rows.iterate_places()), rows.hashes if keeps_hashes else None
    for chunk in clean_chunks(rows, cleaning):
        changes.add(chunk.entries, chunk.counts)
        for kept in chunk.rows:
            source, place = next(place for index, place in places if index == kept.number)
            digest = kept.digest if hashes is None else int(hashes[kept.number])
            yield StoredRow(kept.text, source, place, digest, kept.names)
