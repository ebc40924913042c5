"""The story of a run, one line per stage."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.data import Rows, check_columns, load_rows, load_splits
from ftkit.errors import RecipeError, RunError
from ftkit.evaluation.report import (
    CHOSEN_NOTE,
    HEAD_NOTE,
    NO_ROWS_NOTE,
    Evaluation,
    choose_output,
    describe_split,
    make_report,
    write_evaluation,
)
from ftkit.evaluation.scoring import (
    Scored,
    check_names,
    choose_metrics,
    compare_models,
    find_threshold,
    score_model,
    score_records,
)
from ftkit.inference import Run
from ftkit.models import (
    Checkpoint,
    Precision,
    add_adapter,
    check_targets,
    choose_precision,
    fingerprint_tokenizer,
    load_checkpoint,
    merge_adapter,
    move_to_device,
    read_device,
    save_adapter,
    save_model,
)
from ftkit.recipe import Recipe, dump_recipe, load_recipe, make_recipe
from ftkit.reporting.card import make_card
from ftkit.runs import (
    RunFolder,
    claim_run_folder,
    discard_unstarted,
    is_main_process,
    open_run_folder,
    read_json,
    start_run,
    write_json,
    write_json_lines,
    write_text,
)
from ftkit.tasks import Task, get_task, read_labels, suit_task
from ftkit.tasks.class_weights import make_class_weights
from ftkit.tasks.encoding import HELD_OUT, Split, check_settings, check_splits, choose_held_out, encode_splits
from ftkit.training.checks import check_training

if TYPE_CHECKING:
    from ftkit.evaluation.comparison import Comparison
    from ftkit.training.loop import TrainingResult

logger = logging.getLogger(__name__)

LIBRARIES = ("ftkit", "torch", "transformers", "datasets", "accelerate", "peft")


def finetune(
    recipe: Recipe | str | os.PathLike[str] | None = None, *, fresh: bool = False, **sections: Any
) -> Run:
    """Fine-tune one model as the recipe says and report how much it helped.

    Args:
        recipe: a recipe or its file; None to give the sections as keyword arguments.
        fresh: replace an older run in the same output_dir.
        sections: `task`, `model`, `data`, `adapter`, `training`, `evaluation`, `output_dir`, as in a recipe.

    Returns:
        The finished run.

    Raises:
        FtkitError: anything that the user can mend; nothing half-written is left behind.
    """
    recipe = read_recipe(recipe, sections)
    folder, continued = claim(recipe, fresh=fresh)
    task = get_task(recipe.task)
    check_settings(recipe.task, task, recipe.data, recipe.training)
    check_training(recipe.training, recipe.evaluation)
    check_names(task, recipe.evaluation)
    rows = load_splits(recipe.data, seed=recipe.training.seed)
    for some in rows.values():
        check_columns(some, task.COLUMNS)
    task = suit_task(task, recipe.data, rows["train"])
    check_settings(recipe.task, task, recipe.data, recipe.training)
    label_counts = read_labels(task, recipe.data, rows["train"])
    metrics, best_metric = choose_metrics(task, recipe.evaluation, tuple(label_counts))
    check_splits(rows, task, recipe.data, tuple(label_counts))
    base = load_base(recipe, task, labels=tuple(label_counts))
    splits = encode_splits(recipe.task, task, rows, base, recipe.data)
    with discard_unstarted(folder, continued=continued):
        write_start(folder, recipe, task, splits, base, continued=continued)
        scored = score_baselines(recipe, task, base, splits, folder, label_counts, metrics)
        result = tune(recipe, task, base, splits, folder, metrics, best_metric, label_counts)
    scored |= score_tuned(recipe, task, base, splits, metrics)
    report = report_run(recipe, task, base, splits, scored, metrics, result)
    return finish_run(folder, recipe, task, base, scored, {**report, "labels": label_counts})


def evaluate(
    run: str | os.PathLike[str] | Run | None = None,
    *,
    model: str | None = None,
    task: str | None = None,
    data: Any = None,
    columns: Mapping[str, str] | None = None,
    baseline: bool = True,
    output: str | os.PathLike[str] | None = None,
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

    Raises:
        FtkitError: what does not fit, and what to do.
    """
    recipe, folder = read_subject(run, model=model, task=task, data=data, columns=columns)
    where = choose_output(folder.evaluation if folder else None, Path(output) if output else None)
    name, rows = load_held_out(recipe, data)
    module = open_task(recipe, folder, rows)
    scored: dict[str, Scored] = {}
    for who in ["model"] if folder is None else ["base", "tuned"] if baseline else ["tuned"]:
        subject = open_subject(who, recipe, module, folder, rows)
        metrics, _ = choose_metrics(module, recipe.evaluation, subject.labels)
        split = encode_splits(recipe.task, module, {name: rows}, subject, recipe.data)[name]
        scored[who] = score_model(subject, module, split, metrics, recipe.evaluation.generation)
    last = list(scored.values())[-1]
    report = make_report(
        task_name=recipe.task,
        split=name,
        rows=describe_split(split),
        scored=scored,
        comparisons=compare(scored, module, metrics, recipe),
        details=module.explain(last.records, subject.labels),
        notes=[HEAD_NOTE] if subject.head_is_new else [],
    )
    if where is not None:
        write_evaluation(where, report, last, module, subject.labels)
    return Evaluation(report, where)


