"""Predictions -> scores, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.errors import MetricError
from ftkit.evaluation.predictions import predict_examples
from ftkit.metrics import METRICS, check_metrics

if TYPE_CHECKING:
    import datasets

    from ftkit.models import Checkpoint
    from ftkit.recipe import EvaluationSection
    from ftkit.tasks import Task


@dataclass(frozen=True)
class Scored:
    """One model on one split."""

    predictions: list[dict[str, Any]]
    scores: dict[str, float]


def score_model(
    checkpoint: Checkpoint, task: Task, examples: datasets.Dataset, metrics: Sequence[str]
) -> Scored:
    """Run a model over a split and score it.

    Args:
        checkpoint: the model, on its device, with its tokenizer and labels.
        task: how predictions are made and scored.
        examples: the encoded split.
        metrics: names of the scores.
    """
    compute = checkpoint.precision.compute
    predictions = predict_examples(
        checkpoint.model, checkpoint.tokenizer, task, examples, compute_dtype=compute
    )
    return score_predictions(predictions, task, metrics, checkpoint.labels)


def score_predictions(
    predictions: list[dict[str, Any]], task: Task, metrics: Sequence[str], labels: Sequence[str]
) -> Scored:
    """Score records that are there already."""
    return Scored(predictions, task.score(predictions, metrics, labels))


def choose_metrics(task: Task, evaluation: EvaluationSection) -> tuple[list[str], tuple[str, bool]]:
    """Return the metrics to report, and the one that chooses the best checkpoint with its direction.

    Raises:
        MetricError: the direction of a metric that ftkit does not know is not given.
    """
    metrics = list(evaluation.metrics or task.METRICS)
    best = evaluation.best_metric or metrics[0]
    if best not in metrics and best != "loss":
        metrics.append(best)
    check_metrics([name for name in metrics if name != "loss"], task.METRIC_KIND)
    if best in METRICS:
        greater = METRICS[best].greater_is_better
        if evaluation.greater_is_better not in (None, greater):
            raise MetricError(
                f"evaluation.greater_is_better: is {str(not greater).lower()}, but of {best} "
                f"{'more' if greater else 'less'} is better; take the setting out"
            )
        return metrics, (best, greater)
    if evaluation.greater_is_better is None:
        raise MetricError(
            f"evaluation.greater_is_better: set it: ftkit does not know the direction of {best!r}"
        )
    return metrics, (best, evaluation.greater_is_better)
