"""One model's rows under one metric, in a form that scores any resample of them.

Two forms: `SummedRows` for a metric that adds up over rows (nearly all do: a resample costs one
matrix product), `RescoredRows` for one that has to be computed anew. Both can do the same four
things: score all rows, score resamples, leave one out, and exchange rows with the other model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from ftkit.errors import MetricError
from ftkit.metrics import get_info, get_ratio, has_sums, measure_rows, score, score_sums

if TYPE_CHECKING:
    from ftkit.metrics.inputs import Floats, Integers

ANY_VALUE = (-math.inf, math.inf)
ROUNDING = 1e-5
"""Two models whose rows differ by less, relatively, differ by rounding; a forward pass leaves 1e-6."""


@dataclass(frozen=True)
class SummedRows:
    """Rows under a metric that is computed from sums over rows."""

    default_samples: ClassVar[int] = 5_000
    max_units: ClassVar[int] = 5_000
    """Of more rows several make one unit: so many say the same, and drawing them costs seconds."""

    statistics: Floats
    """What the metric sums, shape (rows, statistics); the same columns for both models."""

    combine: Callable[[Floats], Floats]
    """From sums, shape (samples, statistics), to scores, shape (samples,); NaN for nothing to score."""

    bounds: tuple[float, float] = ANY_VALUE
    """The lowest and the highest value that the metric can have."""

    def __len__(self) -> int:
        return len(self.statistics)

    def score(self) -> float:
        """Score all rows."""
        return float(self.combine(self.statistics.sum(axis=0, keepdims=True))[0])

    def score_resamples(self, counts: Floats) -> Floats:
        """Score resamples, given how often each has each row, shape (samples, rows)."""
        return self.combine(counts @ self.statistics)

    def leave_one_out(self) -> Floats:
        """Score all rows but one, for each, shape (rows,)."""
        return self.combine(self.statistics.sum(axis=0) - self.statistics)

    def exchange(self, other: RowScores, swaps: Floats) -> Floats:
        """Score this model with the other's rows where `swaps`, shape (samples, rows), is 1."""
        assert isinstance(other, SummedRows)
        return self.combine(self.statistics.sum(axis=0) + swaps @ (other.statistics - self.statistics))

    def merge(self, group_of_row: Integers, num_groups: int) -> SummedRows:
        """Make one unit of the rows of each group."""
        import numpy as np

        columns = [np.bincount(group_of_row, column, num_groups) for column in self.statistics.T]
        return SummedRows(np.stack(columns, axis=1), self.combine, self.bounds)

    def agrees_with(self, other: RowScores) -> bool:
        """Say whether each row is the same for both models, but for rounding."""
        assert isinstance(other, SummedRows)
        import numpy as np

        return bool(np.allclose(self.statistics, other.statistics, rtol=ROUNDING))


@dataclass(frozen=True)
class RescoredRows:
    """Rows under a metric that has to be computed anew for each choice of rows."""

    default_samples: ClassVar[int] = 1_000
    max_units: ClassVar[int] = 500
    """Of more rows several make one unit: to leave one out costs a computation of the metric."""

    units: Sequence[Sequence[tuple[Any, ...]]]
    """Rows that are drawn together; a row is what the function takes, such as (prediction, reference)."""

    function: Callable[..., float]
    """From one list for each part of a row to the score; raises MetricError for nothing to score."""

    bounds: tuple[float, float] = ANY_VALUE
    """The lowest and the highest value that the metric can have."""

    def __len__(self) -> int:
        return len(self.units)

    def score(self) -> float:
        """Score all rows."""
        return self.function(*_list_parts(self.units))

    def score_resamples(self, counts: Floats) -> Floats:
        """Score resamples, given how often each has each unit, shape (samples, units)."""
        import numpy as np

        resamples = (
            [unit for unit, times in zip(self.units, row, strict=True) for _ in range(int(times))]
            for row in counts
        )
        return np.array([self._score(resample) for resample in resamples])

    def leave_one_out(self) -> Floats:
        """Score all units but one, for each, shape (units,)."""
        import numpy as np

        units = list(self.units)
        return np.array([self._score(units[:place] + units[place + 1 :]) for place in range(len(units))])

    def exchange(self, other: RowScores, swaps: Floats) -> Floats:
        """Score this model with the other's units where `swaps`, shape (samples, units), is 1."""
        assert isinstance(other, RescoredRows)
        import numpy as np

        pairs = list(zip(self.units, other.units, strict=True))
        return np.array(
            [self._score([pair[int(swap)] for pair, swap in zip(pairs, row, strict=True)]) for row in swaps]
        )

    def merge(self, group_of_row: Integers, num_groups: int) -> RescoredRows:
        """Make one unit of the units of each group."""
        merged: list[list[tuple[Any, ...]]] = [[] for _ in range(num_groups)]
        for unit, group in zip(self.units, group_of_row, strict=True):
            merged[group].extend(unit)
        return RescoredRows(merged, self.function, self.bounds)

    def agrees_with(self, other: RowScores) -> bool:
        """Say whether each row is the same for both models."""
        assert isinstance(other, RescoredRows)
        import numpy as np

        return all(
            np.array_equal(mine, theirs)
            for unit, other_unit in zip(self.units, other.units, strict=True)
            for row, other_row in zip(unit, other_unit, strict=True)
            for mine, theirs in zip(row, other_row, strict=True)
        )

    def _score(self, units: Sequence[Sequence[tuple[Any, ...]]]) -> float:
        try:
            return self.function(*_list_parts(units))
        except MetricError:  # such as a resample without a positive row
            return math.nan


