"""One way into every metric: the score, the rows' share in it, and the score of chosen rows.

Nearly all metrics add up over rows: `measure_rows` gives numbers per row, and `score_sums` turns
their sums into the score. So a bootstrap over rows costs one look at the rows and then sums:

    rows = measure_rows("perplexity", losses, tokens)       # (rows, statistics)
    scores = [score_sums("perplexity", rows[chosen].sum(axis=0)) for chosen in resamples]

Two models' rows can be swapped (a permutation test) when they are measured together, as one list
of both models' rows: then columns mean the same.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ftkit.errors import MetricError
from ftkit.metrics.catalogue import get_info

if TYPE_CHECKING:
    from ftkit.metrics.inputs import Floats
    from ftkit.metrics.scorers import Scorer


def score(name: str, predictions: Any, references: Any, **options: Any) -> float:
    """Compute one of ftkit's metrics.

    Args:
        name: a key of `METRICS`.
        predictions: one per row; `METRIC_KINDS` says what, by the metric's kind.
        references: one per row.
        options: what the metric's own function takes besides, such as `tokenize` for bleu.

    Raises:
        MetricError: the metric is unknown, or the values cannot be scored.
    """
    scorer = _get_scorer(name)
    if scorer.score is not None:
        return scorer.score(predictions, references, **options)
    assert scorer.measure is not None
    return score_sums(name, scorer.measure(predictions, references, **options).sum(axis=0))


def has_sums(name: str) -> bool:
    """Say whether a metric adds up over rows, so that `measure_rows` can be used."""
    return _get_scorer(name).measure is not None


@dataclass(frozen=True)
class Ratio:
    """A metric that divides the first sum by the second."""

    then: Callable[[float], float] | None
    """What is done to the quotient; None where that is the score. It passes NaN on."""


def get_ratio(name: str) -> Ratio | None:
    """Tell whether a metric is a ratio of two sums, so that many can be computed at once; None if not."""
    from ftkit.metrics.combining import combine_ratio

    scorer = _get_scorer(name)
    combine = scorer.combine
    if scorer.when_empty is not None:
        return None
    if combine is combine_ratio:
        return Ratio(None)
    if isinstance(combine, partial) and combine.func is combine_ratio:
        return Ratio(combine.keywords["then"])
    return None


def measure_rows(name: str, predictions: Any, references: Any, **options: Any) -> "Floats":
    """Give the numbers of each row that the metric sums, shape (rows, statistics).

    Raises:
        MetricError: the metric does not add up over rows; it has to be scored anew for each choice.
    """
    measure = _get_scorer(name).measure
    if measure is None:
        raise MetricError(f"{name}: its rows do not add up to the score; call score() with the chosen rows")
    return measure(predictions, references, **options)


def score_sums(name: str, sums: "Floats") -> float:
    """Compute the score from sums of what `measure_rows` gave, shape (statistics,).

    Raises:
        MetricError: there is nothing to score, such as no token at all.
    """
    scorer = _get_scorer(name)
    assert scorer.combine is not None, name
    value = scorer.combine(sums)
    if not math.isnan(value):
        return value
    if scorer.when_empty is None:
        raise MetricError(
            f"{name}: there is nothing to score; found rows without a single unit; give other rows"
        )
    return scorer.when_empty


def score_rows(name: str, predictions: Any, references: Any, **options: Any) -> "Floats":
    """Score each row as if it were alone, shape (rows,).

    NaN where a row has nothing to score (no token, no entity). For metrics that average rows
    (accuracy, ROUGE, exact match, ...) these are the values that are averaged; a correlation says
    nothing about one row, and BLEU little (chrF parts good rows from bad ones).
    """
    import numpy as np

    rows = measure_rows(name, predictions, references, **options)
    combine = _get_scorer(name).combine
    assert combine is not None, name
    return np.array([combine(row) for row in rows], dtype=np.float64)


def _get_scorer(name: str) -> "Scorer":
    get_info(name)
    from ftkit.metrics.scorers import SCORERS

    return SCORERS[name]
