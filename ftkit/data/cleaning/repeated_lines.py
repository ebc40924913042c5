"""Lines that stand in many rows: footers, licence notes, navigation of web pages."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ftkit.data.texts import list_texts

_NUM_BUCKETS = 1 << 22
_MOST_COUNTED = 65_535


def find_repeated_lines(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, num_rows: int, num_characters: int
) -> frozenset[int]:
    """Find the lines that stand in many rows.

    Read twice: first lines are counted by a few bits of their hash, then only those are counted exactly
    whose bits came often enough, so that memory does not grow with the number of different lines.

    Args:
        rows: a table that can be read twice.
        columns: whose texts are looked at.
        num_rows: in how many rows a line has to stand.
        num_characters: shorter lines are left alone.

    Returns:
        Hashes of these lines, as `hash_line` gives them.
    """
    import numpy as np

    rough = np.zeros(_NUM_BUCKETS, dtype=np.uint16)
    for lines in _hash_rows(rows, columns, num_characters):
        buckets = np.unique(np.array(list(lines), dtype=np.uint64) % np.uint64(_NUM_BUCKETS))
        rough[buckets] += rough[buckets] < _MOST_COUNTED
    often = min(num_rows, _MOST_COUNTED)
    counts = Counter[int]()
    for lines in _hash_rows(rows, columns, num_characters):
        counts.update(line for line in lines if rough[line % _NUM_BUCKETS] >= often)
    return frozenset(line for line, number in counts.items() if number >= num_rows)


def hash_line(line: str) -> int:
    """Hash a line without the white space around it, to 64 bits."""
    return int.from_bytes(hashlib.blake2b(line.strip().encode(), digest_size=8).digest(), "little")


def make_line_remover(repeated: frozenset[int], num_characters: int) -> Callable[[str], str]:
    """Make the rule that takes repeated lines out of a text."""

    def remove(text: str) -> str:
        lines = text.splitlines(keepends=True)
        kept = [
            each for each in lines if len(each.strip()) < num_characters or hash_line(each) not in repeated
        ]
        return text if len(kept) == len(lines) else "".join(kept)

    return remove


def _hash_rows(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], num_characters: int
) -> Iterator[set[int]]:
    """Yield the different lines of each row that has any, hashed."""
    for row in rows:
        lines = {
            hash_line(line)
            for name in columns
            for text in list_texts(row.get(name))
            for line in text.splitlines()
            if len(line.strip()) >= num_characters
        }
        if lines:
            yield lines
