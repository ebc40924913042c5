"""Did the model forget? Further data sets, scored before tuning and after."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.data import Rows, check_columns, load_rows
from ftkit.errors import RecipeError
from ftkit.evaluation.analysis import name_verdict
from ftkit.evaluation.comparison import Comparison, correct_comparisons, list_comparison
from ftkit.evaluation.contents import OtherSet
from ftkit.evaluation.grouping import find_groups
from ftkit.evaluation.report import describe_metric, describe_split
from ftkit.evaluation.scoring import Scored, choose_metrics, compare_models, score_model
from ftkit.recipe import DataSection, EvaluationSection
from ftkit.tasks import Task, get_task
from ftkit.tasks.encoding import Split, encode_splits

if TYPE_CHECKING:
    from ftkit.models import Checkpoint
    from ftkit.recipe import AlsoSection, Recipe

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OtherRows:
    """Rows of a further data set, before any model has seen them."""

    name: str
    task_name: str
    task: Task
    rows: Rows
    data: DataSection
    """How its rows become examples."""
    metrics: tuple[str, ...]


def load_others(recipe: Recipe, task: Task, labels: Sequence[str]) -> list[OtherRows]:
    """Load the further data sets of a recipe.

    Args:
        recipe: names them in `evaluation.also`.
        task: of the run; theirs needs the same kind of model.
        labels: of the run.

    Raises:
        FtkitError: rows that cannot be read, or a task that needs another kind of model.
    """
    return [_load_other(name, also, recipe, task, labels) for name, also in recipe.evaluation.also.items()]


def _load_other(name: str, also: AlsoSection, recipe: Recipe, task: Task, labels: Sequence[str]) -> OtherRows:
    is_own = also.task in (None, recipe.task)
    other = task if is_own else get_task(str(also.task))
    if other.MODEL_CLASS != task.MODEL_CLASS:
        raise RecipeError(
            f"evaluation.also.{name}.task: {also.task} needs a model of {other.MODEL_CLASS}, and "
            f"{recipe.task} makes one of {task.MODEL_CLASS}; the same model has to do both"
        )
    columns = also.columns or (recipe.data.columns if is_own else {})
    rows = _sample(load_rows(also.data, columns=columns, split_name=name), also.max_rows)
    check_columns(rows, other.COLUMNS)
    changes = {"train": also.data, "columns": columns}
    data = recipe.data.model_copy(update=changes) if is_own else DataSection(**changes)
    settings = recipe.evaluation.model_copy(update={"metrics": also.metrics, "best_metric": None})
    metrics, _ = choose_metrics(other, settings, labels)
    return OtherRows(name, str(also.task or recipe.task), other, rows, data, tuple(metrics))


def _sample(rows: Rows, most: int) -> Rows:
    """Take no more than so many rows, chosen by their content: the same ones in every run."""
    import numpy as np

    if len(rows) <= most:
        return rows
    return rows.select(np.sort(np.argsort(rows.hashes, kind="stable")[:most]))


def encode_others(others: Sequence[OtherRows], checkpoint: Checkpoint) -> dict[str, Split]:
    """Encode the further data sets for a model; the tuned one reads the same examples."""
    return {
        other.name: encode_splits(
            other.task_name, other.task, {other.name: other.rows}, checkpoint, other.data
        )[other.name]
        for other in others
    }


def score_others(
    others: Sequence[OtherRows],
    splits: Mapping[str, Split],
    checkpoint: Checkpoint,
    evaluation: EvaluationSection,
) -> dict[str, Scored]:
    """Score a model on every further data set, by its name."""
    scored = {}
    for other in others:
        split = splits[other.name]
        logger.info("scoring on %s: %d rows", other.name, len(split.rows))
        scored[other.name] = score_model(checkpoint, other.task, split, other.metrics, evaluation)
    return scored


def list_others(
    others: Sequence[OtherRows],
    splits: Mapping[str, Split],
    scored: Mapping[str, Mapping[str, Scored]],
    *,
    seed: int,
    group: str = "auto",
) -> dict[str, Any]:
    """Put together what the further data sets say.

    Args:
        others: the data sets.
        splits: their examples, by name.
        scored: by who ("base", "tuned" or "model"), then by name.
        seed: of the resampling.
        group: a column that says which rows hang together, where the rows have it.

    Returns:
        `also` and `warnings`, as `contents.Report` has them; nothing where there are no data sets.
    """
    if not others or not scored:
        return {}
    compared: dict[str, list[Comparison]] = {}
    if {"base", "tuned"} <= scored.keys():
        for other in others:
            base, tuned = scored["base"][other.name], scored["tuned"][other.name]
            split = splits[other.name]
            column = group if group in ("none", *split.rows.column_names) else "auto"
            groups = find_groups(base.records, split, other.task, column)
            compared[other.name] = compare_models(base, tuned, other.task, other.metrics, seed, groups)
    corrected = iter(correct_comparisons([one for some in compared.values() for one in some]))
    sets = []
    for other in others:
        own = [next(corrected) for _ in compared.get(other.name, ())]
        sets.append(_list_other(other, splits[other.name], scored, own))
    return {"also": sets, "warnings": warn_of_others(sets)}


def _list_other(
    other: OtherRows,
    split: Split,
    scored: Mapping[str, Mapping[str, Scored]],
    comparisons: Sequence[Comparison],
) -> OtherSet:
    listed = [list_comparison(one) for one in comparisons]
    return {
        "name": other.name,
        "task": other.task_name,
        "source": other.rows.name,
        "rows": describe_split(split),
        "metrics": {name: describe_metric(name) for name in other.metrics},
        "scores": {who: some[other.name].scores for who, some in scored.items()},
        "comparisons": listed,
        "verdict": name_verdict(listed),
    }


def warn_of_others(sets: Sequence[OtherSet]) -> list[str]:
    """Say on which data sets the tuned model is worse than its base, a metric each."""
    return [
        f"forgot something, on {one['name']}: {comparison['sentence'].removeprefix('worse: ')}"
        for one in sets
        for comparison in one["comparisons"]
        if comparison["verdict"] == "worse"
    ]
