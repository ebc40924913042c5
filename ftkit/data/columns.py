"""What columns a task needs, and whether the rows have them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from ftkit.data.findings import remember
from ftkit.data.problems import Problems, show
from ftkit.data.row_json import describe_type
from ftkit.data.rows import Rows
from ftkit.errors import DataError

Kind = Literal["text", "label", "labels", "number", "list", "messages", "any"]

VERSION = 1
"""Raised whenever other values are right, so that no check is stale."""

_NUM_COLUMNS_SHOWN = 20


@dataclass(frozen=True)
class Column:
    """A column that a task reads."""

    name: str
    kind: Kind
    """What its values are: a text with something in it, a label (a word, a number, true or false), labels
    (one, or a list of them, which may be empty), a number, a list, a conversation (a list of objects), or
    anything."""
    required: bool
    """Whether every row must have it; an optional one may be missing, null, or an empty text."""
    meaning: str
    also: tuple[str, ...] = ()
    """Other names under which the task takes it."""
    compared_as: str | None = None
    """The text of a row that it is, or is part of, when rows are looked through for duplicates; None for
    what does not say what a row is, such as its label."""
    offsets_into: str | None = None
    """The column of text that its values count characters of, such as the spans of entities."""


@dataclass(frozen=True)
class RowProblem:
    """What is wrong with one row."""

    index: int
    """Of the row in its `Rows`, from 0."""
    problem: str
    """What is wrong and what was found, such as `column 'label' is 'Spam'; the labels are ...`."""


def check_column_names(rows: Rows, columns: Sequence[Column]) -> None:
    """Check that the columns which a task needs, or the recipe maps, are there.

    Raises:
        DataError: what is missing, what there is, and how to map it.
    """
    missing = [message for column in columns if (message := _find_missing(rows, column))]
    if missing:
        raise DataError("\n".join(missing))


def check_columns(rows: Rows, columns: Sequence[Column]) -> None:
    """Check that the rows have the columns of a task, each with a value of its kind.

    Raises:
        DataError: a required column is missing, or a mapped one; or rows with no value, an empty text
            or a value of another kind, with their count and the first few.
    """
    check_column_names(rows, columns)
    key = [(column.name, column.kind, column.required) for column in columns]
    remember(rows, "columns", lambda: _check_values(rows, columns), key={"columns": key, "version": VERSION})


def _check_values(rows: Rows, columns: Sequence[Column]) -> None:
    problems = (
        RowProblem(index, problem)
        for index, row in enumerate(rows)
        for column in columns
        if (problem := find_value_problem(row, column))
    )
    raise_row_problems(rows, problems)


def raise_row_problems(rows: Rows, problems: Iterable[RowProblem], *, remedy: str | None = None) -> None:
    """Raise the problems of single rows as one error; return if there are none.

    Args:
        rows: the table.
        problems: in any number; all are counted, the first few are told.
        remedy: what to do, a sentence; None to fix or delete the rows.

    Raises:
        DataError: with the count and the first few, each with file and line.
    """
    collected = Problems()
    for problem in problems:
        collected.add(rows.where(problem.index), problem.problem)
    collected.raise_any(where=rows.name, num_rows=len(rows), remedy=remedy)


def _find_missing(rows: Rows, column: Column) -> str | None:
    """Say that no row has a column, what columns there are, and how to map one of them."""
    names = list(rows.storage.columns)
    wanted = rows.columns.get(column.name, column.name)
    if wanted in names or not (column.required or column.name in rows.columns):
        return None
    near = get_close_matches(wanted, names, n=1) or get_close_matches(column.name, names, n=1)
    there = ", ".join(repr(name) for name in names[:_NUM_COLUMNS_SHOWN]) or "none"
    if len(names) > _NUM_COLUMNS_SHOWN:
        there += f" and {len(names) - _NUM_COLUMNS_SHOWN} more"
    mapped = f", which data.columns takes from {wanted!r}," if wanted != column.name else ""
    remedy = f"Map it: data.columns: {{{column.name}: {near[0] if near else 'COLUMN'}}}"
    if mapped and near == [column.name]:
        remedy = f"Take {column.name} out of data.columns"
    return (
        f"{rows.name}: column {column.name!r} ({column.meaning}){mapped} is missing; "
        f"the columns are {there}. {remedy}"
    )


def find_value_problem(row: Mapping[str, Any], column: Column) -> str | None:
    """Say what is wrong with a row's value in a column; None when nothing is."""
    value = row.get(column.name)
    if value is None:
        if not column.required:
            return None
        return f"column {column.name!r} is {'null' if column.name in row else 'missing'}"
    if isinstance(value, str) and not value.strip() and column.kind not in ("any", "labels"):
        return f"column {column.name!r} is empty" if column.required else None
    wanted, is_right = _KINDS[column.kind]
    if is_right(value):
        return None
    return f"column {column.name!r} is {describe_type(value)} ({show(value)}), not {wanted}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_conversation(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(turn, dict) for turn in value)


_KINDS: dict[Kind, tuple[str, Callable[[Any], bool]]] = {
    "text": ("a text", lambda value: isinstance(value, str)),
    "label": ("a label (a word or a number)", lambda value: isinstance(value, (str, int, float))),
    "labels": ("a label or a list of labels", lambda value: isinstance(value, (str, int, float, list))),
    "number": ("a number", _is_number),
    "list": ("a list", lambda value: isinstance(value, list)),
    "messages": ("a list of messages, each an object with role and content", _is_conversation),
    "any": ("a value", lambda value: True),
}
