"""The base beside the tuned model on the same rows: is it better, and would more rows say?"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from ftkit.errors import MetricError
from ftkit.evaluation.contents import Compared, Verdict
from ftkit.evaluation.proportions import (
    mcnemar_p_value,
    read_right_or_wrong,
    share_difference_interval,
    share_interval,
)
from ftkit.evaluation.resampling import (
    MIN_UNITS,
    Interval,
    bootstrap_interval,
    permutation_p_value,
    quantile_of_normal,
)
from ftkit.evaluation.row_scores import Difference, number_groups
from ftkit.evaluation.sentences import describe_difference, describe_score

if TYPE_CHECKING:
    import numpy as np

    from ftkit.evaluation.row_scores import RowScores

POWER = 0.8
"""How often `rows_needed` rows would tell, if the difference is what it seems to be."""


@dataclass(frozen=True)
class _Evidence:
    test: str
    p_value: float
    interval: Interval


@dataclass(frozen=True)
class Comparison:
    """Two models under one metric."""

    metric: str
    greater_is_better: bool
    base: float
    tuned: float
    difference: float
    """Tuned minus base."""

    low: float | None
    """The interval of the difference; None where there are too few rows to say."""

    high: float | None
    standard_error: float | None
    confidence: float
    test: str
    """"McNemar" for shares of right rows, "permutation" for the rest and for rows in groups."""

    p_value: float
    corrected_p_value: float
    """After correction for the other metrics that were compared with this one."""

    identical: bool
    """Whether the metric sees the same in each row of both models."""

    num_rows: int
    num_groups: int | None
    """None where rows stand alone."""

    @property
    def verdict(self) -> Verdict:
        """Judge: "better" and "worse" need an interval without 0 and a corrected p-value that is low."""
        if self.low is None or self.high is None:
            return "cannot tell"
        if self.identical:
            return "no change"
        if self.low <= 0 <= self.high or self.corrected_p_value >= 1 - self.confidence:
            return "cannot tell"
        return "better" if (self.low > 0) == self.greater_is_better else "worse"

    @property
    def rows_needed(self) -> int | None:
        """Estimate how many rows would tell; None if these do, or if nothing points either way."""
        if self.verdict != "cannot tell" or not self.standard_error or not self.difference:
            return None
        significance = (1 - self.confidence) * self.p_value / self.corrected_p_value
        deviations = quantile_of_normal(1 - significance / 2) + quantile_of_normal(POWER)
        estimate = self.num_rows * (deviations * self.standard_error / self.difference) ** 2
        at_least = max(math.ceil(estimate), self.num_rows + 1, MIN_UNITS)
        step = int(10 ** max(0, len(str(at_least)) - 2))
        return math.ceil(at_least / step) * step  # two digits: it is an estimate

    @property
    def sentence(self) -> str:
        """Say all of it in one line."""
        return describe_difference(self)


@dataclass(frozen=True)
class ScoreInterval:
    """One model under one metric."""

    metric: str
    score: float
    low: float | None
    """None where there are too few rows to say."""

    high: float | None
    confidence: float
    num_rows: int
    num_groups: int | None

    @property
    def sentence(self) -> str:
        """Say all of it in one line."""
        return describe_score(self)


def compare_scores(
    metric: str,
    base: RowScores,
    tuned: RowScores,
    *,
    greater_is_better: bool,
    seed: int,
    groups: Sequence[Hashable] | None = None,
    num_samples: int | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """Compare two models on the same rows.

    Shares of right rows get McNemar's test and a closed interval; other metrics, and rows in groups,
    a permutation test and a bootstrap (see `resampling`).

    Args:
        metric: what to call it in the sentence.
        base: its rows, from `measure_models` or `average`.
        tuned: the other model's, in the same order.
        greater_is_better: the direction in which a model improves.
        seed: of the resampling; the same seed gives the same numbers.
        groups: what each row belongs to (a conversation, a document), if rows hang together.
        num_samples: resamples; 5,000 by default, 1,000 for a metric that has to be computed anew.
        confidence: of the interval; the test rejects at what is left of 1.

    Raises:
        MetricError: no rows, not the same number of rows, or a model without a finite score.
    """
    import numpy as np

    _check_models(metric, base, tuned)
    rng = np.random.default_rng(seed)
    num_samples = num_samples or base.default_samples
    units, num_groups = _merge_rows(metric, [base, tuned], groups, rng)
    evidence = _weigh_shares(base, tuned, confidence) if groups is None else None
    if evidence is None:
        evidence = _weigh_resamples(*units, rng=rng, num_samples=num_samples, confidence=confidence)
    identical = base.agrees_with(tuned)
    interval = Interval(0.0, 0.0, 0.0) if identical and len(units[0]) >= MIN_UNITS else evidence.interval
    base_score, tuned_score = base.score(), tuned.score()
    return Comparison(
        metric=metric,
        greater_is_better=greater_is_better,
        base=base_score,
        tuned=tuned_score,
        difference=tuned_score - base_score,
        low=interval.low,
        high=interval.high,
        standard_error=interval.standard_error,
        confidence=confidence,
        test=evidence.test,
        p_value=evidence.p_value,
        corrected_p_value=evidence.p_value,
        identical=identical,
        num_rows=len(base),
        num_groups=num_groups,
    )


def score_interval(
    metric: str,
    scores: RowScores,
    *,
    seed: int,
    groups: Sequence[Hashable] | None = None,
    num_samples: int | None = None,
    confidence: float = 0.95,
) -> ScoreInterval:
    """Score one model, with the interval of its score; arguments as of `compare_scores`."""
    import numpy as np

    _check_models(metric, scores)
    rng = np.random.default_rng(seed)
    (units,), num_groups = _merge_rows(metric, [scores], groups, rng)
    right = read_right_or_wrong(scores) if groups is None else None
    if right is not None:
        interval = share_interval(int(right.sum()), len(scores), confidence)
    else:
        num_samples = num_samples or scores.default_samples
        interval = bootstrap_interval(units, rng=rng, num_samples=num_samples, confidence=confidence)
    return ScoreInterval(
        metric, scores.score(), interval.low, interval.high, confidence, len(scores), num_groups
    )


def correct_comparisons(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Correct the p-values of metrics that were compared together, by Holm's method."""
    corrected = correct_p_values([comparison.p_value for comparison in comparisons])
    return [
        replace(comparison, corrected_p_value=p_value)
        for comparison, p_value in zip(comparisons, corrected, strict=True)
    ]


