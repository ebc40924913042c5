"""What a run's own log says about it, once, when it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any

from ftkit.checks.findings import Finding

FEWEST_LINES = 5
"""Logged steps below which nothing can be said."""
LEAST_MOVE = 0.01
"""Change of the loss, as a share of it, below which it did not move."""
ALWAYS = 0.95
"""Share of the logged steps from which on something holds always."""


def check_progress(
    lines: Sequence[Mapping[str, Any]], comparisons: Sequence[Mapping[str, Any]], *, max_grad_norm: float
) -> Iterator[Finding]:
    """Say of a finished training what its user should know.

    Args:
        lines: of metrics.jsonl.
        comparisons: of the report: tuned against base, a metric each.
        max_grad_norm: the setting; 0 where nothing is clipped.
    """
    losses = [line["loss"] for line in lines if "loss" in line]
    if len(losses) >= FEWEST_LINES and max(losses) - min(losses) < LEAST_MOVE * abs(median(losses)):
        message = (
            f"the training loss did not move: {losses[0]:.4g} at first, {losses[-1]:.4g} at last; raise "
            "training.learning_rate, or look whether what should be learned is trained (ftkit check)"
        )
        yield Finding("training", "warning", message)
    norms = [line["grad_norm"] for line in lines if line.get("grad_norm") is not None]
    clipped = sum(norm > max_grad_norm for norm in norms)
    if max_grad_norm and len(norms) >= FEWEST_LINES and clipped >= ALWAYS * len(norms):
        message = (
            f"the gradient was cut to training.max_grad_norm ({max_grad_norm:g}) in {clipped} of "
            f"{len(norms)} "
            f"logged steps; it is {median(norms):.3g} long in the median, so that the limit and not "
            "training.learning_rate decides how far a step goes"
        )
        yield Finding("training", "note", message)  # usual in full fine-tuning, and Adam forgives it
    worse = [one["metric"] for one in comparisons if one.get("verdict") == "worse"]
    if worse:
        message = (
            f"worse than the base on held-out rows: {', '.join(worse)}; keep the base, or change the recipe"
        )
        yield Finding("training", "warning", message)
