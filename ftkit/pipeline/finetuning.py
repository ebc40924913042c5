"""The story of a run, one line per stage."""

from __future__ import annotations

import logging
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.data import Changes, Leakage, Mixture
from ftkit.errors import RecipeError
from ftkit.evaluation.analysis import EMPTY, analyse
from ftkit.evaluation.report import (
    CHOSEN_NOTE,
    HEAD_NOTE,
    NO_ROWS_NOTE,
    Evaluation,
    describe_split,
    make_report,
    write_evaluation,
)
from ftkit.evaluation.scoring import (
    Scored,
    find_threshold,
    score_model,
    score_records,
)
from ftkit.inference import Run
from ftkit.models import (
    Checkpoint,
)
from ftkit.pipeline.checking import add_checks, check_before_start
from ftkit.pipeline.further_scores import add_further
from ftkit.pipeline.launching import launch, say_unused, starts_processes
from ftkit.pipeline.readying import make_ready
from ftkit.pipeline.starting import claim, read_recipe, wait_for_all, write_start
from ftkit.pipeline.tuning import note_threshold, tune
from ftkit.recipe import Recipe
from ftkit.reporting.card import make_card
from ftkit.reporting.page import write_page
from ftkit.runs import (
    RunFolder,
    discard_unstarted,
    hold_run,
    is_main_process,
    is_started_again,
    read_saved_run,
    said_before,
    write_json,
    write_json_lines,
    write_text,
)
from ftkit.tasks import Task
from ftkit.tasks.encoding import Split, choose_held_out
from ftkit.training.trackers import tell_trackers

if TYPE_CHECKING:
    from ftkit.training.results import TrainingResult

logger = logging.getLogger(__name__)


def finetune(
    recipe: Recipe | str | os.PathLike[str] | None = None,
    *,
    fresh: bool = False,
    force: bool = False,
    allow: bool = False,
    profile: int | None = None,
    **sections: Any,
) -> Run:
    """Fine-tune one model as the recipe says and report how much it helped.

    Args:
        recipe: a recipe or its file; None to give the sections as keyword arguments.
        fresh: replace an older run in the same output_dir.
        force: start even where `ftkit.check` says that the run would be useless.
        allow: whether the recipe's file may name code to run.
        profile: write where the time of so many steps went, as `training.profile` does; None for what the
            recipe says.
        sections: `task`, `model`, `data`, `training`, `parallel`, `output_dir`, ..., as in a recipe.

    Returns:
        The finished run.

    Raises:
        FtkitError: anything that the user can mend; nothing half-written is left behind.
    """
    recipe = read_recipe(recipe, sections, allow=allow)
    if profile is not None:
        recipe = ask_for_profile(recipe, profile)
    if starts_processes(recipe.parallel):
        launch(recipe, fresh=fresh, force=force)
        return Run(RunFolder(Path(str(recipe.output_dir))))
    say_unused(recipe.parallel)
    fresh = not is_started_again() and fresh
    with hold_run(str(recipe.output_dir)) if is_main_process() else nullcontext():
        return run_stages(recipe, fresh=fresh, force=force)


def ask_for_profile(recipe: Recipe, num_steps: int) -> Recipe:
    """Return the recipe with `training.profile` set.

    Raises:
        RecipeError: not one step or more.
    """
    if num_steps < 1:
        raise RecipeError(f"profile: is {num_steps}; give a number of steps, at least 1")
    training = recipe.training.model_copy(update={"profile": num_steps})
    return recipe.model_copy(update={"training": training})


def run_stages(recipe: Recipe, *, fresh: bool, force: bool = False) -> Run:
    """Do what a recipe says, in a run folder that no other process works in."""
    folder, continued = claim(recipe, fresh=fresh)
    with said_before():
        ready = make_ready(recipe)
    checked = check_before_start(recipe, ready, forced=force)
    task, splits, base, label_counts = ready.task, ready.splits, ready.base, ready.label_counts
    metrics, best_metric, mixture, further = ready.metrics, ready.best_metric, ready.mixture, ready.further
    with discard_unstarted(folder, continued=continued):
        write_start(folder, recipe, task, splits, ready.changes, base, checked, continued=continued)
        write_leakage(folder, ready.rows.leakage)
        scored = score_baselines(recipe, task, base, splits, folder, label_counts, metrics)
        if recipe.evaluation.baseline:
            further.score("base", base)
        result = tune(recipe, task, base, splits, folder, metrics, best_metric, label_counts, mixture=mixture)
    scored |= score_tuned(recipe, task, base, splits, metrics)
    further.score("tuned", base)
    report = report_run(recipe, task, base, splits, scored, metrics, result)
    report = add_further(report, further)
    report = add_changes(report, ready.rows.num_read, ready.changes)
    report = add_stream_counts(report, result.stream)
    report |= report_rows(ready.rows.leakage, mixture)
    report = add_checks(report, checked, folder, max_grad_norm=recipe.training.max_grad_norm)
    run = finish_run(folder, recipe, task, base, scored, {**report, "labels": label_counts})
    tell_trackers(result.trackers, folder)
    return run


