"""What a comparison says, in one line of plain English."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ftkit.evaluation.comparison import Comparison, ScoreInterval


def describe_difference(comparison: Comparison) -> str:
    """Say whether a model got better, by how much, and how sure that is."""
    digits = choose_digits(comparison.base, comparison.tuned, comparison.difference)
    rows = count_rows(comparison)
    if comparison.verdict == "no change":
        score = f"{comparison.tuned:.{digits}f}"
        return f"no change: {comparison.metric} {score} before and after, alike in each of {rows}"
    scores = f"{comparison.metric} {comparison.base:.{digits}f} -> {comparison.tuned:.{digits}f}"
    direction = "" if comparison.greater_is_better else ", lower is better"
    change = f"{_sign(comparison.difference, digits)}{direction}, {_describe_interval(comparison, digits)}"
    if comparison.verdict != "cannot tell":
        return f"{comparison.verdict}: {scores} ({change}, {rows})"
    these = "this" if comparison.num_rows == 1 else "these"
    return f"cannot tell with {these} {rows}: {scores} ({change}){_describe_need(comparison)}"


def describe_score(scored: ScoreInterval) -> str:
    """Say how well one model does, and how sure that is."""
    digits = choose_digits(scored.score)
    if scored.low is None or scored.high is None:
        interval = _describe_lack(scored.num_groups)
    else:
        bounds = f"{scored.low:.{digits}f} to {scored.high:.{digits}f}"
        interval = f"{100 * scored.confidence:g} % interval {bounds}"
    return f"{scored.metric} {scored.score:.{digits}f} ({interval}, {count_rows(scored)})"


def count_rows(counted: Comparison | ScoreInterval) -> str:
    """Say how many rows there are, and in how many groups."""
    rows = f"{counted.num_rows:,} row{'s' if counted.num_rows != 1 else ''}"
    if counted.num_groups is None:
        return rows
    return f"{rows} in {counted.num_groups:,} group{'s' if counted.num_groups != 1 else ''}"


def choose_digits(*scores: float, most: int = 6) -> int:
    """Choose decimals that show three digits of the largest number and two of the smallest."""
    sizes = [abs(score) for score in scores if score]
    if not sizes:
        return 3
    wanted = (2 - math.floor(math.log10(max(sizes))), 1 - math.floor(math.log10(min(sizes))))
    return min(most, max(0, *wanted))


def _describe_interval(comparison: Comparison, digits: int) -> str:
    if comparison.low is None or comparison.high is None:
        return _describe_lack(comparison.num_groups)
    bounds = f"{_sign(comparison.low, digits)} to {_sign(comparison.high, digits)}"
    return f"{100 * comparison.confidence:g} % interval {bounds}"


def _describe_lack(num_groups: int | None) -> str:
    return f"no interval from so few {'rows' if num_groups is None else 'groups'}"


def _describe_need(comparison: Comparison) -> str:
    reasons = ""
    low, high = comparison.low, comparison.high
    if low is not None and high is not None and not low <= 0 <= high:
        corrected = comparison.corrected_p_value > comparison.p_value
        reasons = f"; p = {comparison.corrected_p_value:.2g}{' over all metrics' if corrected else ''}"
    if comparison.rows_needed is None:
        return reasons
    return f"{reasons}; an estimated {comparison.rows_needed:,} rows would tell, if the difference is real"


def _sign(number: float, digits: int) -> str:
    """Write a number with its sign, and never a number that is not 0 as 0."""
    text = f"{number + 0.0:+.{digits}f}"
    return f"{number:+.1g}" if number and float(text) == 0 else text
