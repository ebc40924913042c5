"""Rules on how long the texts of a row are."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_WHITE_SPACE = re.compile(r"\s+")


def count_characters(texts: Sequence[str]) -> int:
    """Count characters, white space left out."""
    return sum(len(_WHITE_SPACE.sub("", text)) for text in texts)


def make_min_characters(fewest: int) -> Callable[[Sequence[str]], str | None]:
    """Make the rule that leaves out rows with too little text."""

    def judge(texts: Sequence[str]) -> str | None:
        number = count_characters(texts)
        return None if number >= fewest else f"{number} characters, fewer than {fewest}"

    return judge
