"""Everything that an evaluation says beyond the scores: the verdict, intervals, slices, errors, ..."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.evaluation.calibration import calibrate_labels, draw_thresholds
from ftkit.evaluation.comparison import correct_comparisons, list_comparison, score_interval
from ftkit.evaluation.confusion import count_confusions
from ftkit.evaluation.contents import Compared, MainVerdict, ScoreRange
from ftkit.evaluation.grouping import check_group, find_groups
from ftkit.evaluation.parts import check_slices, find_parts
from ftkit.evaluation.program_runs import describe_runs
from ftkit.evaluation.row_errors import list_errors
from ftkit.evaluation.row_scores import measure_models
from ftkit.evaluation.scoring import Scored, compare_models
from ftkit.evaluation.slices import choose_row_metric, list_range, score_slices, warn_of_slices
from ftkit.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ftkit.models import Checkpoint
    from ftkit.recipe import EvaluationSection
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split

MODELS = ("base", "tuned", "model")
"""Who is looked at row by row; what needs no model is not."""


EMPTY: Mapping[str, Any] = {
    "comparisons": [],
    "verdict": None,
    "intervals": {},
    "slices": [],
    "warnings": [],
    "errors": None,
}
"""What there is to say where nothing was scored."""


def check_analysis(split: Split | None, evaluation: EvaluationSection) -> None:
    """Refuse columns of `evaluation.slices` and `evaluation.group` that the rows do not have.

    Raises:
        RecipeError: names the nearest column.
    """
    if split is not None:
        check_slices(evaluation.slices, split)
        check_group(evaluation.group, split)


def analyse(
    scored: Mapping[str, Scored],
    split: Split,
    task: Task,
    checkpoint: Checkpoint,
    metrics: Sequence[str],
    evaluation: EvaluationSection,
    *,
    seed: int,
) -> dict[str, Any]:
    """Look at the records of one model, or of base and tuned, in every way that suits the task.

    Args:
        scored: who was scored, and how it did.
        split: the rows.
        task: says what of the records is scored.
        checkpoint: has the labels and the tokenizer.
        metrics: names; those that ftkit does not know are left out.
        evaluation: columns of further slices, groups, and how many errors to keep.
        seed: of the resampling.

    Returns:
        `comparisons`, `verdict`, `intervals`, `slices`, `warnings`, `errors`, and where the task has them
        `confusion`, `calibration`, `thresholds` and `code`, as `contents.Report` describes them.
    """
    records = {who: scored[who].records for who in MODELS if who in scored}
    found: dict[str, Any] = dict(EMPTY)
    if not any(records.values()):
        return found
    first = next(iter(records.values()))
    groups = find_groups(first, split, task, evaluation.group)
    found["intervals"] = {
        who: _list_intervals(one.records, task, metrics, seed, groups) for who, one in scored.items()
    }
    if {"base", "tuned"} <= scored.keys():
        compared = compare_models(scored["base"], scored["tuned"], task, metrics, seed, groups)
        found["comparisons"] = [list_comparison(one) for one in correct_comparisons(compared)]
        found["verdict"] = name_verdict(found["comparisons"])
    found |= _describe_labels(records, task, checkpoint.labels) | describe_runs(records, evaluation.code)
    metric = choose_row_metric(metrics)
    if metric is not None:
        parts = find_parts(first, split, task, checkpoint.labels, evaluation.slices)
        found["slices"] = score_slices(parts, records, task, metric, seed=seed, groups=groups)
        found["warnings"] = warn_of_slices(found["slices"])
        named = {"labels": checkpoint.labels, "tokenizer": checkpoint.tokenizer, "most": evaluation.errors}
        found["errors"] = list_errors(records, split, task, metric, **named)
    return found


def name_verdict(comparisons: Sequence[Compared]) -> MainVerdict | None:
    """Take the verdict of the first metric, which is the one that counts; None without a comparison."""
    if not comparisons:
        return None
    first = comparisons[0]
    return {"metric": first["metric"], "verdict": first["verdict"], "sentence": first["sentence"]}


def _list_intervals(
    records: Sequence[Mapping[str, Any]],
    task: Task,
    metrics: Sequence[str],
    seed: int,
    groups: Sequence[Hashable] | None,
) -> dict[str, ScoreRange]:
    ranges = {}
    for name in metrics:
        if name in METRICS:
            pair = task.list_scored(records, METRICS[name].kind)
            rows, _ = measure_models(name, pair, pair)
            ranges[name] = list_range(score_interval(name, rows, seed=seed, groups=groups))
    return ranges


def _describe_labels(
    records: Mapping[str, Sequence[Mapping[str, Any]]], task: Task, labels: Sequence[str]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "labels" in task.METRIC_KINDS and labels:
        pairs = {who: task.list_scored(some, "labels") for who, some in records.items()}
        true = next(iter(pairs.values()))[1]
        found["confusion"] = count_confusions({who: pair[0] for who, pair in pairs.items()}, true, labels)
    if hasattr(task, "list_probabilities"):
        several = "label_sets" in task.METRIC_KINDS
        listed = {who: task.list_probabilities(some) for who, some in records.items()}
        found["calibration"] = {who: calibrate_labels(*pair, several=several) for who, pair in listed.items()}
        if labels:
            true = next(iter(listed.values()))[1]
            curves = {who: pair[0] for who, pair in listed.items()}
            found["thresholds"] = draw_thresholds(curves, true, labels, several=several)
    return found
