"""White space and invisible characters."""

from __future__ import annotations

import re

_INLINE = re.compile(r"[^\S\r\n\u3000]{2,}|[^\S\r\n\u3000 ]")
_LINE_ENDS = re.compile(r"[^\S\n]*(?:\r\n|\r|\n)")
_EMPTY_LINES = re.compile(r"\n{3,}")


def squeeze_white_space(text: str) -> str:
    """Write white space in one way: one space between words, one line end, at most one empty line.

    The ideographic space U+3000, which indents Chinese paragraphs, stays inside a text.
    """
    text = _LINE_ENDS.sub("\n", text)
    return _EMPTY_LINES.sub("\n\n", _INLINE.sub(" ", text)).strip()
