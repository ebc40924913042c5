"""Parts of the rows, each with its scores: where is the model weak, and where did it get worse?"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.errors import MetricError
from ftkit.evaluation.comparison import (
    Comparison,
    ScoreInterval,
    compare_scores,
    correct_comparisons,
    list_comparison,
    score_interval,
)
from ftkit.evaluation.contents import ScoreRange, Slice
from ftkit.evaluation.parts import Part
from ftkit.evaluation.row_scores import measure_models
from ftkit.metrics import METRICS, has_sums

if TYPE_CHECKING:
    from ftkit.tasks import Task

NUM_SAMPLES = 1_000
"""Resamples of a slice at least; more where there are many, so that a correction can be passed."""

_STAND_INS = {"labels": "accuracy", "numbers": "rmse", "label_probabilities": "multilabel_micro_f1"}
"""What scores a few rows, or one, where the metric says nothing about them: macro-F1 of a single label,
a correlation of one number."""


def choose_row_metric(metrics: Sequence[str]) -> str | None:
    """Choose what scores a part of the rows, and single rows; None where no metric can.

    The first metric, or its stand-in, since it is the one that the user looks at.
    """
    known = (METRICS[name] for name in metrics if name in METRICS)
    chosen = (_STAND_INS.get(info.kind, info.name) for info in known)
    return next((name for name in chosen if has_sums(name)), None)


def score_slices(
    parts: Sequence[Part],
    records: Mapping[str, Sequence[Mapping[str, Any]]],
    task: Task,
    metric: str,
    *,
    seed: int,
    groups: Sequence[Hashable] | None = None,
) -> list[Slice]:
    """Score each part by itself, the worst first.

    Args:
        parts: from `find_parts`.
        records: of each model, in the same order of rows; the last one's scores give the order.
        task: says what of the records is scored.
        metric: for the parts that bring none of their own.
        seed: of the resampling.
        groups: what each record belongs to, if rows hang together.
    """
    num_samples = max(NUM_SAMPLES, 40 * len(parts))
    scored = [
        found
        for part in parts
        if (found := _score_part(part, records, task, metric, seed, groups, num_samples))
    ]
    comparisons = [comparison for _, comparison in scored if comparison is not None]
    corrected = iter(correct_comparisons(comparisons))
    slices: list[Slice] = [
        {**one, "comparison": None if comparison is None else list_comparison(next(corrected))}
        for one, comparison in scored
    ]
    return sorted(slices, key=lambda one: (one["metric"] != metric, one["metric"], _rank(one)))


def warn_of_slices(slices: Sequence[Slice]) -> list[str]:
    """Say where the model got worse, after correction for the number of slices."""
    return [
        f"{one['by']} {one['name']!r} got worse: {one['comparison']['sentence'].removeprefix('worse: ')}"
        for one in slices
        if one["comparison"] is not None and one["comparison"]["verdict"] == "worse"
    ]


def list_range(scored: ScoreInterval) -> ScoreRange:
    """Turn a score into what report.json holds."""
    return {"score": scored.score, "low": scored.low, "high": scored.high, "sentence": scored.sentence}


def _score_part(
    part: Part,
    records: Mapping[str, Sequence[Mapping[str, Any]]],
    task: Task,
    metric: str,
    seed: int,
    groups: Sequence[Hashable] | None,
    num_samples: int,
) -> tuple[Slice, Comparison | None] | None:
    """Score a part; None where there is nothing to score in it, such as no supervised token."""
    name = part.metric or metric
    info = METRICS[name]
    chosen = {who: [some[place] for place in part.places] for who, some in records.items()}
    read = part.read or (lambda some: task.list_scored(some, info.kind))
    pairs = [read(some) for some in chosen.values()]
    own = None if groups is None else [groups[place] for place in part.places]
    rows = measure_models(name, pairs[0], pairs[-1])
    settings: dict[str, Any] = {"seed": seed, "groups": own, "num_samples": num_samples}
    try:
        ranges = {
            who: score_interval(name, some, **settings)
            for who, some in zip(chosen, rows[-len(chosen) :], strict=True)
        }
        comparison = (
            compare_scores(name, *rows, greater_is_better=info.greater_is_better, **settings)
            if len(chosen) > 1
            else None
        )
    except MetricError:
        return None
    found: Slice = {
        "by": part.by,
        "name": part.name,
        "num_rows": part.num_units,
        "metric": name,
        "greater_is_better": info.greater_is_better,
        "scores": {who: list_range(one) for who, one in ranges.items()},
        "comparison": None,
    }
    return found, comparison


def _rank(one: Slice) -> float:
    """Put the lowest score of the last model first, or the highest where less is better."""
    score = list(one["scores"].values())[-1]["score"]
    return score if one["greater_is_better"] else -score
