"""Rules that leave rows out by how long and how repetitive their texts are."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

Judge = Callable[[Sequence[str]], "str | None"]

_WHITE_SPACE = re.compile(r"\s+")
_PIECE, _FEWEST_CHARACTERS = 10, 50


def count_characters(texts: Sequence[str]) -> int:
    """Count characters, white space left out."""
    return sum(len(_WHITE_SPACE.sub("", text)) for text in texts)


def make_min_characters(fewest: int) -> Judge:
    """Make the rule that leaves out rows with too little text."""

    def judge(texts: Sequence[str]) -> str | None:
        number = count_characters(texts)
        return None if number >= fewest else f"{number:,} characters, fewer than {fewest:,}"

    return judge


def make_max_characters(most: int) -> Judge:
    """Make the rule that leaves out rows with too much text."""

    def judge(texts: Sequence[str]) -> str | None:
        number = count_characters(texts)
        return None if number <= most else f"{number:,} characters, more than {most:,}"

    return judge


def make_repetitive(largest_share: float) -> Judge:
    """Make the rule that leaves out rows which repeat themselves, in any language."""

    def judge(texts: Sequence[str]) -> str | None:
        share = measure_repetition("".join(texts))
        return None if share <= largest_share else f"{share:.0%} repeated, more than {largest_share:.0%}"

    return judge


def measure_repetition(text: str) -> float:
    """Return the share of a text's pieces of ten characters that came before in it, 0 for short texts."""
    text = _WHITE_SPACE.sub("", text)
    if len(text) < _FEWEST_CHARACTERS:
        return 0.0
    num_pieces = len(text) - _PIECE + 1
    return 1 - len({text[start : start + _PIECE] for start in range(num_pieces)}) / num_pieces
