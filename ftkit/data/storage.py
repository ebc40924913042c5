"""Rows on disk: JSON texts in an Arrow file, found by the content of what they were read from.

An entry of the cache is a folder with `rows.arrow` and `about.json`. It does not know the names of the
files that its rows came from, so that a file that moved is not read again. Resident memory does not
grow with the number of rows: writing holds one batch, iterating reads one batch at a time, and single
rows come through a memory map.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.data.cache_entries import Use, find_or_make_entry
from ftkit.data.problems import Problems
from ftkit.data.row_json import BrokenRow, RowText, hash_row, name_place, parse_row
from ftkit.errors import DataError

if TYPE_CHECKING:
    import pyarrow

logger = logging.getLogger(__name__)

READER_VERSION = 1
"""Raised whenever a reader gives other rows for the same file, so that no stored rows are stale."""

ROWS_FILE, ABOUT_FILE = "rows.arrow", "about.json"
_MOST_ROWS, _MOST_CHARACTERS = 4096, 8_000_000  # of one batch, whichever comes first


@dataclass(frozen=True)
class Part:
    """One file, or one table, that rows are read from."""

    name: str
    """What messages call it."""
    key: str
    """Hash of its content and of how it is read."""
    read: Callable[[], Iterator[RowText]]
    may_be_empty: bool = False


@dataclass(frozen=True, eq=False)
class Storage:
    """Stored rows: the Arrow table with `row`, `source`, `place` and `hash`, and what is known of them."""

    key: str
    """Hash of the content."""
    columns: Mapping[str, int]
    """Column -> in how many rows it is."""
    num_rows_by_part: Sequence[int]
    table: pyarrow.Table
    path: Path | None
    """The Arrow file; None for rows in memory."""
    use: Use | None = field(default=None, repr=False)

    def read_texts(self) -> Iterator[list[str]]:
        """Read the JSON texts of all rows in order, batch by batch, without mapping them to memory."""
        import pyarrow as pa

        if self.path is None:
            for chunk in self.table.column("row").chunks:
                yield chunk.to_pylist()
            return
        with pa.OSFile(str(self.path)) as file:
            reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=[0]))
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index).column(0).to_pylist()


def store_on_disk(parts: Sequence[Part]) -> Storage:
    """Read parts into the cache, or find there what was read from the same content before.

    Raises:
        DataError: broken rows, with their count and the first few; or no rows.
    """
    key = _hash_parts(parts)

    def make(folder: Path) -> None:
        import pyarrow as pa

        logger.info("reading %s", _name_parts(parts))
        with pa.OSFile(str(folder / ROWS_FILE), "wb") as sink:
            about = _write_parts(parts, sink)
        (folder / ABOUT_FILE).write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")

    def read(folder: Path) -> Storage:
        import pyarrow as pa

        about = json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))
        path = folder / ROWS_FILE
        table = pa.ipc.open_file(pa.memory_map(str(path))).read_all()
        return Storage(key, about["columns"], about["num_rows_by_part"], table, path, Use(folder))

    storage = find_or_make_entry("rows", key, make, read)
    _check_parts(parts, storage.num_rows_by_part)
    return storage


def store_in_memory(part: Part) -> Storage:
    """Keep the rows of one part in memory, in the form that they would have on disk.

    Raises:
        DataError: broken rows, with their count and the first few; or no rows.
    """
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    about = _write_parts([part], sink)
    table = pa.ipc.open_file(sink.getvalue()).read_all()
    return Storage(_hash_parts([part]), about["columns"], about["num_rows_by_part"], table, None)


def _hash_parts(parts: Sequence[Part]) -> str:
    content = json.dumps([READER_VERSION, *(part.key for part in parts)])
    return hashlib.sha256(content.encode()).hexdigest()


def _name_parts(parts: Sequence[Part]) -> str:
    return parts[0].name if len(parts) == 1 else f"{parts[0].name} and {len(parts) - 1} more"


def _write_parts(parts: Sequence[Part], sink: pyarrow.NativeFile) -> dict[str, Any]:
    """Write the rows of all parts to an Arrow file, and return what is to be known of them."""
    import pyarrow as pa

    problems, shapes, num_rows = Problems(), Counter[tuple[str, ...]](), [0] * len(parts)
    with pa.ipc.new_file(sink, _make_schema()) as writer:
        batch = _Batch(writer)
        for source, part in enumerate(parts):
            for place, text in part.read():
                num_rows[source] += 1
                try:
                    if isinstance(text, BrokenRow):
                        raise text
                    row = parse_row(text)
                    batch.add(text, source, place, hash_row(row))
                except BrokenRow as broken:
                    problems.add(name_place(part.name, place), str(broken))
                    continue
                shapes[tuple(row)] += 1
        batch.flush()
    where = _name_parts(parts)
    problems.raise_any(where=where, num_rows=sum(num_rows))
    if not any(num_rows):
        _check_parts(parts, num_rows)
        raise DataError(f"{where}: no rows in any of the files; fill them, or name others")
    return {
        "reader_version": READER_VERSION,
        "num_rows_by_part": num_rows,
        "columns": _count_columns(shapes),
    }


def _count_columns(shapes: Mapping[tuple[str, ...], int]) -> dict[str, int]:
    """Count in how many rows each column is, in the order in which they came up."""
    columns = Counter[str]()
    for names, count in shapes.items():
        columns.update(dict.fromkeys(names, count))
    return dict(columns)


def _check_parts(parts: Sequence[Part], num_rows: Sequence[int]) -> None:
    """Say that a part has no rows: an error where the user named it, a warning where a glob found it."""
    for part, number in zip(parts, num_rows, strict=True):
        if number == 0 and not part.may_be_empty:
            raise DataError(f"{part.name}: is empty, it has no rows; fill it, or name another file")
        if number == 0:
            logger.warning("%s: is empty, it has no rows", part.name)


def _make_schema() -> pyarrow.Schema:
    import pyarrow as pa

    return pa.schema(
        [("row", pa.large_string()), ("source", pa.int32()), ("place", pa.int64()), ("hash", pa.uint64())]
    )


@dataclass
class _Batch:
    """Rows on their way to an Arrow file, up to `_MOST_ROWS` or `_MOST_CHARACTERS` at a time."""

    writer: pyarrow.ipc.RecordBatchFileWriter
    rows: list[tuple[str, int, int, int]] = field(default_factory=list)
    num_characters: int = 0

    def add(self, text: str, source: int, place: int, digest: int) -> None:
        self.rows.append((text, source, place, digest))
        self.num_characters += len(text)
        if len(self.rows) >= _MOST_ROWS or self.num_characters >= _MOST_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        import pyarrow as pa

        if self.rows:
            columns = zip(zip(*self.rows, strict=True), _make_schema(), strict=True)
            arrays = [pa.array(values, column.type) for values, column in columns]
            self.writer.write_batch(pa.record_batch(arrays, schema=_make_schema()))
        self.rows.clear()
        self.num_characters = 0
