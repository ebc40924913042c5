"""Whether a classifier is right as often as it says, and what other thresholds would do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.evaluation.contents import Calibration, CalibrationBin, ThresholdCurve, ThresholdPoint
from ftkit.evaluation.proportions import share_interval

if TYPE_CHECKING:
    from ftkit.metrics.inputs import Floats, Integers

NUM_BINS = 10
NUM_THRESHOLDS = 19
MAX_CURVES = 12
"""Labels with a curve of thresholds, the most frequent ones."""


def calibrate(confidences: Any, right: Any) -> Calibration:
    """Compare what a model says of its answers with how many are right (Guo et al. 2017, arXiv:1706.04599).

    Args:
        confidences: the probability of each prediction, shape (predictions,).
        right: whether it holds, 0 or 1, shape (predictions,).
    """
    import numpy as np

    sure, holds = np.asarray(confidences, dtype=np.float64), np.asarray(right, dtype=np.float64)
    edges = np.linspace(0, 1, NUM_BINS + 1)
    numbers = np.clip(np.searchsorted(edges, sure, side="left") - 1, 0, NUM_BINS - 1)
    bins: list[CalibrationBin] = []
    for number in np.unique(numbers):
        chosen = numbers == number
        interval = share_interval(int(holds[chosen].sum()), int(chosen.sum()))
        bins.append(
            {
                "low": float(edges[number]),
                "high": float(edges[number + 1]),
                "num_predictions": int(chosen.sum()),
                "confidence": float(sure[chosen].mean()),
                "share_right": float(holds[chosen].mean()),
                "share_low": interval.low,
                "share_high": interval.high,
            }
        )
    gaps = [one["num_predictions"] * abs(one["confidence"] - one["share_right"]) for one in bins]
    return {"expected_calibration_error": sum(gaps) / max(1, len(sure)), "bins": bins}


def calibrate_labels(probabilities: Any, true: Any, *, several: bool) -> Calibration:
    """Calibrate a classifier.

    Args:
        probabilities: a list of numbers for each row, one a label or choice.
        true: 0 or 1 for each of them.
        several: whether a row can have several labels: then each of them is a prediction; otherwise the
            likeliest one of a row is.
    """
    if several:
        return calibrate(*([value for row in side for value in row] for side in (probabilities, true)))
    best = [max(range(len(row)), key=row.__getitem__) for row in probabilities]
    return calibrate(
        [row[place] for row, place in zip(probabilities, best, strict=True)],
        [row[place] for row, place in zip(true, best, strict=True)],
    )


def draw_thresholds(
    probabilities: Mapping[str, Any], true: Any, labels: Sequence[str], *, several: bool
) -> list[ThresholdCurve]:
    """Say for each label what saying yes from some probability on would find, and how rightly.

    Args:
        probabilities: of each model, shape (rows, labels).
        true: 0 or 1, shape (rows, labels).
        labels: their names.
        several: whether a row can have several labels; of two labels that exclude each other the rarer
            one alone has a curve.
    """
    import numpy as np

    holds = np.asarray(true, dtype=np.int64)
    numbers = holds.sum(axis=0)
    order = np.argsort(-numbers, kind="stable")
    if len(labels) == 2 and not several:
        order = order[1:]
    models = {who: np.asarray(some, dtype=np.float64) for who, some in probabilities.items()}
    return [
        {
            "label": labels[number],
            "num_rows": int(numbers[number]),
            "curves": {who: _draw_curve(some[:, number], holds[:, number]) for who, some in models.items()},
        }
        for number in order[:MAX_CURVES].tolist()
        if numbers[number]
    ]


def _draw_curve(probabilities: Floats, holds: Integers) -> list[ThresholdPoint]:
    import numpy as np

    points: list[ThresholdPoint] = []
    for threshold in np.linspace(0, 1, NUM_THRESHOLDS + 2)[1:-1].tolist():
        says_yes = probabilities >= threshold
        hits, given, there = int(holds[says_yes].sum()), int(says_yes.sum()), int(holds.sum())
        points.append(
            {
                "threshold": round(threshold, 4),
                "precision": hits / given if given else None,
                "recall": hits / there,
                "f1": 2 * hits / (given + there),
            }
        )
    return points
