"""Overlapping windows over rows that are longer than the model reads, and who answers for what in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class SpecialTokens:
    """The tokens that a tokenizer puts around a text, or around and between two."""

    before: list[int]
    between: list[int]
    """Empty where there is one text."""
    after: list[int]

    @property
    def number(self) -> int:
        """How many there are."""
        return len(self.before) + len(self.between) + len(self.after)

    def take_off(self, ids: list[int]) -> list[int]:
        """Return the tokens of a single text without those around it."""
        return ids[len(self.before) : len(ids) - len(self.after)]


def find_special_tokens(tokenizer: PreTrainedTokenizerBase, *, pair: bool = False) -> SpecialTokens:
    """Read off a probe which tokens the tokenizer adds to one text, or to a pair.

    Raises:
        ModelError: the tokens of a text alone are not found again among those with special tokens.
    """
    texts = ["1", "2"] if pair else ["1"]
    whole: list[int] = tokenizer(*texts)["input_ids"]
    found: list[list[int]] = []
    for text in texts:
        ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        starts = range(len(whole) - len(ids) + 1)
        start = next((start for start in starts if whole[start : start + len(ids)] == ids), None)
        if start is None or not ids:
            raise ModelError(
                "the tokenizer writes a text otherwise beside its special tokens than alone; "
                "ftkit cannot cut its texts into windows; take another tokenizer"
            )
        found.append(whole[:start])
        whole = whole[start + len(ids) :]
    return SpecialTokens(found[0], found[1] if pair else [], whole)


def cut_windows(sizes: Sequence[int], limit: int, overlap: int) -> list[range]:
    """Cut a row of units (words, or single tokens) into windows of whole units.

    Args:
        sizes: tokens of each unit, each at most `limit`.
        limit: most tokens of a window.
        overlap: most tokens that a window shares with the one before it.

    Returns:
        The units of each window. Together they cover all; each window has a unit that no earlier one has.
    """
    windows: list[range] = []
    start = 0
    while True:
        end, num_tokens = start, 0
        while end < len(sizes) and num_tokens + sizes[end] <= limit:
            num_tokens += sizes[end]
            end += 1
        windows.append(range(start, end))
        if end == len(sizes):
            return windows
        # Back over the overlap, but never so far that the next unit would not fit again.
        room = min(overlap, limit - sizes[end])
        next_start, shared = end, 0
        while next_start - 1 > start and shared + sizes[next_start - 1] <= room:
            next_start -= 1
            shared += sizes[next_start]
        start = next_start


def choose_owners(windows: Sequence[range], sizes: Sequence[int]) -> list[int]:
    """Choose for each unit the window where it has most context.

    The context of a unit in a window is the smaller of the tokens before and behind it, as in BERT's
    script for SQuAD; of equals, the first window counts.

    Args:
        windows: from `cut_windows`.
        sizes: tokens of each unit.

    Returns:
        The number of a window for each unit.
    """
    ends = [0]
    for size in sizes:
        ends.append(ends[-1] + size)
    best = [(-1, 0)] * len(sizes)
    for number, window in enumerate(windows):
        for unit in window:
            before, behind = ends[unit] - ends[window.start], ends[window.stop] - ends[unit + 1]
            best[unit] = max(best[unit], (min(before, behind), -number))
    return [-number for _, number in best]


def cut_middle(ids: list[int], limit: int) -> list[int]:
    """Keep the beginning and the end, half of the limit each; an odd token goes to the beginning."""
    if len(ids) <= limit:
        return ids
    tail = limit // 2
    return ids[: limit - tail] + (ids[-tail:] if tail else [])


CUTTERS: dict[str, Callable[[list[int], int], list[int]]] = {
    "truncate": lambda ids, limit: ids[:limit],
    "truncate_start": lambda ids, limit: ids[len(ids) - limit :] if len(ids) > limit else ids,
    "truncate_middle": cut_middle,
}
"""What is left of a text that may have only so many tokens."""
