"""Rows that hang together: turns of a conversation, questions on one text, blocks of one document."""

from __future__ import annotations

import difflib
import json
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.errors import RecipeError

if TYPE_CHECKING:
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split


def check_group(column: str, split: Split) -> None:
    """Refuse a column that no row has.

    Raises:
        RecipeError: names the nearest one.
    """
    there = split.rows.column_names
    if column not in ("auto", "none", *there):
        near = difflib.get_close_matches(column, there, n=1)
        hint = f"did you mean {near[0]}?" if near else f"the columns are {', '.join(there)}"
        raise RecipeError(f"evaluation.group: {split.rows.name} has no column {column!r}; {hint}")


def find_groups(
    records: Sequence[Mapping[str, Any]], split: Split, task: Task, column: str
) -> list[Hashable] | None:
    """Find out what each record belongs to.

    Args:
        records: of the split.
        split: its rows.
        task: question answering groups questions on one context by itself.
        column: of the rows; "auto": what the task knows of, or the row where one gives several records;
            "none": each record stands alone.

    Returns:
        A group per record; None where every record stands alone.
    """
    rows = [record["row"] for record in records]
    if column == "none":
        return None
    if column == "auto":
        shared = "context" if "answers" in task.METRIC_KINDS else None
        groups: list[Hashable] = [split.rows[row][shared] for row in rows] if shared else list(rows)
    else:
        # A row without a value stands alone.
        groups = [_make_key(split.rows[row].get(column), row) for row in rows]
    return groups if len(set(groups)) < len(groups) else None


def _make_key(value: Any, row: int) -> Hashable:
    if value is None:
        return ("row", row)
    return value if isinstance(value, (str, int)) else json.dumps(value, ensure_ascii=False, sort_keys=True)