def correct_p_values(p_values: Sequence[float]) -> list[float]:
    """Correct p-values so that one false alarm among all is as rare as it was for each (Holm 1979)."""
    corrected, running = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = running
    return corrected


def list_comparison(comparison: Comparison) -> Compared:
    """Turn a comparison into what `report.json` holds."""
    listed: Any = {
        **asdict(comparison),
        "verdict": comparison.verdict,
        "rows_needed": comparison.rows_needed,
        "sentence": comparison.sentence,
    }
    return cast("Compared", listed)


def _weigh_shares(base: RowScores, tuned: RowScores, confidence: float) -> _Evidence | None:
    """Weigh rows that are right or wrong; None for a metric of another kind."""
    before, after = read_right_or_wrong(base), read_right_or_wrong(tuned)
    if before is None or after is None:
        return None
    num_fixed, num_broken = int((after > before).sum()), int((before > after).sum())
    interval = share_difference_interval(num_fixed, num_broken, len(before), confidence)
    return _Evidence("McNemar", mcnemar_p_value(num_fixed, num_broken), interval)


def _weigh_resamples(
    base: RowScores, tuned: RowScores, *, rng: np.random.Generator, num_samples: int, confidence: float
) -> _Evidence:
    p_value = permutation_p_value(tuned, base, rng=rng, num_samples=num_samples)
    both = Difference(tuned, base)
    interval = bootstrap_interval(both, rng=rng, num_samples=num_samples, confidence=confidence)
    return _Evidence("permutation", p_value, interval)


def _check_models(metric: str, *models: RowScores) -> None:
    lengths = [len(model) for model in models]
    if len(set(lengths)) > 1:
        found = f"found {lengths[0]} and {lengths[1]}"
        raise MetricError(
            f"{metric}: two models are compared on the same rows; {found} rows; score them again"
        )
    if not lengths[0]:
        raise MetricError(f"{metric}: there is nothing to score; found 0 rows; give at least one")
    for model in models:
        if not math.isfinite(model.score()):
            raise MetricError(
                f"{metric}: a model has no finite score; found {model.score()}; "
                "look for a loss that is not finite, or for rows without a single token"
            )


def _merge_rows(
    metric: str,
    models: Sequence[RowScores],
    groups: Sequence[Hashable] | None,
    rng: np.random.Generator,
) -> tuple[list[RowScores], int | None]:
    """Make units of rows that hang together, and of rows that are too many to be drawn one by one."""
    num_rows, num_groups = len(models[0]), None
    if groups is not None:
        if len(groups) != num_rows:
            found = f"found {len(groups)} groups and {num_rows} rows"
            raise MetricError(f"{metric}: each row belongs to one group; {found}; give one group per row")
        group_of_row, num_groups = number_groups(groups)
        models = [model.merge(group_of_row, num_groups) for model in models]
    num_units = len(models[0])
    if num_units > models[0].max_units:
        bundle_of_unit = rng.permutation(num_units) % models[0].max_units
        models = [model.merge(bundle_of_unit, models[0].max_units) for model in models]
    return list(models), num_groups
