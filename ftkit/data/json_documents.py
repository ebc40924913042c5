"""Reader of `.json`: a list of objects, or an object with one such list inside, piece by piece."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from ftkit.data.files import DataFile, open_bytes, read_chunks
from ftkit.data.row_json import RowText, show_place
from ftkit.data.text_readers import read_json_lines
from ftkit.errors import DataError

logger = logging.getLogger(__name__)

_DECODER = json.JSONDecoder()
_WHITE = re.compile(r"[ \t\r\n]*")
_CONTEXT = 30  # characters that are kept behind the place, to show where a mistake is
_LONGEST_WORD = 10  # "-Infinity,": an error this near the end of a piece may be the cut, not a mistake


def read_json_document(file: DataFile) -> Iterator[RowText]:
    """Read the rows of a JSON document; a file of JSON lines under this suffix is read as what it is."""
    if _is_json_lines(file):
        logger.info("%s: each line is an object, so it is read as JSON lines", file.name)
        yield from read_json_lines(file)
        return
    with open_bytes(file) as stream:
        scanner = _Scanner(file.name, read_chunks(stream, file.name))
        first = scanner.peek()
        if first == "":
            return
        if first not in "[{":
            raise DataError(f"{file.name}: is a single value; a .json file holds a list of objects")
        items = _read_list(scanner) if first == "[" else _read_list_inside(scanner)
        for index, text in enumerate(items):
            yield ~index, text
        if scanner.peek():
            scanner.fail("text after the end of the document; with one object per line, name it .jsonl")


def _is_json_lines(file: DataFile) -> bool:
    """Tell whether the first line is an object by itself and others follow."""
    with open_bytes(file) as stream:
        head = next(read_chunks(stream, file.name), "").lstrip()
    line, _, rest = head.partition("\n")
    if not line.startswith("{") or not rest.strip():
        return False
    try:
        return isinstance(_DECODER.decode(line.strip()), dict)
    except ValueError:
        return False


def _read_list(scanner: _Scanner) -> Iterator[str]:
    """Read the texts of a list's items."""
    scanner.take("[")
    if scanner.peek() != "]":
        yield scanner.read_value()[1]
        while scanner.peek() == ",":
            scanner.take(",")
            yield scanner.read_value()[1]
    scanner.take("]")


def _read_list_inside(scanner: _Scanner) -> Iterator[str]:
    """Read the one list of objects that an object holds."""
    keys: list[str] = []
    found: str | None = None
    scanner.take("{")
    while scanner.peek() != "}":
        if keys:
            scanner.take(",")
        if scanner.peek() != '"':
            scanner.fail("expected a key in double quotes")
        key = str(scanner.read_value()[0])
        keys.append(key)
        scanner.take(":")
        if scanner.peek() != "[":
            scanner.read_value()
            continue
        items = _read_list(scanner)
        first = next(items, "")
        if first.startswith("{"):
            if found is not None:
                raise DataError(
                    f"{scanner.name}: holds two lists of objects, {found!r} and {key!r}; "
                    "keep the one with the rows, as a list by itself"
                )
            found = key
            yield first
            yield from items
        else:
            for _ in items:
                pass
    scanner.take("}")
    _report_list_inside(scanner.name, keys, found)


def _report_list_inside(name: str, keys: list[str], found: str | None) -> None:
    """Say which list was read, or that there is none."""
    if found is None:
        raise DataError(
            f"{name}: an object without a list of objects; its keys are "
            f"{', '.join(repr(key) for key in keys) or 'none'}; write a list of objects, one per row"
        )
    others = [repr(key) for key in keys if key != found]
    left_out = f"; left out: {', '.join(others)}" if others else ""
    logger.info("%s: the rows are the list under %r%s", name, found, left_out)


@dataclass
class _Scanner:
    """A place in a JSON text that arrives in pieces; only the piece around the place is in memory."""

    name: str
    chunks: Iterator[str]
    text: str = ""
    position: int = 0
    line: int = 1
    """Line where `text` begins."""

    def peek(self) -> str:
        """Skip white space and return the next character; an empty text at the end."""
        while True:
            match = _WHITE.match(self.text, self.position)
            self.position = match.end() if match else self.position
            if self.position < len(self.text):
                return self.text[self.position]
            if not self._read_more():
                return ""

    def take(self, mark: str) -> None:
        """Step over a punctuation mark that has to come now."""
        if (found := self.peek()) != mark:
            self.fail(f"expected {mark!r}" if found else f"the file ends too early, before {mark!r}")
        self.position += 1

    def read_value(self) -> tuple[Any, str]:
        """Read one value; return it and its text."""
        self.peek()
        while True:
            start = self.position
            try:
                value, end = _DECODER.raw_decode(self.text, start)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or error.pos > len(self.text) - _LONGEST_WORD
                if not (is_cut and self._read_more()):
                    self.position += error.pos - start
                    self.fail(error.msg)
            except (ValueError, RecursionError) as error:
                self.fail(str(error))
            else:
                # A number may go on in the next piece: of 1.5e+3, 1 is read where it is cut after 1.5e+.
                if end + 3 <= len(self.text) or not self._read_more():
                    begin, self.position = self.position, self.position + end - start
                    return value, self.text[begin : self.position]

    def _read_more(self) -> bool:
        """Drop what is well behind, and double what is ahead; return False at the end of the file."""
        cut = max(0, self.position - _CONTEXT)
        behind, ahead = self.text[:cut], self.text[cut:]
        pieces: list[str] = []
        while sum(map(len, pieces)) <= len(ahead):
            piece = next(self.chunks, None)
            if piece is None:
                break
            pieces.append(piece)
        self.text, self.position = "".join([ahead, *pieces]), self.position - cut
        self.line += behind.count("\n")
        return bool(pieces)

    def fail(self, problem: str) -> NoReturn:
        """Raise what is wrong at this place."""
        line = self.line + self.text.count("\n", 0, self.position)
        raise DataError(f"{self.name}:{line}: broken JSON: {problem}: {show_place(self.text, self.position)}")
