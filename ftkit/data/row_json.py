"""One row as JSON text: read strictly, written exactly, hashed by content.

Rows are kept as the text that the user wrote, never written anew, so that `1.0`, `1e5`, the order of
keys and missing keys come back as they were.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn


class BrokenRow(ValueError):  # noqa: N818 - a finding about a row; who reads a file counts them
    """A row that cannot be kept; its text says what is wrong, the reader adds where."""


RowText = tuple[int, "str | BrokenRow"]
"""What readers yield: the place of a row, and its JSON text or what is wrong with it.

The place is a line, from 1; or, where rows have no lines, `~index`: -1 for the first, -2 for the next.
"""


def name_place(name: str, place: int) -> str:
    """Name a row for people: `data/train.jsonl:1042` by its line, `train[5]` by its index from 0."""
    return f"{name}:{place}" if place > 0 else f"{name}[{~place}]"


def _refuse_constant(name: str) -> NoReturn:
    raise BrokenRow(f"holds the number {name}, which JSON does not have; write null")


def _make_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict, unless a key comes twice: one of its values would be lost silently."""
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BrokenRow(f"has the key {twice!r} twice in one object")
    return result


_STRICT_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_make_object)
_DECODER = json.JSONDecoder()  # for rows that went through the strict one before


def parse_row(text: str) -> dict[str, Any]:
    """Read the JSON text of one row, without white space around it.

    Raises:
        BrokenRow: no JSON, not an object, or what cannot be kept: NaN, a key that comes twice.
    """
    try:
        row, end = _STRICT_DECODER.raw_decode(text)
        if end != len(text):
            raise json.JSONDecodeError("Extra data", text, end)
    except json.JSONDecodeError as error:
        raise BrokenRow(describe_json_error(error)) from None
    except BrokenRow:
        raise
    except ValueError:  # Python's guard: such a number takes quadratic time
        raise BrokenRow("holds a whole number of more than 4,300 digits; write it as text") from None
    except RecursionError:
        raise BrokenRow("is nested too deeply") from None
    if isinstance(row, dict):
        return row
    raise BrokenRow(f'is {describe_type(row)}, not an object; a row is {{"column": value, ...}}')


def describe_json_error(error: json.JSONDecodeError) -> str:
    """Say what is wrong with a JSON text, and show the place."""
    return f"broken JSON: {error.msg}, at column {error.colno}: {show_place(error.doc, error.pos)}"


def show_place(text: str, position: int) -> str:
    """Cut out the text around a place, with a mark where it is, on one line."""
    before, after = text[max(0, position - 30) : position], text[position : position + 30]
    return " ".join(f"{before} >>>HERE>>> {after}".split())


def describe_type(value: object) -> str:
    """Name the kind of a JSON value in words."""
    kinds = {bool: "true or false", str: "a text", int: "a number", float: "a number", list: "a list"}
    return "null" if value is None else kinds.get(type(value), "an object")


def read_stored(text: str) -> dict[str, Any]:
    """Read the text of a row that `parse_row` let through."""
    row: dict[str, Any] = _DECODER.decode(text)
    return row


def write_rows(rows: Iterable[Mapping[str, Any]]) -> Iterator[RowText]:
    """Turn rows from memory or from a table into JSON texts."""
    for index, row in enumerate(rows):
        try:
            yield ~index, write_row(row)
        except BrokenRow as error:
            yield ~index, error


def write_row(row: Mapping[str, Any]) -> str:
    """Turn a row from memory or from a table into JSON text.

    Kept as they are: text, numbers, booleans, None, lists, dicts. Converted: tuples and arrays to
    lists; dates, times and timestamps to ISO 8601 text; decimals and UUIDs to text; bytes that are
    UTF-8 to text; numpy and torch values to their Python ones; keys inside a value to text.

    Raises:
        BrokenRow: a value of another kind, NaN or infinity, or a column whose name is no text.
    """
    for name in row:
        if not isinstance(name, str):
            raise BrokenRow(f"has a column named {name!r}; names of columns are texts")
    try:
        return _WRITER.encode(dict(row))
    except (ValueError, TypeError, RecursionError) as error:
        raise BrokenRow(_find_unwritable(row)) from error


def _find_unwritable(row: Mapping[str, Any]) -> str:
    """Find the column that cannot be written, and say why."""
    for name, value in row.items():
        try:
            _WRITER.encode(value)
        except BrokenRow as error:
            return f"column {name!r} {error}"
        except (ValueError, TypeError, RecursionError) as error:
            if "float" in str(error):  # "Out of range float values are not JSON compliant"
                return f"column {name!r} holds NaN or infinity, which JSON does not have; use None"
            return f"column {name!r} cannot be kept as JSON: {error}"
    return "cannot be kept as JSON"


def _convert(value: Any) -> Any:
    """Convert one value that JSON does not have; the table is in the docstring of `write_row`."""
    if isinstance(value, datetime.datetime) and value != value:  # noqa: PLR0124 - pandas' NaT
        raise BrokenRow("holds NaT, a missing time; use None")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, uuid.UUID)):
        return str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _convert_bytes(bytes(value))
    if isinstance(value, Mapping):
        return dict(value)
    kind = getattr(getattr(value, "dtype", None), "kind", None)
    if kind == "M":  # numpy's times: tolist() would give a count of nanoseconds
        return value.astype(str).tolist()
    if hasattr(value, "tolist") and kind != "m":
        return value.tolist()
    raise BrokenRow(
        f"holds a {type(value).__name__}, which cannot be kept as JSON; turn it into text, numbers or lists"
    )


def _convert_bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BrokenRow(
            f"holds {len(value):,} bytes that are not UTF-8 text; leave the column out, or decode it"
        ) from None


_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_convert)
_CANONICAL_WRITER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
)


def hash_row(row: Mapping[str, Any]) -> int:
    """Hash the content of a row: the same for the same values, however keys are ordered or spaced.

    Texts, which most values are, are hashed as they are, other values as JSON with sorted keys.

    Args:
        row: what `parse_row` returned.

    Returns:
        64 bits, as a number from 0.

    Raises:
        BrokenRow: half a surrogate pair, which is no character, or a number beyond a float.
    """
    pieces = []
    try:
        for name in sorted(row):
            value = row[name]
            kind, text = ("text", value) if type(value) is str else ("json", _CANONICAL_WRITER.encode(value))
            pieces.append(f"{kind} {len(name)} {len(text)} {name}{text}")  # lengths, so nothing is ambiguous
        content = "".join(pieces).encode()
    except UnicodeEncodeError as error:
        raise BrokenRow(
            f"holds half a surrogate pair (\\u{ord(error.object[error.start]):04x}), which is no "
            "character; write the character itself, or both halves"
        ) from None
    except ValueError:
        raise BrokenRow("holds a number too large for a float, such as 1e999; write it as text") from None
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
