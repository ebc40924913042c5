"""Predictions -> scores, side by side."""

from __future__ import annotations

import json
import logging
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import MetricError
from ftkit.evaluation.comparison import Comparison, compare_scores
from ftkit.evaluation.predictions import predict_split
from ftkit.evaluation.program_runs import add_program_runs, check_programs, runs_programs
from ftkit.evaluation.row_scores import measure_models
from ftkit.evaluation.texts import add_texts, needs_texts
from ftkit.metrics import METRICS, check_metrics, compute_metrics
from ftkit.recipe import CodeSection, EvaluationSection, GenerationSection

if TYPE_CHECKING:
    from ftkit.models import Checkpoint
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Scored:
    """One model on one split."""

    records: list[dict[str, Any]]
    scores: dict[str, float]


def score_model(
    checkpoint: Checkpoint,
    task: Task,
    split: Split,
    metrics: Sequence[str],
    evaluation: EvaluationSection | None = None,
    *,
    finds_threshold: bool = False,
) -> Scored:
    """Run a model over a split and score it.

    Args:
        checkpoint: the model, on its device, with its tokenizer and labels.
        task: how predictions are made and scored.
        split: encoded rows.
        metrics: names of the scores; the model writes texts where one of them scores those.
        evaluation: how they are written and judged; None for the defaults.
        finds_threshold: whether these are the rows on which the model's threshold is found, where the
            task has one.
    """
    compute = checkpoint.precision.compute
    records = predict_split(checkpoint.model, checkpoint.tokenizer, task, split, compute_dtype=compute)
    if finds_threshold and hasattr(task, "find_threshold"):
        checkpoint.threshold = task.find_threshold(records)
    if checkpoint.threshold is not None:
        records = [{**record, "threshold": checkpoint.threshold} for record in records]
    if needs_texts(metrics):
        evaluation = evaluation or EvaluationSection()
        records = add_texts(records, checkpoint, task, split, evaluation.generation)
        if "json_validity" in metrics and evaluation.json_schema is not None:
            schema = read_schema(evaluation.json_schema)
            records = [{**record, "schema": schema} for record in records]
        if runs_programs(metrics):
            records = add_program_runs(records, checkpoint, task, split, evaluation)
    return score_records(records, task, metrics)


def find_threshold(checkpoint: Checkpoint, task: Task, split: Split | None) -> float | None:
    """Find from where on a model says yes, on validation rows; None where the task or the rows lack it."""
    if split is None or not hasattr(task, "find_threshold"):
        return None
    compute = checkpoint.precision.compute
    records = predict_split(checkpoint.model, checkpoint.tokenizer, task, split, compute_dtype=compute)
    return task.find_threshold(records)


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


def choose_metrics(
    task: Task, evaluation: EvaluationSection, labels: Sequence[str] = ()
) -> tuple[list[str], tuple[str, bool]]:
    """Return the metrics to report, and the one that chooses the best checkpoint with its direction.

    Args:
        task: has metrics of its own where the recipe names none.
        evaluation: the recipe's section `evaluation`.
        labels: label names; what is scored by default may depend on them.

    Raises:
        MetricError: a metric that nobody knows, that scores something else than the task predicts, or
            whose direction nobody gave.
    """
    suit_metrics = getattr(task, "suit_metrics", None)
    metrics = list(evaluation.metrics or (suit_metrics(labels) if suit_metrics and labels else task.METRICS))
    best = evaluation.best_metric or metrics[0]
    metrics += [best] * (best not in metrics)
    for name in metrics:
        kind = choose_kind(name, task)
        check_metrics([name], kind if kind in task.METRIC_KINDS else task.METRIC_KINDS[0])
    _check_unused(metrics, evaluation)
    check_programs(metrics, evaluation.code)
    if "json_validity" in metrics and evaluation.json_schema is not None:
        from ftkit.metrics.structured import make_validator

        make_validator(read_schema(evaluation.json_schema))
    return metrics, (best, choose_direction(best, evaluation.greater_is_better))


def _check_unused(metrics: Sequence[str], evaluation: EvaluationSection) -> None:
    """Say which settings no metric reads."""
    if evaluation.generation != GenerationSection() and not needs_texts(metrics):
        logger.warning("evaluation.generation: not used; no metric scores texts, such as rougeL or chrf")
    if evaluation.json_schema is not None and "json_validity" not in metrics:
        logger.warning("evaluation.json_schema: not used; only json_validity reads it")
    if evaluation.code != CodeSection() and not runs_programs(metrics):
        logger.warning("evaluation.code: not used; no metric runs programs, such as pass@1")


def read_schema(path: str) -> Any:
    """Read a JSON schema from a file.

    Raises:
        MetricError: there is no such file, or it is no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise MetricError(f"evaluation.json_schema: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise MetricError(f"evaluation.json_schema: {path} is no JSON: {error}") from error


def check_names(task: Task, evaluation: EvaluationSection) -> None:
    """Refuse metrics that nobody knows, or that fit no form of a task, before any row is read.

    Raises:
        MetricError: such a metric; says which there are.
    """
    kinds = getattr(task, "FORM_METRIC_KINDS", task.METRIC_KINDS)
    for name in [*(evaluation.metrics or ()), *filter(None, [evaluation.best_metric])]:
        if name not in METRICS or METRICS[name].kind not in kinds:
            check_metrics([name], kinds[0])


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
    base: Scored,
    tuned: Scored,
    task: Task,
    metrics: Sequence[str],
    seed: int,
    groups: Sequence[Hashable] | None = None,
) -> list[Comparison]:
    """Compare two models on the same records, with intervals and tests that are not corrected yet.

    Args:
        base: scored before tuning.
        tuned: scored after, on the same rows.
        task: says what of the records is scored.
        metrics: names; those that ftkit does not know are left out, because they have no row scores.
        seed: of the resampling.
        groups: what each record belongs to, if rows hang together.
    """
    compared = []
    for name in metrics:
        if name in METRICS:
            kind = METRICS[name].kind
            pair = measure_models(
                name, task.list_scored(base.records, kind), task.list_scored(tuned.records, kind)
            )
            greater = METRICS[name].greater_is_better
            compared.append(compare_scores(name, *pair, greater_is_better=greater, seed=seed, groups=groups))
    return compared