def _list_parts(units: Sequence[Sequence[tuple[Any, ...]]]) -> list[list[Any]]:
    """Turn rows into one list of predictions and one of references."""
    return [list(part) for part in zip(*(row for unit in units for row in unit), strict=True)]


RowScores: TypeAlias = SummedRows | RescoredRows


@dataclass(frozen=True)
class Difference:
    """The tuned model's score minus the base's, over the same rows."""

    tuned: RowScores
    base: RowScores

    def __len__(self) -> int:
        return len(self.tuned)

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest difference that the metric can have."""
        lowest, highest = self.tuned.bounds
        return lowest - highest, highest - lowest

    def score(self) -> float:
        """Subtract the scores of all rows."""
        return self.tuned.score() - self.base.score()

    def score_resamples(self, counts: Floats) -> Floats:
        """Subtract the scores of resamples, drawn alike for both models."""
        return self.tuned.score_resamples(counts) - self.base.score_resamples(counts)

    def leave_one_out(self) -> Floats:
        """Subtract the scores of all rows but one, for each."""
        return self.tuned.leave_one_out() - self.base.leave_one_out()


def measure_models(
    metric: str, base: tuple[Any, Any], tuned: tuple[Any, Any], **options: Any
) -> tuple[RowScores, RowScores]:
    """Look at the rows of two models with one of ftkit's metrics.

    Args:
        metric: a key of `METRICS`.
        base: predictions and references, one of each per row; `METRIC_KINDS` says what they are.
        tuned: the same for the other model, row by row.
        options: what the metric takes besides.
    """
    if len(base[0]) != len(tuned[0]):
        found = f"found {len(base[0])} of the base and {len(tuned[0])} of the tuned model"
        raise MetricError(f"{metric}: both models have to predict the same rows; {found}; score them again")
    lowest, highest = get_info(metric).range
    bounds = (lowest, math.inf if highest is None else highest)
    if not has_sums(metric):

        def rescore(predictions: Any, references: Any) -> float:
            return score(metric, predictions, references, **options)

        return _rescore(rescore, bounds, base), _rescore(rescore, bounds, tuned)

    # Together, so that the columns mean the same for both models.
    predictions, references = ([*base[side], *tuned[side]] for side in (0, 1))
    statistics = measure_rows(metric, predictions, references, **options)
    combine = _repeat(metric)
    half = len(base[0])
    return (
        SummedRows(statistics[:half], combine, bounds),
        SummedRows(statistics[half:], combine, bounds),
    )


def average(values: Any, *, bounds: tuple[float, float] = ANY_VALUE) -> SummedRows:
    """Score a model by the mean of one number per row."""
    import numpy as np

    numbers = np.asarray(values, dtype=np.float64)
    return SummedRows(np.stack([numbers, np.ones(len(numbers))], axis=1), divide_sums, bounds)


def divide_sums(sums: Floats) -> Floats:
    """Divide the first column of sums by the second; NaN for nothing to divide by."""
    import numpy as np

    quotients: Floats = np.full(len(sums), np.nan)
    np.divide(sums[:, 0], sums[:, 1], out=quotients, where=sums[:, 1] != 0)
    return quotients


def number_groups(groups: Sequence[Hashable]) -> tuple[Integers, int]:
    """Number what rows hang together by, in the order of its first row."""
    import numpy as np

    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.int64), len(
        numbers
    )


def _rescore(
    function: Callable[..., float], bounds: tuple[float, float], model: tuple[Any, Any]
) -> RescoredRows:
    return RescoredRows([[row] for row in zip(*model, strict=True)], function, bounds)


def _repeat(metric: str) -> Callable[[Floats], Floats]:
    """Turn the metric's function of one vector of sums into one of many, at once for ratios."""
    ratio = get_ratio(metric)
    if ratio is not None:
        return partial(_divide_then, then=ratio.then)

    def combine(sums: Floats) -> Floats:
        import numpy as np

        return np.array([_score_or_nan(metric, vector) for vector in sums])

    return combine


def _divide_then(sums: Floats, *, then: Callable[[float], float] | None) -> Floats:
    import numpy as np

    quotients = divide_sums(sums)
    if then is None:
        return quotients
    return np.array([then(value) for value in quotients.tolist()])


def _score_or_nan(metric: str, sums: Floats) -> float:
    try:
        return score_sums(metric, sums)
    except MetricError:  # a resample without a single token
        return math.nan
