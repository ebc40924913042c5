"""The column that rows are split by: its values as groups, labels or times, or what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ftkit.data.columns import RowProblem, raise_row_problems
from ftkit.data.problems import show
from ftkit.data.row_json import describe_type, hash_row
from ftkit.data.rows import Rows
from ftkit.data.times import ACCEPTED, parse_time
from ftkit.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SETTING = "data.split.column"


def find_column(rows: Rows, column: str) -> str:
    """Find a column by the task's name or the file's.

    Raises:
        DataError: the rows have no such column; names those that there are.
    """
    renamed = {file: task for task, file in rows.columns.items()}
    name = renamed.get(column, column)
    if name in rows.column_names:
        return name
    near = get_close_matches(column, [*rows.column_names, *renamed], n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise DataError(
        f"{_SETTING}: {rows.name} has no column {column!r}; {hint}the columns are "
        f"{', '.join(map(repr, rows.column_names))}"
    )


def hash_values(rows: Rows, column: str) -> NDArray[np.uint64]:
    """Hash each row's value in a column, shape (rows,): equal values, equal hashes, in every file.

    Raises:
        DataError: no such column, or rows without a value in it.
    """
    import numpy as np

    # without `count`, so that it reads on to the end, where missing values are raised
    return np.fromiter((hash_row({"": value}) for value in _read_values(rows, column)), dtype=np.uint64)


def read_times(rows: Rows, column: str) -> NDArray[np.int64]:
    """Read each row's time, in microseconds since 1970, shape (rows,).

    Raises:
        DataError: no such column; rows without a time, or with what is none.
    """
    import numpy as np

    problems: list[RowProblem] = []
    times = np.zeros(len(rows), dtype=np.int64)
    for index, value in enumerate(_read_values(rows, column)):
        time = parse_time(value)
        if time is None:
            problems.append(RowProblem(index, f"column {column!r} is {show(value)}, which is no time"))
        else:
            times[index] = time
    raise_row_problems(rows, problems, remedy=f"Write times like these: {ACCEPTED}")
    return times


def _read_values(rows: Rows, column: str) -> Iterator[Any]:
    """Read a column's value in each row; after the last row, raise the rows that have none."""
    name = find_column(rows, column)
    problems = []
    for index, row in enumerate(rows):
        value = row.get(name)
        if value is None or value == "":
            found = describe_type(value) if name in row else "missing"
            problems.append(RowProblem(index, f"column {name!r} is {'empty' if value == '' else found}"))
            value = 0
        yield value
    raise_row_problems(
        rows, problems, remedy=f"{_SETTING} needs a value in every row: fill it, or drop these rows"
    )
