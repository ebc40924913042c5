"""Where the texts of a row are: in columns of text, and inside lists and messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ftkit.data.columns import Column

_TEXT_KINDS = ("text", "messages", "list", "any")
_NOT_TEXT = frozenset(
    ("tags", "entities", "role", "from", "id", "type", "label", "answer_start")
    + ("tools", "tool_calls", "tool_call_id", "function", "arguments", "name")
)
"""Columns, and keys of messages, whose values are no text for people: names, ids, calls of functions."""


def find_text_columns(columns: Iterable[Column]) -> tuple[str, ...]:
    """Name the columns of a task that hold text, labels left out, with the other names that they may have."""
    return tuple(
        name
        for column in columns
        if column.kind in _TEXT_KINDS and column.name not in _NOT_TEXT
        for name in (column.name, *column.also)
    )


def list_texts(value: Any) -> Iterator[str]:
    """Yield every text in a value, also those in lists and messages."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in _NOT_TEXT:
                yield from list_texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from list_texts(inner)


def map_texts(value: Any, edit: Callable[[str], str]) -> Any:
    """Put every text in a value through a function; a value in which nothing changes comes back itself."""
    if isinstance(value, str):
        return edit(value)
    if isinstance(value, Mapping):
        pairs = {key: inner if key in _NOT_TEXT else map_texts(inner, edit) for key, inner in value.items()}
        return pairs if any(pairs[key] is not value[key] for key in pairs) else value
    if isinstance(value, (list, tuple)):
        items = [map_texts(inner, edit) for inner in value]
        return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
    return value
