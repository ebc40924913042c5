"""A data file as bytes and as text: its format, gzip, UTF-8, and what is wrong with either."""

from __future__ import annotations

import codecs
import difflib
import gzip
import shlex
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO, cast

from ftkit.errors import DataError

FORMATS = ("json", "jsonl", "ndjson", "csv", "tsv", "parquet", "arrow", "txt")
"""The suffixes of data files; each may be followed by `.gz`."""

LINE_FORMATS = frozenset({"jsonl", "ndjson", "csv", "tsv"})
"""Formats whose rows have a line in the file."""

CHUNK_BYTES = 1 << 20

_MAGIC = {
    b"PAR1": "parquet",
    b"ARROW1": "Arrow",
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive, as of Excel",
    b"%PDF": "PDF",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"<!DOCTYPE": "a web page",
    b"<!doctype": "a web page",
    b"<html": "a web page",
    b"version https://git-lfs": "a git-lfs pointer, without the data",
}
_REMEDIES = {
    "UTF-16 text": "save it as UTF-8",
    "a web page": "download the file itself",
    "a git-lfs pointer, without the data": "run: git lfs pull",
    "a zip archive, as of Excel": "export it as CSV",
}


@dataclass(frozen=True)
class DataFile:
    """One file with rows."""

    path: Path
    name: str
    """What messages call it: the path or address that the user gave."""
    format: str
    """One of `FORMATS`."""
    gzipped: bool
    named: bool = True
    """False when a folder or a glob found it; only then may it be empty."""


def parse_name(name: str) -> tuple[str, bool] | None:
    """Tell from its name how a file is written.

    Returns:
        The format and whether it is gzipped; None when no reader knows the suffix.
    """
    suffixes = [suffix.lower()[1:] for suffix in PurePath(name).suffixes]
    gzipped = bool(suffixes) and suffixes[-1] == "gz"
    suffixes = suffixes[:-1] if gzipped else suffixes
    return (suffixes[-1], gzipped) if suffixes and suffixes[-1] in FORMATS else None


def make_data_file(path: Path, name: str, *, named: bool = True) -> DataFile:
    """Describe a file.

    Raises:
        DataError: no reader knows its suffix.
    """
    found = parse_name(name) or parse_name(path.name)
    if found is None:
        suffix = PurePath(name.removesuffix(".gz")).suffix.lower().lstrip(".")
        near = difflib.get_close_matches(suffix, FORMATS, n=1)
        meant = f", did you mean .{near[0]}?" if near else ""
        what = f"unknown suffix {'.' + suffix!r}" if suffix else "no suffix, so its format is unknown"
        raise DataError(
            f"{name}: {what}{meant}; data files are .{', .'.join(FORMATS)}, each also .gz; "
            "convert the file, or rename it"
        )
    return DataFile(path, name, *found, named=named)


@contextmanager
def open_bytes(file: DataFile) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked; errors of reading come as errors of the data.

    Raises:
        DataError: not the format of its suffix, damaged gzip, or not readable.
    """
    try:
        with file.path.open("rb") as packed:
            _check_magic(packed.peek(64)[:64], file)
            if not file.gzipped:
                yield packed
                return
            with gzip.GzipFile(fileobj=packed) as unpacked:
                yield cast(BinaryIO, unpacked)
    except EOFError as error:
        raise DataError(f"{file.name}: the gzip file ends too early; download or copy it again") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{file.name}: damaged gzip file: {error}; download or copy it again") from error
    except OSError as error:
        raise DataError(f"{file.name}: cannot be read: {error.strerror or error}") from error


def _check_magic(head: bytes, file: DataFile) -> None:
    """Compare the first bytes of the file on disk with what its suffix says."""
    found = next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)
    if head == b"" or (found == "gzip" and file.gzipped):
        return
    if file.gzipped:
        raise DataError(f"{file.name}: named .gz but is no gzip file; rename it without .gz")
    expected = {"parquet": "parquet", "arrow": "Arrow"}.get(file.format)
    if expected == "parquet" and found != expected:
        raise DataError(f"{file.name}: named .parquet but is {found or 'no parquet file'}; {_advise(found)}")
    if found is not None and found != expected:
        raise DataError(f"{file.name}: named .{file.format} but is {found}; {_advise(found)}")


def _advise(found: str | None) -> str:
    return _REMEDIES.get(found or "", "give it the suffix of what it is, or convert it")


def read_lines(stream: BinaryIO, name: str) -> Iterator[str]:
    """Read lines as UTF-8 text, with their line ends; a byte order mark is dropped.

    Raises:
        DataError: a line that is not UTF-8.
    """
    for number, line in enumerate(stream, start=1):
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            data = line[error.start :] + stream.read(CHUNK_BYTES)
            raise _make_encoding_error(name, number, error.start, data) from error
        yield text.removeprefix("\ufeff") if number == 1 else text


def read_chunks(stream: BinaryIO, name: str) -> Iterator[str]:
    """Read UTF-8 text in pieces of about a megabyte; a byte order mark is dropped.

    Raises:
        DataError: bytes that are not UTF-8.
    """
    line, column, is_first, data = 1, 0, True, b""
    while chunk := stream.read(CHUNK_BYTES):
        data += chunk
        text, used = _decode_part(data, name, line, column)
        line, column = _advance(line, column, data[:used])
        data = data[used:]
        if text:
            yield text.removeprefix("\ufeff") if is_first else text
            is_first = False
    if data:  # the file ends inside a character
        raise _make_encoding_error(name, line, column, data)


def _decode_part(data: bytes, name: str, line: int, column: int) -> tuple[str, int]:
    """Decode as much as ends with a whole character; return it, and how many bytes that is."""
    try:
        return codecs.utf_8_decode(data, "strict", False)
    except UnicodeDecodeError as error:
        line, column = _advance(line, column, data[: error.start])
        raise _make_encoding_error(name, line, column, data[error.start :]) from error


def _advance(line: int, column: int, data: bytes) -> tuple[int, int]:
    """Move a place (line from 1, bytes before it in the line) past some bytes."""
    newlines = data.count(b"\n")
    return line + newlines, len(data) - data.rfind(b"\n") - 1 if newlines else column + len(data)


def _make_encoding_error(name: str, line: int, column: int, data: bytes) -> DataError:
    """Say where text stops being UTF-8, and what it probably is.

    Args:
        name: the file.
        line: from 1.
        column: bytes before the wrong one in its line.
        data: the wrong byte and what follows.
    """
    likely = guess_encoding(data)
    convert = f"it looks like {likely}: iconv -f {likely} -t UTF-8 {shlex.quote(name)} > NEW_FILE"
    remedy = convert if likely else "save it as UTF-8"
    return DataError(f"{name}:{line}: not UTF-8: byte {column + 1} of the line is 0x{data[0]:02x}; {remedy}")


def guess_encoding(sample: bytes) -> str | None:
    """Guess what text that is not UTF-8 is written in: GB18030 (Chinese) or CP1252 (Western).

    Nearly any bytes can be read as either. In Chinese text nearly all characters beyond ASCII are
    common ones, those of GB 2312; Western text read as GB18030 gives rare ones.
    """
    try:
        text = codecs.getincrementaldecoder("gb18030")().decode(sample)
    except UnicodeDecodeError:
        text = ""
    wide = [character for character in text if ord(character) > 127]
    common = sum(1 for character in wide if _is_common_chinese(character))
    if wide and common >= 0.7 * len(wide):
        return "GB18030"
    try:
        sample.decode("cp1252")
    except UnicodeDecodeError:
        return "GB18030" if wide else None
    return "CP1252"


def _is_common_chinese(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True
