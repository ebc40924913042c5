"""Training within a run: the adapter, the validation, and what is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ftkit.data import Mixture
from ftkit.evaluation.parts import score_by_source
from ftkit.evaluation.scoring import find_threshold, score_model
from ftkit.models import Checkpoint, add_adapter, merge_adapter, save_adapter, save_model
from ftkit.recipe import Recipe
from ftkit.runs import RunFolder, is_main_process, read_json, write_json
from ftkit.tasks import Task
from ftkit.tasks.class_weights import make_class_weights
from ftkit.tasks.encoding import Split

if TYPE_CHECKING:
    from ftkit.training.results import TrainingResult


def tune(
    recipe: Recipe,
    task: Task,
    base: Checkpoint,
    splits: Mapping[str, Split],
    folder: RunFolder,
    metrics: Sequence[str],
    best_metric: tuple[str, bool],
    label_counts: Mapping[str, int],
    *,
    mixture: Mixture | None = None,
) -> TrainingResult:
    """Train the base in place and save it; an adapter is saved by itself and then merged."""
    result = train_base(
        recipe, task, base, splits, folder, metrics, best_metric, label_counts, mixture=mixture
    )
    if recipe.adapter is not None:
        if is_main_process():
            save_adapter(base.model, base.tokenizer, folder.adapter)
        base.model = merge_adapter(base.model)
    if is_main_process():
        save_model(base.model, base.tokenizer, folder.model)
    base.threshold = find_threshold(base, task, splits.get("validation"))
    note_threshold(folder, "tuned", base.threshold)
    return result


def train_base(
    recipe: Recipe,
    task: Task,
    base: Checkpoint,
    splits: Mapping[str, Split],
    folder: RunFolder,
    metrics: Sequence[str],
    best_metric: tuple[str, bool],
    label_counts: Mapping[str, int],
    *,
    mixture: Mixture | None = None,
    last_step: int | None = None,
) -> TrainingResult:
    """Put the recipe's adapter on the base and train, up to `last_step` where that is given."""
    from transformers import set_seed

    from ftkit.training.loop import train

    if recipe.adapter is not None:
        set_seed(recipe.training.seed)  # the adapter's start does not depend on what was drawn before
        base.model = add_adapter(
            base.model,
            recipe.adapter,
            task_type=task.ADAPTER_TYPE,
            new_parameters=base.new_parameters,
            new_token_ids=base.new_token_ids,
        )
    validation = splits.get("validation")

    def validate() -> dict[str, float]:
        assert validation is not None
        scored = score_model(base, task, validation, metrics, recipe.evaluation, finds_threshold=True)
        return {**scored.scores, **score_by_source(scored, validation, task, metrics)}

    return train(
        base,
        task,
        splits["train"],
        training=recipe.training,
        evaluation=recipe.evaluation,
        parallel=recipe.parallel,
        folder=folder,
        validate=validate if validation else None,
        best_metric=best_metric,
        class_weights=make_class_weights(
            recipe.training.class_weights,
            label_counts,
            base.labels,
            num_rows=len(splits["train"].rows),
            multi_label=getattr(task, "PROBLEM_TYPE", None) == "multi_label",
        ),
        mixture=mixture,
        last_step=last_step,
    )


def note_threshold(folder: RunFolder, who: str, threshold: float | None) -> None:
    """Write into run.json from where on a model says yes, for `predict` and `evaluate`."""
    if threshold is None or not is_main_process():
        return
    info = read_json(folder.info)
    write_json(folder.info, {**info, "thresholds": {**info.get("thresholds", {}), who: threshold}})
