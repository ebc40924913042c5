"""The story of an evaluation: a run's model beside its base, or any model, on held-out rows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.data import Rows, prepare_held_out, prepare_rows
from ftkit.errors import RecipeError, RunError
from ftkit.evaluation.analysis import analyse, check_analysis
from ftkit.evaluation.report import (
    HEAD_NOTE,
    Evaluation,
    check_output,
    describe_split,
    make_new_folder,
    make_report,
    write_evaluation,
)
from ftkit.evaluation.scoring import (
    Scored,
    choose_metrics,
    score_model,
)
from ftkit.inference import Run
from ftkit.models import (
    Checkpoint,
    Precision,
)
from ftkit.pipeline.further_scores import add_further, open_further
from ftkit.pipeline.starting import load_base
from ftkit.recipe import Recipe, change_evaluation, make_recipe
from ftkit.runs import (
    RunFolder,
    is_main_process,
    open_run_folder,
    read_json,
)
from ftkit.tasks import Task, get_task, read_labels, suit_task
from ftkit.tasks.encoding import HELD_OUT, encode_splits

if TYPE_CHECKING:
    pass


def evaluate(
    run: str | os.PathLike[str] | Run | None = None,
    *,
    model: str | None = None,
    task: str | None = None,
    data: Any = None,
    columns: Mapping[str, str] | None = None,
    baseline: bool = True,
    output: str | os.PathLike[str] | None = None,
    evaluation: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Score a run's model beside its base, or any model, on held-out rows.

    Args:
        run: a run or its folder; its recipe says task, columns and metrics.
        model: instead of a run, a checkpoint as in a recipe (`task` and `data` are needed then).
        task: the task of `model`.
        data: rows, as in a recipe; None for the run's own held-out split.
        columns: task's column name -> the file's, where they differ.
        baseline: score the base of the run too.
        output: where report.json and predictions.jsonl go; by default a new folder in the run's
            `evaluation/`, or nowhere without a run.
        evaluation: settings of that section that differ from the recipe's, such as `slices` or `harness`.

    Raises:
        FtkitError: what does not fit, and what to do.
    """
    recipe, folder = read_subject(run, model=model, task=task, data=data, columns=columns)
    recipe = change_evaluation(recipe, evaluation or {})
    if output is not None:
        check_output(Path(output))
    name, rows = load_held_out(recipe, data)
    module = open_task(recipe, folder, rows)
    further = open_further(recipe, module, read_label_names(recipe, module, folder, rows))
    scored: dict[str, Scored] = {}
    for who in ["model"] if folder is None else ["base", "tuned"] if baseline else ["tuned"]:
        subject = open_subject(who, recipe, module, folder, rows)
        metrics, _ = choose_metrics(module, recipe.evaluation, subject.labels)
        split = encode_splits(recipe.task, module, {name: rows}, subject, recipe.data)[name]
        check_analysis(split, recipe.evaluation)
        scored[who] = score_model(subject, module, split, metrics, recipe.evaluation)
        further.score(who, subject)
    last = list(scored.values())[-1]
    report = make_report(
        task_name=recipe.task,
        split=name,
        rows=describe_split(split),
        scored=scored,
        analysis=analyse(
            scored, split, module, subject, metrics, recipe.evaluation, seed=recipe.training.seed
        ),
        details=module.explain(last.records, subject.labels),
        notes=[HEAD_NOTE] if subject.head_is_new else [],
    )
    report = add_further(report, further)
    if not is_main_process() or (folder is None and output is None):
        return Evaluation(report)
    where = make_new_folder(folder.evaluation) if folder and output is None else Path(str(output))
    write_evaluation(where, report, last, module, subject.labels)
    return Evaluation(report, where)


def read_subject(
    run: str | os.PathLike[str] | Run | None,
    *,
    model: str | None,
    task: str | None,
    data: Any,
    columns: Mapping[str, str] | None,
) -> tuple[Recipe, RunFolder | None]:
    """Find out what is to be scored: a run's recipe and folder, or a recipe made of a model's name."""
    if run is not None:
        if model is not None or task is not None:
            raise RecipeError(
                "evaluate: got a run and a model or task; give the run alone, or model and task"
            )
        opened = run if isinstance(run, Run) else Run(open_run_folder(run))
        opened.check_finished()
        return opened.recipe, opened.folder
    if model is None or task is None or data is None:
        raise RecipeError("evaluate: give the folder of a run, or --model, --task and --data")
    sections = {"train": data, "validation": None, "columns": dict(columns or {})}
    return make_recipe({"task": task, "model": model, "data": sections}, folder=Path.cwd()), None


def load_held_out(recipe: Recipe, data: Any) -> tuple[str, Rows]:
    """Load the rows to score on, given or the run's own held-out ones, cleaned like those to train on."""
    columns = get_task(recipe.task).COLUMNS
    if data is not None:
        name = str(data) if isinstance(data, (str, Path)) else "rows in memory"
        return name, prepare_held_out(recipe.data, data, columns=columns)[0]
    splits = prepare_rows(recipe.data, seed=recipe.training.seed, columns=columns, for_training=False).splits
    for split in HELD_OUT:
        if split in splits:
            return split, splits[split]
    raise RunError("evaluate: the run has no held-out rows; give some: --data FILE")


def open_task(recipe: Recipe, folder: RunFolder | None, rows: Rows) -> Task:
    """Return the module of a task for a run's kind of labels, or without a run for those of the rows."""
    if folder is None:
        return suit_task(get_task(recipe.task), recipe.data, rows)
    return get_task(recipe.task, read_json(folder.info).get("problem_type"))


def read_label_names(recipe: Recipe, task: Task, folder: RunFolder | None, rows: Rows) -> tuple[str, ...]:
    """Return the labels of a run, or without one those of the rows."""
    if folder is None:
        return tuple(read_labels(task, recipe.data, rows))
    return tuple(read_json(folder.info)["labels"])


def open_subject(who: str, recipe: Recipe, task: Task, folder: RunFolder | None, rows: Rows) -> Checkpoint:
    """Load a model to score: a run's tuned one, its base, or a bare one with the labels of the rows."""
    if folder is None:
        return load_base(recipe, task, labels=read_label_names(recipe, task, folder, rows))
    info = read_json(folder.info)
    threshold = info.get("thresholds", {}).get(who)
    if who == "base":
        base = load_base(recipe, task, labels=tuple(info["labels"]))
        base.threshold = threshold
        return base
    run = Run(folder)
    return Checkpoint(
        model=run.model,
        tokenizer=run.tokenizer,
        labels=run.labels,
        precision=Precision(**info["precision"]),  # as it was trained and scored
        head_is_new=False,
        new_parameters=(),
        source=str(folder.model),
        fingerprint=info["fingerprints"]["model"],
        threshold=threshold,
    )