def describe_run(run: Run) -> str:
    """Say in the terminal how a run came out and where everything is."""
    use = 'generate {} "..."' if run.task.GENERATES else "predict {} --data FILE"
    path = os.path.relpath(run.folder.path)
    lines = [
        str(Evaluation(run.report)),
        "",
        f"run:    {path}",
        f"model:  {os.path.join(path, run.folder.model.name)}",
        f"use it: ftkit {use.format(shlex.quote(path))}",
    ]
    return "\n".join(lines)


def read_recipe(recipe: Recipe | str | os.PathLike[str] | None, sections: Mapping[str, Any]) -> Recipe:
    """Take a recipe as it is, from a file, or from the sections of a notebook's call."""
    if recipe is None:
        return make_recipe(dict(sections), folder=Path.cwd())
    if sections:
        raise RecipeError(f"finetune: got a recipe and {', '.join(sections)}; give one or the other")
    return recipe if isinstance(recipe, Recipe) else load_recipe(os.fspath(recipe))


def claim(recipe: Recipe, *, fresh: bool) -> tuple[RunFolder, bool]:
    """Claim the run folder; of several processes, the one that writes it decides."""
    if not is_main_process():
        return RunFolder(Path(str(recipe.output_dir))), False
    return claim_run_folder(str(recipe.output_dir), dump_recipe(recipe), fresh=fresh)


def load_base(recipe: Recipe, task: Task, *, labels: tuple[str, ...]) -> Checkpoint:
    """Load the model that the recipe starts from, on the device where it will train."""
    import transformers

    device = read_device("cpu" if recipe.training.arguments.get("use_cpu") else None)
    precision = choose_precision(
        device,
        has_adapter=recipe.adapter is not None,
        dtype=recipe.model.dtype,
        precision=recipe.training.precision,
    )
    logger.info("precision: %s", precision.reason)
    transformers.set_seed(recipe.training.seed)  # a new head is drawn while loading
    base = load_checkpoint(
        recipe.model, auto_class=task.MODEL_CLASS, labels=labels, precision=precision, task=recipe.task
    )
    if hasattr(task, "prepare_model"):
        task.prepare_model(base.model, base.tokenizer)
    if recipe.adapter is not None and not isinstance(recipe.adapter.targets, str):
        check_targets(base.model, recipe.adapter.targets)
    move_to_device(base.model, device)
    return base


def write_start(
    folder: RunFolder,
    recipe: Recipe,
    task: Task,
    splits: Mapping[str, Split],
    base: Checkpoint,
    *,
    continued: bool,
) -> None:
    """Write what a run is made of before its first step; the other processes wait for it."""
    from accelerate import PartialState

    if is_main_process():
        write_info(folder, recipe, task, splits, base, continued=continued)
    PartialState(cpu=base.model.device.type == "cpu").wait_for_everyone()


def write_info(
    folder: RunFolder,
    recipe: Recipe,
    task: Task,
    splits: Mapping[str, Split],
    base: Checkpoint,
    *,
    continued: bool,
) -> None:
    """Write recipe, versions, fingerprints and what happened to the rows."""
    info = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": shlex.join(sys.argv),
        "task": recipe.task,
        "labels": list(base.labels),
        "problem_type": getattr(task, "PROBLEM_TYPE", None),
        "seed": recipe.training.seed,
        "precision": vars(base.precision),
        "device": str(base.model.device),
        "versions": {"python": sys.version.split()[0], **{name: version(name) for name in LIBRARIES}},
        "fingerprints": {
            **{f"data.{name}": split.rows.fingerprint for name, split in splits.items()},
            "model": base.fingerprint,
            "tokenizer": fingerprint_tokenizer(base.tokenizer),
        },
    }
    start_run(folder, dump_recipe(recipe), info, continued=continued)
    rejected = (
        {"split": name, "source": split.rows.where(entry["row"]), **entry}
        for name, split in splits.items()
        for entry in split.prepared.rejected
    )
    write_json_lines(folder.data / "rejected.jsonl", rejected)


def score_baselines(
    recipe: Recipe,
    task: Task,
    base: Checkpoint,
    splits: Mapping[str, Split],
    folder: RunFolder,
    label_counts: Mapping[str, int],
    metrics: Sequence[str],
) -> dict[str, Scored]:
    """Score the base as it is, and what needs no model at all, before anything is trained."""
    held_out = choose_held_out(splits)
    if held_out is None or not recipe.evaluation.baseline:
        return {}
    logger.info("scoring the base on %d %s rows", len(held_out.rows), held_out.name)
    base.threshold = find_threshold(base, task, splits.get("validation"))
    scored = score_model(base, task, held_out, metrics, recipe.evaluation.generation)
    note_threshold(folder, "base", base.threshold)
    counts = [label_counts.get(name, 0) for name in base.labels]
    trivial = task.predict_trivially(scored.records, counts)
    found = {"majority": score_records(trivial, task, metrics)} if trivial else {}
    return {**found, "base": scored}


