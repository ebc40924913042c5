"""Text in a terminal: Chinese characters are two columns wide."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator


def measure_width(text: str) -> int:
    """Measure the columns that a text takes in a terminal."""
    return sum(_measure(character) for character in text)


def pad(text: str, width: int) -> str:
    """Fill a text with spaces to a number of columns."""
    return text + " " * max(0, width - measure_width(text))


def wrap(text: str, width: int) -> Iterator[str]:
    """Cut a text into lines of at most so many columns; what would not print is shown as its escape."""
    for line in text.split("\n"):
        start, used = 0, 0
        shown = "".join(
            each if each.isprintable() else each.encode("unicode_escape").decode() for each in line
        )
        for place, character in enumerate(shown):
            if used + _measure(character) > width:
                yield shown[start:place]
                start, used = place, 0
            used += _measure(character)
        yield shown[start:]


def draw_bar(number: int, largest: int, *, width: int = 30) -> str:
    """Draw a number as a bar; one that is not 0 is seen."""
    return "█" * max(1, round(width * number / largest)) if number else ""


def _measure(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
