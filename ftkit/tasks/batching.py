"""Rows in groups: large enough for the tokenizer's own threads, small enough for memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

Item = TypeVar("Item")

MOST_CHARACTERS = 2_000_000
"""Of one batch; a row that alone has more is a batch of its own."""


def in_batches(
    items: Iterable[Item], size: int = 512, *, measure: Callable[[Item], int] | None = None
) -> Iterator[list[Item]]:
    """Yield lists of up to `size` items and `MOST_CHARACTERS` of text, in order.

    Args:
        items: rows, or whatever they were turned into.
        size: most items of a batch.
        measure: counts the characters of an item; None for those of all texts in it.
    """
    measure = measure or count_characters
    batch: list[Item] = []
    num_characters = 0
    for item in items:
        length = measure(item)
        if batch and (len(batch) == size or num_characters + length > MOST_CHARACTERS):
            yield batch
            batch, num_characters = [], 0
        batch.append(item)
        num_characters += length
    if batch:
        yield batch


def count_characters(value: Any) -> int:
    """Count the characters of all texts in a value, however nested."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(count_characters, value.values()))
    return sum(map(count_characters, value)) if isinstance(value, (list, tuple)) else 0
