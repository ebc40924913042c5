"""Everything that a run needs before its first step: what `finetune` trains and `check` looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ftkit.data import (
    Changes,
    Mixture,
    PreparedRows,
    check_columns,
    check_rejected,
    make_mixture,
    prepare_rows,
)
from ftkit.evaluation.analysis import check_analysis
from ftkit.evaluation.scoring import check_names, choose_metrics
from ftkit.models import Checkpoint
from ftkit.pipeline.further_scores import FurtherScores, open_further
from ftkit.pipeline.starting import load_base
from ftkit.recipe import Recipe
from ftkit.tasks import Task, get_task, read_labels, suit_task
from ftkit.tasks.encoding import (
    Split,
    check_settings,
    check_splits,
    choose_held_out,
    encode_splits,
    list_encoding_changes,
    read_example_rows,
)
from ftkit.tasks.example_streams import open_examples
from ftkit.training.checks import check_training
from ftkit.training.machine import import_libraries


@dataclass(frozen=True)
class Ready:
    """A run before its first step."""

    task: Task
    """The module for rows of this kind."""
    splits: Mapping[str, Split]
    """Encoded rows."""
    label_counts: Mapping[str, int]
    """Label names with their numbers of training rows, in the order of the rows' labels."""
    metrics: list[str]
    best_metric: tuple[str, bool]
    """The metric that chooses the best checkpoint, and whether greater is better."""
    base: Checkpoint
    changes: Changes
    """Every row that was dropped or changed on the way."""
    rows: PreparedRows
    """The rows before they were encoded."""
    mixture: Mixture | None
    """How much of each source an epoch has; None for all of all."""
    further: FurtherScores
    """Further data sets and benchmarks to score on."""
    num_streamed: int | None = None
    """Examples that a run trains on which reads its rows meanwhile; None where they are stored."""

    @property
    def num_per_epoch(self) -> int:
        """Examples that an epoch has; a whole run is one where rows are read while training."""
        if self.num_streamed is not None:
            return self.num_streamed
        return len(self.splits["train"].examples) if self.mixture is None else len(self.mixture)


def make_ready(recipe: Recipe, *, load: Callable[..., Checkpoint] = load_base) -> Ready:
    """Load and encode all that a recipe names.

    Args:
        recipe: the settings.
        load: loads the model; gets recipe, task and labels.

    Raises:
        FtkitError: the first thing that cannot be.
    """
    task = get_task(recipe.task)
    check_settings(recipe.task, task, recipe.data, recipe.training)
    import_libraries()
    check_training(recipe.training, recipe.evaluation)
    check_names(task, recipe.evaluation)
    prepared = prepare_rows(recipe.data, seed=recipe.training.seed, columns=task.COLUMNS)
    rows = prepared.splits
    for some in rows.values():
        check_columns(some, task.COLUMNS)
    task = suit_task(task, recipe.data, rows["train"])
    check_settings(recipe.task, task, recipe.data, recipe.training)
    label_counts = read_labels(task, recipe.data, rows["train"])
    metrics, best_metric = choose_metrics(task, recipe.evaluation, tuple(label_counts))
    check_splits(rows, task, recipe.data, tuple(label_counts))
    further = open_further(recipe, task, tuple(label_counts))
    base = load(recipe, task, labels=tuple(label_counts))
    splits = encode_splits(recipe.task, task, rows, base, recipe.data)
    check_analysis(choose_held_out(splits), recipe.evaluation)
    mixture = make_mixture(recipe.data, splits["train"].rows, read_example_rows(splits["train"]))
    changes = prepared.changes + list_encoding_changes(splits)
    check_rejected(changes, sum(prepared.num_read.values()), recipe.data.max_rejected)
    ready = Ready(task, splits, label_counts, metrics, best_metric, base, changes, prepared, mixture, further)
    return add_stream(ready, recipe) if recipe.data.streaming else ready


def add_stream(ready: Ready, recipe: Recipe) -> Ready:
    """Open the stream that the run trains on; what it drops and changes is recorded while it is read."""
    encoding = ready.splits["train"].encoding
    stream = open_examples(recipe.data, ready.task, ready.base.tokenizer, encoding)
    held_out = tuple(stage for stage in ready.changes.stages if stage.split != "train")
    number = recipe.training.batch_size * int(recipe.training.max_steps or 0)
    splits = {**ready.splits, "train": replace(ready.splits["train"], stream=stream)}
    return replace(ready, splits=splits, num_streamed=number, changes=Changes(held_out))