def tune(
    recipe: Recipe,
    task: Task,
    base: Checkpoint,
    splits: Mapping[str, Split],
    folder: RunFolder,
    metrics: Sequence[str],
    best_metric: tuple[str, bool],
    label_counts: Mapping[str, int],
) -> TrainingResult:
    """Train the base in place and save it; an adapter is saved by itself and then merged."""
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
        generation = recipe.evaluation.generation
        return score_model(base, task, validation, metrics, generation, finds_threshold=True).scores

    result = train(
        base,
        task,
        splits["train"],
        training=recipe.training,
        evaluation=recipe.evaluation,
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
    )
    if recipe.adapter is not None:
        if is_main_process():
            save_adapter(base.model, base.tokenizer, folder.adapter)
        base.model = merge_adapter(base.model)
    if is_main_process():
        save_model(base.model, base.tokenizer, folder.model)
    base.threshold = find_threshold(base, task, validation)
    note_threshold(folder, "tuned", base.threshold)
    return result


def note_threshold(folder: RunFolder, who: str, threshold: float | None) -> None:
    """Write into run.json from where on a model says yes, for `predict` and `evaluate`."""
    if threshold is None or not is_main_process():
        return
    info = read_json(folder.info)
    write_json(folder.info, {**info, "thresholds": {**info.get("thresholds", {}), who: threshold}})


def score_tuned(
    recipe: Recipe, task: Task, base: Checkpoint, splits: Mapping[str, Split], metrics: Sequence[str]
) -> dict[str, Scored]:
    """Score the model as it was saved, with its adapter merged."""
    held_out = choose_held_out(splits)
    if held_out is None:
        return {}
    logger.info("scoring the tuned model")
    return {"tuned": score_model(base, task, held_out, metrics, recipe.evaluation.generation)}


def report_run(
    recipe: Recipe,
    task: Task,
    base: Checkpoint,
    splits: Mapping[str, Split],
    scored: Mapping[str, Scored],
    metrics: Sequence[str],
    result: TrainingResult,
) -> dict[str, Any]:
    """Put together what the run came to."""
    held_out = choose_held_out(splits)
    name = held_out.name if held_out else "no held-out rows"
    notes = {
        HEAD_NOTE: base.head_is_new and "base" in scored,
        CHOSEN_NOTE: name == "validation" and result.best_step is not None,
        NO_ROWS_NOTE: held_out is None,
    }
    data = {split.name: describe_split(split) for split in splits.values()}
    report = make_report(
        task_name=recipe.task,
        split=name,
        rows=data.get(name, {"number": 0}),
        scored=scored,
        comparisons=compare(scored, task, metrics, recipe),
        details=task.explain(scored["tuned"].records, base.labels) if "tuned" in scored else {},
        notes=[note for note, holds in notes.items() if holds],
    )
    return {**report, "data": data, "training": result.as_dict()}


def compare(
    scored: Mapping[str, Scored], task: Task, metrics: Sequence[str], recipe: Recipe
) -> list[Comparison]:
    """Compare the tuned model with its base, where both were scored."""
    if not {"base", "tuned"} <= scored.keys():
        return []
    return compare_models(scored["base"], scored["tuned"], task, metrics, recipe.training.seed)


def finish_run(
    folder: RunFolder,
    recipe: Recipe,
    task: Task,
    base: Checkpoint,
    scored: Mapping[str, Scored],
    report: dict[str, Any],
) -> Run:
    """Write the report and the card, and mark the run as finished."""
    if is_main_process():
        write_evaluation(folder.evaluation, report, scored.get("tuned", Scored([], {})), task, base.labels)
        write_text(folder.card, make_card(recipe, report, task.MODEL_CLASS))
        finished = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        write_json(folder.info, {**read_json(folder.info), "status": "finished", "finished": finished})
    return Run(folder)


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
    """Load the rows to score on: the ones given, or the run's own held-out split."""
    if data is not None:
        name = str(data) if isinstance(data, (str, Path)) else "rows in memory"
        return name, load_rows(data, columns=recipe.data.columns, split_name="test")
    splits = load_splits(recipe.data, seed=recipe.training.seed)
    for split in HELD_OUT:
        if split in splits:
            return split, splits[split]
    raise RunError("evaluate: the run has no held-out rows; give some: --data FILE")


def open_task(recipe: Recipe, folder: RunFolder | None, rows: Rows) -> Task:
    """Return the module of a task for a run's kind of labels, or without a run for those of the rows."""
    if folder is None:
        return suit_task(get_task(recipe.task), recipe.data, rows)
    return get_task(recipe.task, read_json(folder.info).get("problem_type"))


def open_subject(who: str, recipe: Recipe, task: Task, folder: RunFolder | None, rows: Rows) -> Checkpoint:
    """Load a model to score: a run's tuned one, its base, or a bare one with the labels of the rows."""
    if folder is None:
        return load_base(recipe, task, labels=tuple(read_labels(task, recipe.data, rows)))
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
