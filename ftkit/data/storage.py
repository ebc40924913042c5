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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ftkit.data.cache_entries import Use, find_or_make_entry
from ftkit.data.mapped_files import MappedFile
from ftkit.data.problems import Problems
from ftkit.data.row_json import BrokenRow, RowText, hash_row, name_place, parse_row
from ftkit.errors import DataError

if TYPE_CHECKING:
    import pyarrow
    from numpy.typing import NDArray

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


class StoredRow(NamedTuple):
    """One row as it is to be stored."""

    text: str
    """The row as JSON."""
    source: int
    """Number of the part that it comes from."""
    place: int
    """Line or index in it; see `RowText`."""
    digest: int
    """`hash_row` of the row."""
    names: tuple[str, ...]
    """Its columns."""


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

    mapped: MappedFile | None = field(default=None, repr=False)

    @property
    def num_bytes(self) -> int:
        """What the rows take, on disk or in memory."""
        return self.table.nbytes if self.path is None else self.path.stat().st_size

    def read_texts(self) -> Iterator[list[str]]:
        """Read the JSON texts of all rows in order, batch by batch, without mapping them to memory."""
        for batch in self._read_batches("row"):
            yield batch.column(0).to_pylist()

    def read_places(self) -> Iterator[list[tuple[int, int]]]:
        """Read source and place of all rows in order, batch by batch, without mapping them to memory."""
        for batch in self._read_batches("source", "place"):
            yield list(zip(*(column.to_pylist() for column in batch.columns), strict=True))

    def read_numbers(self, name: Literal["hash", "source"]) -> NDArray[Any]:
        """Read a column of all rows, shape (rows,); the texts beside it stay on disk."""
        import numpy as np

        kind = {"hash": np.uint64, "source": np.int32}[name]
        numbers = np.empty(self.table.num_rows, dtype=kind)
        start = 0
        for batch in self._read_batches(name):
            numbers[start : start + batch.num_rows] = batch.column(0).to_numpy()
            start += batch.num_rows
        return numbers

    def read_text(self, index: int) -> str:
        """Read one row as JSON."""
        text: str = self.table["row"][index].as_py()
        if self.mapped is not None:
            self.mapped.note_read()
        return text

    def read_place(self, index: int) -> tuple[int, int]:
        """Read source and place of one row."""
        source, place = (self.table[name][index].as_py() for name in ("source", "place"))
        if self.mapped is not None:
            self.mapped.note_read()
        return source, place

    def _read_batches(self, *names: str) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow as pa

        if self.path is None:
            yield from self.table.select(names).to_batches()
            return
        fields = [self.table.schema.get_field_index(name) for name in names]
        with pa.OSFile(str(self.path)) as file:
            reader = pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=fields))
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)


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

    storage = find_or_make_entry("rows", key, make, lambda folder: open_storage(folder, key))
    _check_parts(parts, storage.num_rows_by_part)
    return storage


def store_in_memory(*parts: Part) -> Storage:
    """Keep the rows of parts in memory, in the form that they would have on disk.

    Raises:
        DataError: broken rows, with their count and the first few; or no rows.
    """
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    about = _write_parts(parts, sink)
    return _open_in_memory(sink, about, _hash_parts(parts))


def store_rows_in_memory(rows: Iterable[StoredRow], *, key: str, num_parts: int) -> Storage:
    """Keep rows in memory, in the form that they would have on disk.

    Args:
        rows: in their order.
        key: hash of what they were made of.
        num_parts: how many sources they come from.
    """
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    about = write_stored_rows(rows, sink, num_parts=num_parts)
    return _open_in_memory(sink, about, key)


def _open_in_memory(sink: pyarrow.BufferOutputStream, about: Mapping[str, Any], key: str) -> Storage:
    import pyarrow as pa

    table = pa.ipc.open_file(sink.getvalue()).read_all()
    return Storage(key, about["columns"], about["num_rows_by_part"], table, None)


def _hash_parts(parts: Sequence[Part]) -> str:
    content = json.dumps([READER_VERSION, *(part.key for part in parts)])
    return hashlib.sha256(content.encode()).hexdigest()


def _name_parts(parts: Sequence[Part]) -> str:
    return parts[0].name if len(parts) == 1 else f"{parts[0].name} and {len(parts) - 1} more"


def _write_parts(parts: Sequence[Part], sink: pyarrow.NativeFile) -> dict[str, Any]:
    """Write the rows of all parts to an Arrow file, and return what is to be known of them."""
    problems, num_read = Problems(), [0] * len(parts)

    def read() -> Iterator[StoredRow]:
        for source, part in enumerate(parts):
            for place, text in part.read():
                num_read[source] += 1
                try:
                    if isinstance(text, BrokenRow):
                        raise text
                    row = parse_row(text)
                    yield StoredRow(text, source, place, hash_row(row), tuple(row))
                except BrokenRow as broken:
                    problems.add(name_place(part.name, place), str(broken))

    about = write_stored_rows(read(), sink, num_parts=len(parts))
    where = _name_parts(parts)
    problems.raise_any(where=where, num_rows=sum(num_read))
    if not any(num_read):
        _check_parts(parts, num_read)
        raise DataError(f"{where}: no rows in any of the files; fill them, or name others")
    return about


def write_stored_rows(
    rows: Iterable[StoredRow], sink: pyarrow.NativeFile, *, num_parts: int
) -> dict[str, Any]:
    """Write rows to an Arrow file, a batch at a time, and return what is to be known of them.

    Args:
        rows: in the order in which they are to lie there.
        sink: the file.
        num_parts: how many sources the rows come from.
    """
    import pyarrow as pa

    shapes, num_rows = Counter[tuple[str, ...]](), [0] * num_parts
    with pa.ipc.new_file(sink, _make_schema()) as writer:
        batch = _Batch(writer)
        for row in rows:
            batch.add(row)
            num_rows[row.source] += 1
            shapes[row.names] += 1
        batch.flush()
    return {
        "reader_version": READER_VERSION,
        "num_rows_by_part": num_rows,
        "columns": _count_columns(shapes),
    }


def open_storage(folder: Path, key: str) -> Storage:
    """Open the rows in a complete entry of the cache."""
    import pyarrow as pa

    about = json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))
    path = folder / ROWS_FILE
    mapped = MappedFile(path)
    table = pa.ipc.open_file(mapped.open()).read_all()
    mapped.release()
    return Storage(key, about["columns"], about["num_rows_by_part"], table, path, Use(folder), mapped)


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
    rows: list[StoredRow] = field(default_factory=list)
    num_characters: int = 0

    def add(self, row: StoredRow) -> None:
        self.rows.append(row)
        self.num_characters += len(row.text)
        if len(self.rows) >= _MOST_ROWS or self.num_characters >= _MOST_CHARACTERS:
            self.flush()

    def flush(self) -> None:
        import pyarrow as pa

        if self.rows:
            columns = zip(*self.rows, strict=True)
            arrays = [pa.array(next(columns), column.type) for column in _make_schema()]
            self.writer.write_batch(pa.record_batch(arrays, schema=_make_schema()))
        self.rows.clear()
        self.num_characters = 0
