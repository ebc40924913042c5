"""Rows of a split that repeat an earlier one of it, exactly or nearly; the first one stays."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.data.cache_entries import find_or_make_entry
from ftkit.data.changes import ChangeFile, ChangeWriter, read_counts, write_counts
from ftkit.data.columns import Column
from ftkit.data.near_duplicates import NEAR_DUPLICATES_VERSION, find_repetitions, weigh_records
from ftkit.data.row_json import hash_row
from ftkit.data.rows import Rows
from ftkit.data.texts import find_text_columns, list_texts
from ftkit.recipe.sections.cleaning import CleaningRule, NearDuplicates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

DUPLICATES_VERSION = 1
"""Raised whenever other rows are left out, so that no stored finding is stale."""

_KEPT_FILE, _CHANGES_FILE, _ABOUT_FILE = "kept.npy", "changes.jsonl", "about.json"
_SAMPLE = 20_000

Finding = tuple[int, int, str]
"""A row that is left out, the earlier one that it is like, and how alike they are."""


def drop_repetitions(rows: Rows, rule: CleaningRule, *, columns: Sequence[Column]) -> tuple[Rows, ChangeFile]:
    """Leave out rows that are equal to, or like, an earlier one.

    Args:
        rows: a split.
        rule: `duplicates` or `near_duplicates`, with its options.
        columns: the task's.

    Returns:
        The rows that stay, and what was left out, by the number of a row in `rows`.
    """
    names = list(rule.options.columns or find_text_columns(columns))
    content = [DUPLICATES_VERSION, NEAR_DUPLICATES_VERSION, rows.fingerprint, rule.model_dump(), names]
    key = hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()

    def make(folder: Path) -> None:
        import numpy as np

        logger.info("looking for %s in %s rows", rule.name.replace("_", " "), f"{len(rows):,}")
        found = {index: (other, detail) for index, other, detail in _find(rows, rule, names)}
        dropped = np.array(sorted(found), dtype=np.int64)
        with (folder / _CHANGES_FILE).open("w", encoding="utf-8") as file:
            changes = ChangeWriter(file)
            for index, row in zip(dropped.tolist(), rows.select(dropped), strict=True):
                other, detail = found[index]
                changes.drop(index, rule.name, detail, row, other=other)
        np.save(folder / _KEPT_FILE, np.delete(np.arange(len(rows)), dropped))
        (folder / _ABOUT_FILE).write_text(json.dumps(write_counts(changes.counts)), encoding="utf-8")

    def read(folder: Path) -> tuple[NDArray[np.int64], ChangeFile]:
        import numpy as np

        counts = read_counts(json.loads((folder / _ABOUT_FILE).read_text(encoding="utf-8")))
        return np.load(folder / _KEPT_FILE), ChangeFile(folder / _CHANGES_FILE, counts)

    kept, changes = find_or_make_entry("deduplicated", key, make, read)
    return (rows.select(kept) if len(kept) < len(rows) else rows), changes


def _find(rows: Rows, rule: CleaningRule, names: Sequence[str]) -> Iterator[Finding]:
    if isinstance(rule.options, NearDuplicates):
        yield from _find_alike(rows, names, rule.options.similarity)
    else:
        yield from _find_equal(rows, rule.options.columns)


def _find_equal(rows: Rows, columns: Sequence[str] | None) -> Iterator[Finding]:
    """Find rows whose content, or whose values in some columns, an earlier row has."""
    import numpy as np

    parts = (row if columns is None else {name: row.get(name) for name in columns} for row in rows)
    hashes = np.fromiter(map(hash_row, parts), dtype=np.uint64, count=len(rows))
    for index, first in find_equal(hashes):
        yield index, first, "equal"


def find_equal(hashes: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
    """Find the numbers that come a second time, and where each came first.

    They are sorted a sixteenth at a time, by their first bits, so that sorting takes little memory.
    """
    import numpy as np

    for part in range(16):
        places = np.flatnonzero(hashes >> np.uint64(60) == part)
        found = hashes[places]
        order = found.argsort(kind="stable")
        is_new = np.ones(len(order), dtype=np.bool_)
        is_new[1:] = found[order[1:]] != found[order[:-1]]
        firsts = order[is_new][is_new.cumsum() - 1]
        pairs = places[order[~is_new]], places[firsts[~is_new]]
        yield from zip(*(each.tolist() for each in pairs), strict=True)


def _find_alike(rows: Rows, names: Sequence[str], similarity: float) -> Iterator[Finding]:
    """Find rows whose texts are like those of an earlier row."""
    records = _TextRecords(rows, names)
    step = max(1, len(rows) // _SAMPLE)
    weights = weigh_records(_TextRecords(rows.select(range(0, len(rows), step)), names))
    for match in find_repetitions(records, threshold=similarity, weights=weights):
        yield (
            match.index,
            match.other,
            "equal texts" if match.is_exact else f"similarity {match.similarity:.2f}",
        )


class _TextRecords(Sequence[tuple[str, ...]]):
    """The texts of rows, read when asked for."""

    def __init__(self, rows: Rows, names: Sequence[str]) -> None:
        self._rows, self._names = rows, names

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN204
        return self._read(self._rows[index])

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return map(self._read, self._rows)

    def _read(self, row: dict[str, object]) -> tuple[str, ...]:
        return ("\n".join(text for name in self._names for text in list_texts(row.get(name))),)