def describe_run(run: Run) -> str:
    """Say in the terminal how a run came out and where everything is."""
    use = 'generate {} "..."' if run.task.GENERATES else "predict {} --data FILE"
    path = os.path.relpath(run.folder.path)
    lines = [
        str(Evaluation(run.report)),
        "",
        f"run:    {path}",
        f"model:  {os.path.join(path, run.folder.model.name)}",
        f"report: {os.path.join(path, run.folder.page.name)}",
        f"use it: ftkit {use.format(shlex.quote(path))}",
    ]
    return "\n".join(lines)


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
    scored = score_model(base, task, held_out, metrics, recipe.evaluation)
    note_threshold(folder, "base", base.threshold)
    counts = [label_counts.get(name, 0) for name in base.labels]
    trivial = task.predict_trivially(scored.records, counts)
    found = {"majority": score_records(trivial, task, metrics)} if trivial else {}
    return {**found, "base": scored}


def score_tuned(
    recipe: Recipe, task: Task, base: Checkpoint, splits: Mapping[str, Split], metrics: Sequence[str]
) -> dict[str, Scored]:
    """Score the model as it was saved, with its adapter merged."""
    held_out = choose_held_out(splits)
    if held_out is None:
        return {}
    logger.info("scoring the tuned model")
    return {"tuned": score_model(base, task, held_out, metrics, recipe.evaluation)}


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
        details=task.explain(scored["tuned"].records, base.labels) if "tuned" in scored else {},
        analysis=EMPTY
        if held_out is None
        else analyse(scored, held_out, task, base, metrics, recipe.evaluation, seed=recipe.training.seed),
        notes=[note for note, holds in notes.items() if holds],
    )
    return {**report, "data": data, "training": result.as_dict()}


def add_changes(report: Mapping[str, Any], num_read: Mapping[str, int], changes: Changes) -> dict[str, Any]:
    """Add how many rows were read, and what was dropped and changed on the whole way, by split and rule."""
    data = {
        name: {**counts, "rejected": changes.select(name).count_rules()}
        | ({"read": num_read[name]} if name in num_read else {})
        for name, counts in report["data"].items()
    }
    return {**report, "data": data, "changes": changes.list_counts()}


def add_stream_counts(report: Mapping[str, Any], stream: Mapping[str, Any] | None) -> dict[str, Any]:
    """Say of training rows that were read while training how many came, and what was dropped and changed.

    Where they were read several times, the first time counts.
    """
    if stream is None:
        return dict(report)
    counts = {name: value for name, value in stream.items() if name != "changes"}
    rejected = {each["rule"]: each["rows"] for each in stream["changes"]}
    train = {**report["data"]["train"], **counts, "rejected": rejected, "streamed": True}
    changes = [*report["changes"], *stream["changes"]]
    return {**report, "data": {**report["data"], "train": train}, "changes": changes}


def write_leakage(folder: RunFolder, leakage: Leakage | None) -> None:
    """Write which training rows repeat which held-out rows, as JSON lines."""
    if leakage is not None and is_main_process():
        write_json_lines(folder.data / "leakage.jsonl", leakage)


def report_rows(leakage: Leakage | None, mixture: Mixture | None) -> dict[str, Any]:
    """Return what report.json says of rows that repeat held-out ones, and of the sources in an epoch."""
    found = {} if leakage is None else {"leakage": leakage.describe()}
    return found if mixture is None else {**found, "mixing": mixture.describe()}


def finish_run(
    folder: RunFolder,
    recipe: Recipe,
    task: Task,
    base: Checkpoint,
    scored: Mapping[str, Scored],
    report: dict[str, Any],
) -> Run:
    """Write report, card and page, and then mark the run as finished: one that is killed before is not."""
    if is_main_process():
        write_evaluation(folder.evaluation, report, scored.get("tuned", Scored([], {})), task, base.labels)
        saved = read_saved_run(folder.path, finished=False)
        finished = {"status": "finished", "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
        saved = replace(saved, info={**saved.info, **finished})
        write_text(folder.card, str(make_card(saved, task.MODEL_CLASS)))
        write_page(saved)
        write_json(folder.info, saved.info)
    wait_for_all(base)
    return Run(folder)
