"""Readers of text formats: JSON lines, CSV, TSV and plain documents."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ftkit.data.files import DataFile, open_bytes, read_chunks, read_lines
from ftkit.data.row_json import BrokenRow, RowText, write_row
from ftkit.errors import DataError

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

LARGEST_FIELD = 2**31 - 1  # the most that every platform's csv module takes, in characters

_DELIMITERS = {"csv": ",", "tsv": "\t"}
_CSV_PROBLEMS = {
    "unexpected end of data": "the quote that opens in this row is never closed",
    "expected after": 'stray quote: text after a closing quote; inside quotes, write a quote twice ("")',
    "new-line character": "a carriage return outside quotes; write the file with \\n line ends",
}


def read_json_lines(file: DataFile) -> Iterator[RowText]:
    """Read one object per line; blank lines are no rows."""
    with open_bytes(file) as stream:
        is_first = True
        for number, line in enumerate(read_lines(stream, file.name), start=1):
            text = line.strip(" \t\r\n")
            if not text:
                continue
            if is_first:
                _check_one_object_per_line(text, file.name)
                is_first = False
            yield number, text


def _check_one_object_per_line(first: str, name: str) -> None:
    """Refuse a JSON document that merely has the suffix of JSON lines."""
    if first in {"[", "{", "[{"}:
        raise DataError(
            f"{name}: named as JSON lines (one object per line) but begins with {first!r}, "
            "as one JSON document does; give it the suffix .json"
        )


def read_table_lines(file: DataFile) -> Iterator[RowText]:
    """Read CSV or TSV: a header, quotes doubled inside quotes, every value a text.

    Blank lines are no rows.
    """
    csv.field_size_limit(LARGEST_FIELD)
    with open_bytes(file) as stream:
        lines = read_lines(stream, file.name)
        reader = csv.reader(lines, delimiter=_DELIMITERS[file.format], strict=True)
        header = _read_header(reader, file)
        yield from _read_records(reader, header) if header else ()


def _read_header(reader: CsvReader, file: DataFile) -> list[str]:
    """Read the names of the columns; an empty list where the file is empty."""
    try:
        header = next((fields for fields in reader if fields), [])
    except csv.Error as error:
        raise DataError(f"{file.name}:1: the header is broken: {_explain(error)}") from error
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        names = ", ".join(repr(name) for name in twice)
        raise DataError(f"{file.name}:1: the header names a column twice: {names}; rename one of each")
    other = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
    other.pop(_DELIMITERS[file.format])
    found = next((other[mark] for mark in other if len(header) == 1 and mark in header[0]), None)
    if found:
        raise DataError(
            f"{file.name}:1: the header is one column, {header[0]!r}; it looks separated by a {found}; "
            f"a .{file.format} file has its columns separated by a "
            f"{'comma (.csv)' if file.format == 'csv' else 'tab (.tsv)'}; convert it, or rename it"
        )
    return header


def _read_records(reader: CsvReader, header: list[str]) -> Iterator[RowText]:
    """Read the rows under a header; each stands at the line where it begins."""
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, BrokenRow(_explain(error))
            continue
        if len(fields) == len(header):
            yield line, write_row(dict(zip(header, fields, strict=True)))
        elif fields:
            found = f"{len(fields)} field{'s' * (len(fields) > 1)}"
            wanted = f"{len(header)} ({', '.join(header)})"
            remedy = "quote a field that holds the separator"
            yield line, BrokenRow(f"has {found}; the header has {wanted}; {remedy}")


def _explain(error: csv.Error) -> str:
    """Say in plain words what Python's csv module found."""
    return next((words for key, words in _CSV_PROBLEMS.items() if key in str(error)), str(error))


def read_document(file: DataFile) -> Iterator[RowText]:
    """Read a whole text file as one row with the column `text`; an empty file has no row."""
    with open_bytes(file) as stream:
        text = "".join(read_chunks(stream, file.name))
    if text:
        yield 1, write_row({"text": text})
