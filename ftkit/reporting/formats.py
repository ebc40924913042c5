"""Numbers, sizes and times as people read them."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

TIMES = ((3600, "h"), (60, "min"))
SIZES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def format_number(value: Any) -> str:
    """Write a score: four digits; a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}"


def format_change(value: float | None) -> str:
    """Write a difference with its sign."""
    return "–" if value is None else f"{value:+.4g}"


def format_interval(low: float | None, high: float | None, *, signed: bool = False) -> str:
    """Write an interval; nothing where there are too few rows for one."""
    if low is None or high is None:
        return ""
    show = format_change if signed else format_number
    return f"{show(low)} to {show(high)}"


def format_count(value: float) -> str:
    """Write a number of things: 1,234."""
    return f"{value:,.0f}"


def format_seconds(seconds: float) -> str:
    """Write a time: `45 s`, `12.0 min`, `3.4 h`."""
    for size, unit in TIMES:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} s"


def format_bytes(number: float) -> str:
    """Write a size: `1.2 GiB`."""
    for size, unit in SIZES:
        if number >= size:
            return f"{number / size:{'.3g' if number < 999 * size else '.0f'}} {unit}"
    return f"{number:.0f} B"


def shorten_path(text: str) -> str:
    """Cut an absolute path to its last part; anything else stays."""
    is_path = text.startswith(("/", "~", "\\\\")) or re.match(r"[A-Za-z]:[\\/]", text)
    return PurePath(text.replace("\\", "/")).name or text if is_path else text
