"""From sums over rows to a score.

A metric whose rows add up can be computed again for any choice of rows (a bootstrap, a slice)
without looking at the rows again. Nothing to divide by gives NaN; `scoring` says what that means.
"""

import math
from collections.abc import Callable

import numpy as np

from ftkit.metrics.inputs import Floats


def combine_ratio(sums: Floats, *, then: Callable[[float], float] | None = None) -> float:
    """Divide the first sum by the second, and apply a function to what comes out."""
    total, count = (float(value) for value in sums)
    if count == 0:
        return math.nan
    return then(total / count) if then else total / count


def exponentiate(nats: float) -> float:
    """Raise e to a loss; infinity where a float cannot hold it."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


def to_bits(nats: float) -> float:
    """Turn nats into bits."""
    return nats / math.log(2)


def combine_classes(sums: Floats, *, statistic: str = "f1", average: str = "micro") -> float:
    """Compute precision, recall or F1 from counts.

    Args:
        sums: hits, predicted and true, for each class in turn; shape (3 * classes,).
        statistic: "precision", "recall" or "f1".
        average: "micro" (over all decisions), "macro" (over the classes that occur or are
            predicted) or "weighted" (by how often each class occurs).
    """
    counts = np.asarray(sums, dtype=np.float64).reshape(-1, 3)
    if average == "micro":
        counts = counts.sum(axis=0, keepdims=True)
    hits, predicted, true = counts[(counts[:, 1] + counts[:, 2]) > 0].T
    if not len(hits):
        return math.nan
    whole = {"precision": predicted, "recall": true, "f1": (predicted + true) / 2}[statistic]
    scores = np.divide(hits, whole, out=np.zeros_like(hits), where=whole > 0)
    if average == "weighted":
        return float(scores @ true / true.sum()) if true.sum() else math.nan
    return float(scores.mean())


def combine_matthews(sums: Floats) -> float:
    """Compute the Matthews correlation from counts, for any number of classes (Gorodkin 2004).

    Args:
        sums: hits, predicted and true, for each class in turn; shape (3 * classes,).
    """
    hits, predicted, true = np.asarray(sums, dtype=np.float64).reshape(-1, 3).T
    num_rows = true.sum()
    spread = (num_rows**2 - predicted @ predicted) * (num_rows**2 - true @ true)
    if spread == 0:
        return 0.0
    return float((hits.sum() * num_rows - predicted @ true) / math.sqrt(spread))


def combine_pearson(sums: Floats) -> float:
    """Compute Pearson's correlation from sums; 0 where one side is constant.

    Args:
        sums: x, y, x*x, y*y, x*y and the number of rows, with x and y centred beforehand.
    """
    x, y, xx, yy, xy, num_rows = (float(value) for value in sums)
    if num_rows == 0:
        return math.nan
    spread_x, spread_y = xx - x * x / num_rows, yy - y * y / num_rows
    if spread_x <= 1e-12 * xx or spread_y <= 1e-12 * yy:  # what rounding leaves of a constant
        return 0.0
    correlation = (xy - x * y / num_rows) / math.sqrt(spread_x * spread_y)
    return max(-1.0, min(1.0, correlation))
