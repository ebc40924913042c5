"""Rules on characters: normal forms, wrong encodings, invisible characters, Chinese characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Any

from ftkit.data.cleaning.extras import import_extra

_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb]"
)
_RUN_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]{4,}")


def make_normal_form(form: Any) -> Callable[[str], str]:
    """Make the rule that writes characters in one normal form."""
    return partial(unicodedata.normalize, form)


def remove_control_characters(text: str) -> str:
    """Take out what cannot be seen: control characters but tabs and line ends, zero-width spaces, ...

    The joiners U+200C and U+200D stay: Persian, Indic scripts and emoji are written with them.
    """
    return _INVISIBLE.sub("", text)


def make_fix_encoding() -> Callable[[str], str]:
    """Make the rule that repairs text which was read in a wrong encoding.

    ftfy does it for Western encodings, told to leave everything else as it is: its defaults would turn
    full-width forms, curled quotes and ligatures into plain ones. UTF-8 that was read as Chinese GB18030,
    which it does not know, is recognised by this: real Chinese written as GB18030 is practically never
    also valid UTF-8.
    """
    ftfy = import_extra("ftfy", "fix_encoding")
    config = ftfy.TextFixerConfig(
        unescape_html=False,
        remove_terminal_escapes=False,
        fix_latin_ligatures=False,
        fix_character_width=False,
        uncurl_quotes=False,
        fix_line_breaks=False,
        remove_control_chars=False,
        normalization=None,
        explain=False,
    )

    def fix(text: str) -> str:
        if text.isascii():
            return text
        fixed: str = ftfy.fix_text(_RUN_BEYOND_ASCII.sub(_repair_chinese, text), config)
        return fixed

    return fix


def _repair_chinese(match: re.Match[str]) -> str:
    """Read a run as the UTF-8 that it would be in GB18030, where it is that to the last byte."""
    run = match[0]
    try:
        repaired = run.encode("gb18030").decode()
    except UnicodeError:
        return run
    return repaired if len(repaired) >= 3 and all(each > "\u2fff" for each in repaired) else run


def make_chinese(to: str) -> Callable[[str], str]:
    """Make the rule that writes simplified or traditional Chinese."""
    converter = import_extra("opencc", "chinese").OpenCC({"simplified": "t2s", "traditional": "s2t"}[to])

    def convert(text: str) -> str:
        converted: str = converter.convert(text)
        return converted

    return convert
