"""A user's own word segmenter, for text in scripts without spaces."""

from __future__ import annotations

from collections.abc import Callable

from ftkit.errors import DataError
from ftkit.sources.functions import find_function, fingerprint_function

Segmenter = Callable[[str], list[str]]
"""From a stretch of text to its words, which joined are the text."""

_SETTING = "data.segmenter"


def load_segmenter(name: str) -> Segmenter:
    """Load the function that a recipe names.

    Args:
        name: `module:function`, such as `jieba:lcut`; the module may lie in the current directory.

    Returns:
        The function, with a check of what it gives: `DataError` when the words joined are not the text.

    Raises:
        RecipeError: there is no such function.
    """
    function = find_function(name, setting=_SETTING)

    def segment(text: str) -> list[str]:
        words = [str(word) for word in function(text)]
        if "".join(words) != text:
            raise DataError(
                f"data.segmenter: {name} lost or changed characters; of {text[:40]!r} it made "
                f"{' '.join(words)[:60]!r}; a segmenter gives back all of the text, cut into words"
            )
        return words

    return segment


def fingerprint_segmenter(name: str) -> str:
    """Compute what changes with the file that a segmenter's function is written in."""
    return fingerprint_function(name, setting=_SETTING)
