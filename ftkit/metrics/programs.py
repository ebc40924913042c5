"""Scores of programs that were run on unit tests."""

import math
from typing import Any

import numpy as np

from ftkit.errors import MetricError
from ftkit.metrics.inputs import Floats, read_counts


def measure_passes(predictions: Any, references: Any, *, drawn: int) -> Floats:
    """Estimate how likely one of some programs passes: columns estimate and 1.

    Without bias, from all programs that were written (Chen et al. 2021): 1 - C(n - c, k) / C(n, k).

    Args:
        predictions: how many programs of each row passed.
        references: how many were written, at least `drawn`.
        drawn: how many may be tried, the k of pass@k.
    """
    name = f"pass@{drawn}"
    passed, written = read_counts(name, predictions, references)
    few = np.flatnonzero(written < drawn)
    if few.size:
        raise MetricError(
            f"{name}: needs {drawn} programs of each row; found {int(written[few[0]])} of row {few[0]}; "
            f"set evaluation.code.samples to {drawn} or more"
        )
    if (passed > written).any():
        raise MetricError(f"{name}: more programs passed than were written; count them again")
    shares = [
        1 - math.comb(int(total - right), drawn) / math.comb(int(total), drawn)
        for right, total in zip(passed, written, strict=True)
    ]
    return np.stack([np.array(shares), np.ones(len(shares))], axis=1)
