"""The texts of rows by which duplicates are found: what a row is, without its answer or label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, overload

from ftkit.data.columns import Column
from ftkit.data.rows import Rows
from ftkit.data.signatures import Record
from ftkit.data.texts import list_texts

_USERS = frozenset(("user", "human"))

ComparedColumns = Mapping[str, tuple[str, ...]]
"""Text of a record -> the columns that it may stand in, some of which a row has."""


def find_compared_columns(columns: Sequence[Column], rows: Rows) -> ComparedColumns:
    """Find the columns that say what a row is, those that these rows have.

    A task of the user's that says nothing about its columns is compared by those that hold text.
    """
    names = {column: (column.name, *column.also) for column in columns}
    says_so = any(column.compared_as for column in columns)
    texts: dict[str, tuple[str, ...]] = {}
    for column, all_names in names.items():
        text = column.compared_as if says_so else column.name if column.kind == "text" else None
        there = tuple(name for name in all_names if name in rows.column_names)
        if text is not None and there:
            texts[text] = (*texts.get(text, ()), *there)
    return texts


@dataclass(frozen=True)
class Records(Sequence[Record]):
    """The records of tables, one table after another, read when asked for."""

    tables: tuple[Rows, ...]
    columns: ComparedColumns

    def __len__(self) -> int:
        return sum(map(len, self.tables))

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        table, row = self.find(index)
        return make_record(self.tables[table][row], self.columns)

    def __iter__(self) -> Iterator[Record]:
        return (make_record(row, self.columns) for row in chain.from_iterable(self.tables))

    def find(self, index: int) -> tuple[int, int]:
        """Tell the number of the table and of the row in it, both from 0."""
        for table, rows in enumerate(self.tables):
            if index < len(rows):
                return table, index
            index -= len(rows)
        raise IndexError(f"there are {len(self)} records")

    def sample(self, number: int) -> Records:
        """Take every so many rows of each table, that number of them or a few more."""
        step = max(1, len(self) // number)
        return Records(tuple(rows.select(range(0, len(rows), step)) for rows in self.tables), self.columns)


def make_record(row: Mapping[str, Any], columns: ComparedColumns) -> Record:
    """Take the texts of a row that say what it is; a missing one is empty."""
    return tuple(
        "\n".join(text for name in names if (text := _read_text(row.get(name)))) for names in columns.values()
    )


def _read_text(value: Any) -> str:
    """Write a value as one text; of a conversation, what the user says."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and any(isinstance(each, Mapping) for each in value):
        asked = [each for each in value if _read_role(each) in _USERS]
        return "\n".join(list_texts(asked or value))
    return " ".join(list_texts(value))


def _read_role(turn: Any) -> Any:
    return turn.get("role", turn.get("from")) if isinstance(turn, Mapping) else None
