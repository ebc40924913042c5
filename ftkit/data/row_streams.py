"""Rows read from their source while they are needed, a chunk at a time; nothing of them is stored.

A place in a stream is a file and a number of rows of it. To go on from a place, files before it are not
opened; the rows before it in its own file are read past, and neither cleaned nor encoded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from ftkit.data.cleaning.chunks import Cleaning, clean_texts
from ftkit.data.cleaning.rules import RowRule
from ftkit.data.loading import hash_texts, list_unstored_parts
from ftkit.data.mixing import list_specs
from ftkit.data.row_json import RowText
from ftkit.data.rows import Rows
from ftkit.data.storage import Part, StoredRow, store_in_memory, store_rows_in_memory

if TYPE_CHECKING:
    from ftkit.recipe import DataSection

ROWS_AT_ONCE, CHARACTERS_AT_ONCE = 1000, 4_000_000
"""Most rows of a chunk, and most characters of their JSON; whichever comes first."""


class Place(NamedTuple):
    """How far a stream has been read."""

    part: int = 0
    """Number of the file, from 0."""
    row: int = 0
    """Rows of it that were read."""


@dataclass(frozen=True)
class RowStream:
    """The rows of some files, one file after another."""

    parts: tuple[Part, ...]
    columns: Mapping[str, str]
    """Task's column -> the file's column, where they differ."""

    def read(self, start: Place = Place()) -> Iterator[tuple[Rows, Place]]:  # noqa: B008 - a tuple
        """Yield chunks of rows, in memory, each with the place behind it.

        Raises:
            DataError: broken rows, with file and line.
        """
        chunk: dict[int, list[RowText]] = {}
        num_rows = num_characters = 0
        for number in range(start.part, len(self.parts)):
            skipped = start.row if number == start.part else 0
            for index, row in enumerate(islice(self.parts[number].read(), skipped, None), skipped + 1):
                chunk.setdefault(number, []).append(row)
                num_rows, num_characters = num_rows + 1, num_characters + len(str(row[1]))
                if num_rows >= ROWS_AT_ONCE or num_characters >= CHARACTERS_AT_ONCE:
                    yield self._hold(chunk), Place(number, index)
                    chunk, num_rows, num_characters = {}, 0, 0
        if chunk:
            yield self._hold(chunk), Place(len(self.parts))

    def read_head(self) -> Rows:
        """Read the first chunk alone.

        Raises:
            DataError: there is no row, or a broken one.
        """
        found = next(self.read(), None)
        return self._hold({}) if found is None else found[0]

    def _hold(self, chunk: Mapping[int, list[RowText]]) -> Rows:
        parts = [
            replace(self.parts[number], key=hash_texts(rows), read=rows.__iter__)
            for number, rows in chunk.items()
        ] or list(self.parts)
        return Rows(store_in_memory(*parts), tuple(part.name for part in parts), self.columns)


def open_stream(section: DataSection) -> RowStream:
    """Find the files of `data.train`, without reading them.

    Raises:
        DataError: rows that are in memory, or whose source can only be read whole.
        SourceError: files that are not there.
    """
    renamed = {task: file for task, file in section.columns.items() if task != file}
    return RowStream(tuple(list_unstored_parts(list_specs(section.train))), renamed)


def clean_chunk(rows: Rows, cleaning: Cleaning, rules: list[RowRule]) -> tuple[Rows, str, Mapping[Any, int]]:
    """Clean rows in memory.

    Returns:
        The rows that are kept, which know where they stand; what was dropped or changed, as JSON lines with
        the number of each row in `rows`; and the counts of that.
    """
    cleaned = clean_texts(list(rows.iterate_texts()), 0, cleaning, rules)
    places = list(rows.iterate_places())
    kept = (StoredRow(each.text, *places[each.number], each.digest, each.names) for each in cleaned.rows)
    storage = store_rows_in_memory(kept, key=rows.storage.key, num_parts=len(rows.sources))
    return replace(rows, storage=storage, indices=None), cleaned.entries, cleaned.counts
