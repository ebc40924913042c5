"""Readers of tables: parquet, Arrow, and `datasets.Dataset` objects."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ftkit.data.files import DataFile, open_bytes
from ftkit.data.row_json import RowText, write_rows
from ftkit.errors import DataError

if TYPE_CHECKING:
    import datasets
    import pyarrow

ROWS_AT_ONCE = 1000

_ARROW_FILE_MAGIC = b"ARROW1"


def read_parquet(file: DataFile) -> Iterator[RowText]:
    """Read the rows of a parquet file."""
    import pyarrow.parquet

    with _open_seekable(file) as stream:
        parquet = pyarrow.parquet.ParquetFile(stream)
        _check_names(parquet.schema_arrow.names, file.name)
        yield from _write_batches(parquet.iter_batches(batch_size=ROWS_AT_ONCE))


def read_arrow(file: DataFile) -> Iterator[RowText]:
    """Read the rows of an Arrow file, in the file format or the streaming format."""
    import pyarrow as pa

    with _open_seekable(file) as stream:
        is_file = stream.read(len(_ARROW_FILE_MAGIC)) == _ARROW_FILE_MAGIC
        stream.seek(0)
        if is_file:
            reader = pa.ipc.open_file(stream)
            batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
        else:
            reader = pa.ipc.open_stream(stream)
            batches = iter(reader)
        _check_names(reader.schema.names, file.name)
        yield from _write_batches(map(_validate, batches))


def _validate(batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
    """Check a batch of a file: Arrow trusts the offsets in it, and would crash on wrong ones."""
    batch.validate(full=True)
    return batch


@contextmanager
def _open_seekable(file: DataFile) -> Iterator[BinaryIO]:
    """Open a table for reading, a gzipped one unpacked to a temporary file.

    Raises:
        DataError: the file is damaged, or not the format of its suffix.
    """
    import pyarrow as pa

    with open_bytes(file) as stream, _unpack(stream, file) as seekable:
        try:
            yield seekable
        except DataError:
            raise
        except (pa.ArrowException, OSError, ValueError, KeyError, OverflowError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise DataError(
                f"{file.name}: damaged, or no {file.format} file: {reason}; download or write it again"
            ) from error


@contextmanager
def _unpack(stream: BinaryIO, file: DataFile) -> Iterator[BinaryIO]:
    """Copy what is gzipped to a temporary file, because a table is not read from front to back."""
    if not file.gzipped:
        yield stream
        return
    with tempfile.TemporaryFile() as unpacked:
        shutil.copyfileobj(stream, unpacked)
        unpacked.seek(0)
        yield cast(BinaryIO, unpacked)


def _check_names(names: list[str], name: str) -> None:
    """Refuse a column name that comes twice: one of the two would be lost."""
    twice = [column for column, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{name}: has the column {twice[0]!r} twice; rename one of them")


def _write_batches(batches: Iterable[pyarrow.RecordBatch]) -> Iterator[RowText]:
    """Turn record batches into JSON texts, a few rows at a time."""
    return write_rows(
        row
        for batch in batches
        for start in range(0, batch.num_rows, ROWS_AT_ONCE)
        for row in batch.slice(start, ROWS_AT_ONCE).to_pylist(maps_as_pydicts="strict")
    )


def read_dataset(dataset: datasets.Dataset) -> Iterator[RowText]:
    """Read the rows of a data set; the numbers of a `ClassLabel` become its names, -1 becomes null."""
    readers = {name: make_label_reader(feature) for name, feature in dataset.features.items()}

    def read() -> Iterator[dict[str, Any]]:
        for batch in dataset.with_format(None).iter(batch_size=ROWS_AT_ONCE):
            columns = [map(readers[name], values) for name, values in batch.items()]
            for values in zip(*columns, strict=True):
                yield dict(zip(batch, values, strict=True))

    return write_rows(read())


def make_label_reader(feature: Any) -> Callable[[Any], Any]:
    """Make the function that turns the class numbers of a column into names, also inside lists."""
    import datasets

    inner = getattr(feature, "feature", None)
    if isinstance(feature, datasets.ClassLabel):
        names = feature.names
        return lambda value: names[value] if value is not None and value >= 0 else None
    if isinstance(inner, datasets.ClassLabel):
        read_one = make_label_reader(inner)
        return lambda values: values if values is None else [read_one(value) for value in values]
    return lambda value: value
