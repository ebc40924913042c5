"""Scores of language models: what their losses and counts add up to."""

from collections.abc import Sequence

import numpy as np

from ftkit.errors import MetricError
from ftkit.metrics.inputs import Floats, read_counts


def measure_losses(predictions: Sequence[float], references: Sequence[int]) -> Floats:
    """Give each row's summed loss in nats and how many tokens (or bytes) it sums.

    A perplexity is exp(sum of losses / sum of tokens): every token counts the same, however long its row.
    """
    return np.stack(read_counts("loss", predictions, references), axis=1)


def measure_shares(predictions: Sequence[int], references: Sequence[int]) -> Floats:
    """Give how many were right in each row, out of how many.

    Raises:
        MetricError: more right than there are.
    """
    right, total = read_counts("masked_accuracy", predictions, references)
    wrong = np.flatnonzero((right > total) | (right < 0))
    if wrong.size:
        row = wrong[0]
        raise MetricError(
            f"masked_accuracy: row {row} has {right[row]:g} right of {total[row]:g}; count again"
        )
    return np.stack([right, total], axis=1)
