"""Two finished runs on the same rows, compared row by row from what they left on disk."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.errors import MetricError
from ftkit.evaluation.comparison import Comparison, compare_scores
from ftkit.evaluation.row_scores import measure_models
from ftkit.metrics import METRICS

if TYPE_CHECKING:
    from ftkit.runs import SavedRun

Pairs = tuple[list[Any], list[Any]]

TOLERANCE = 1e-6
"""Relative: a score that is computed anew from predictions.jsonl must be the report's."""


def compare_saved(
    first: SavedRun,
    second: SavedRun,
    metric: str,
    predictions: tuple[Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]],
) -> Comparison | None:
    """Compare the tuned models of two runs, with a paired interval.

    Args:
        first: the run that the other one is compared with; it stands as the base.
        second: the other run; scored on the same rows.
        metric: its name.
        predictions: the lines of both runs' predictions.jsonl.

    Returns:
        The comparison, or None where the files do not have what the metric scores: what they give must be
        the scores of both reports.
    """
    if metric not in METRICS:
        return None
    kind = METRICS[metric].kind
    pairs = [read_pairs(lines, kind, run) for lines, run in zip(predictions, (first, second), strict=True)]
    rows = [[line.get("row") for line in lines] for lines in predictions]
    if pairs[0] is None or pairs[1] is None or rows[0] != rows[1]:
        return None
    try:
        measured = measure_models(metric, pairs[0], pairs[1])
        agree = [
            math.isclose(one.score(), run.report["scores"]["tuned"][metric], rel_tol=TOLERANCE, abs_tol=1e-9)
            for one, run in zip(measured, (first, second), strict=True)
        ]
        if not all(agree):
            return None
        greater = METRICS[metric].greater_is_better
        return compare_scores(
            metric, *measured, greater_is_better=greater, seed=int(first.info.get("seed", 0))
        )
    except (MetricError, KeyError, ArithmeticError):
        return None


def read_pairs(lines: Sequence[Mapping[str, Any]], kind: str, run: SavedRun) -> Pairs | None:
    """Read predictions and references of a kind out of predictions.jsonl; None where they are not in it."""
    labels = list(run.info.get("labels") or ())
    try:
        return _READERS[kind](lines, labels) if lines and kind in _READERS else None
    except (KeyError, TypeError, ValueError):
        return None


def _read_losses(lines: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Pairs:
    counts = [line.get("num_tokens", 1) for line in lines]
    return [line["loss"] * max(1, count) for line, count in zip(lines, counts, strict=True)], counts


def _read_counts(lines: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Pairs:
    return [line["num_right"] for line in lines], [line["num_tokens"] for line in lines]


def _read_labels(lines: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Pairs:
    true = "label" if "label" in lines[0] else "answer"
    return [line["prediction"] for line in lines], [line[true] for line in lines]


def _read_label_sets(lines: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Pairs:
    sides = (
        [[int(label in line[name]) for label in labels] for line in lines] for name in ("prediction", "label")
    )
    predicted, true = sides
    return predicted, true


def _read_label_probabilities(lines: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Pairs:
    probabilities = [[line["probabilities"][label] for label in labels] for line in lines]
    return probabilities, _read_label_sets(lines, labels)[1]


def _read_texts(lines: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Pairs:
    return [line["text"] for line in lines], [line["reference"] for line in lines]


def _read_answers(lines: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> Pairs:
    return [line["answer"] for line in lines], [line["true_answers"] for line in lines]


_READERS = {
    "losses": _read_losses,
    "counts": _read_counts,
    "labels": _read_labels,
    "numbers": _read_labels,
    "label_sets": _read_label_sets,
    "label_probabilities": _read_label_probabilities,
    "texts": _read_texts,
    "answers": _read_answers,
}
