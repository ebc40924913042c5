"""Predictions -> scores, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.errors import MetricError
from ftkit.evaluation.comparison import Comparison, compare_scores, correct_comparisons
from ftkit.evaluation.predictions import predict_split
from ftkit.evaluation.row_scores import measure_models
from ftkit.metrics import METRICS, check_metrics, compute_metrics

if TYPE_CHECKING:
    from ftkit.models import Checkpoint
    from ftkit.recipe import EvaluationSection
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split


@dataclass(frozen=True)
class Scored:
    """One model on one split."""

    records: list[dict[str, Any]]
    scores: dict[str, float]


def score_model(checkpoint: Checkpoint, task: Task, split: Split, metrics: Sequence[str]) -> Scored:
    """Run a model over a split and score it.

    Args:
        checkpoint: the model, on its device, with its tokenizer and labels.
        task: how predictions are made and scored.
        split: encoded rows.
        metrics: names of the scores.
    """
    compute = checkpoint.precision.compute
    records = predict_split(checkpoint.model, checkpoint.tokenizer, task, split, compute_dtype=compute)
    return score_records(records, task, metrics)


def score_records(records: list[dict[str, Any]], task: Task, metrics: Sequence[str]) -> Scored:
    """Score records that are there already."""
    scores: dict[str, float] = {}
    for name in metrics:
        kind = choose_kind(name, task)
        predictions, references = task.list_scored(records, kind)
        scores |= compute_metrics([name], kind, predictions=predictions, references=references)
    return Scored(records, scores)


def choose_kind(name: str, task: Task) -> str:
    """Return the kind of a metric; one that ftkit does not know gets the task's first kind."""
    return METRICS[name].kind if name in METRICS else task.METRIC_KINDS[0]


def choose_metrics(task: Task, evaluation: EvaluationSection) -> tuple[list[str], tuple[str, bool]]:
    """Return the metrics to report, and the one that chooses the best checkpoint with its direction.

    Raises:
        MetricError: a metric that nobody knows, that scores something else than the task predicts, or
            whose direction nobody gave.
    """
    metrics = list(evaluation.metrics or task.METRICS)
    best = evaluation.best_metric or metrics[0]
    metrics += [best] * (best not in metrics)
    for name in metrics:
        kind = choose_kind(name, task)
        check_metrics([name], kind if kind in task.METRIC_KINDS else task.METRIC_KINDS[0])
    return metrics, (best, choose_direction(best, evaluation.greater_is_better))


def choose_direction(metric: str, given: bool | None) -> bool:
    """Return whether more of a metric is better.

    Raises:
        MetricError: ftkit does not know it and the recipe does not say it, or says the opposite.
    """
    if metric not in METRICS:
        if given is None:
            raise MetricError(
                f"evaluation.greater_is_better: missing; ftkit does not know the direction of {metric!r}"
            )
        return given
    known = METRICS[metric].greater_is_better
    if given not in (None, known):
        raise MetricError(
            f"evaluation.greater_is_better: is {str(given).lower()}, but {'more' if known else 'less'} "
            f"{metric} is better; take the setting out"
        )
    return known


def compare_models(
    base: Scored, tuned: Scored, task: Task, metrics: Sequence[str], seed: int
) -> list[Comparison]:
    """Compare two models on the same records, with intervals and corrected tests.

    Args:
        base: scored before tuning.
        tuned: scored after, on the same rows.
        task: says what of the records is scored.
        metrics: names; those that ftkit does not know are left out, because they have no row scores.
        seed: of the resampling.
    """
    compared = []
    for name in metrics:
        if name in METRICS:
            kind = METRICS[name].kind
            pair = measure_models(
                name, task.list_scored(base.records, kind), task.list_scored(tuned.records, kind)
            )
            greater = METRICS[name].greater_is_better
            compared.append(compare_scores(name, *pair, greater_is_better=greater, seed=seed))
    return correct_comparisons(compared)
