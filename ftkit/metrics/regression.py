"""Scores of numbers, by scipy and scikit-learn."""

import logging
from collections.abc import Sequence

import numpy as np

from ftkit.metrics.inputs import Floats, read_numbers

logger = logging.getLogger(__name__)


def score_pearson(predictions: Sequence[float], references: Sequence[float]) -> float:
    """Compute the linear correlation; 0 where one side is constant, as a model that learned nothing is."""
    from scipy.stats import pearsonr

    predicted, true = read_numbers("pearson", predictions, references)
    if _say_constant("pearson", predicted, true):
        return 0.0
    return float(pearsonr(predicted, true).statistic)


def score_spearman(predictions: Sequence[float], references: Sequence[float]) -> float:
    """Compute the correlation of the ranks; 0 where one side is constant."""
    from scipy.stats import spearmanr

    predicted, true = read_numbers("spearman", predictions, references)
    if _say_constant("spearman", predicted, true):
        return 0.0
    return float(spearmanr(predicted, true).statistic)


def score_rmse(predictions: Sequence[float], references: Sequence[float]) -> float:
    """Compute the root of the mean squared error."""
    from sklearn.metrics import root_mean_squared_error

    predicted, true = read_numbers("rmse", predictions, references)
    return float(root_mean_squared_error(true, predicted))


def score_mae(predictions: Sequence[float], references: Sequence[float]) -> float:
    """Compute the mean absolute error."""
    from sklearn.metrics import mean_absolute_error

    predicted, true = read_numbers("mae", predictions, references)
    return float(mean_absolute_error(true, predicted))


def measure_squared_errors(predictions: Sequence[float], references: Sequence[float]) -> Floats:
    """Give each row's squared error: columns error and 1."""
    predicted, true = read_numbers("rmse", predictions, references)
    return np.stack([(predicted - true) ** 2, np.ones(len(true))], axis=1)


def measure_absolute_errors(predictions: Sequence[float], references: Sequence[float]) -> Floats:
    """Give each row's absolute error: columns error and 1."""
    predicted, true = read_numbers("mae", predictions, references)
    return np.stack([abs(predicted - true), np.ones(len(true))], axis=1)


def measure_products(predictions: Sequence[float], references: Sequence[float]) -> Floats:
    """Give what Pearson's correlation sums: columns x, y, x*x, y*y, x*y and 1, x and y centred."""
    predicted, true = read_numbers("pearson", predictions, references)
    x, y = (np.zeros(len(side)) if _is_constant(side) else side - side.mean() for side in (predicted, true))
    return np.stack([x, y, x * x, y * y, x * y, np.ones(len(true))], axis=1)


def _say_constant(name: str, predicted: Floats, true: Floats) -> bool:
    for side, values in (("predictions", predicted), ("references", true)):
        if _is_constant(values):
            logger.info("%s: the %s are all %g; a constant correlates with nothing: 0", name, side, values[0])
            return True
    return False


def _is_constant(values: Floats) -> bool:
    # what rounding leaves of a constant counts as one: scipy warns of it, and correlates noise
    return float(np.ptp(values)) <= 1e-12 * float(abs(values).max())
