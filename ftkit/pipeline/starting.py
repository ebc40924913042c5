"""What every story begins with: its recipe, its folder, its model."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ftkit.checks import Check
from ftkit.data import Changes
from ftkit.errors import RecipeError
from ftkit.models import (
    Checkpoint,
    check_targets,
    choose_precision,
    fingerprint_tokenizer,
    load_checkpoint,
    move_to_device,
    read_device,
)
from ftkit.recipe import Recipe, dump_recipe, load_recipe, make_recipe
from ftkit.reporting.examples import describe_examples
from ftkit.runs import (
    STARTED_BY_US,
    RunFolder,
    claim_run_folder,
    is_main_process,
    start_run,
    write_json,
    write_json_lines,
)
from ftkit.tasks import Task
from ftkit.tasks.encoding import Split
from ftkit.training.machine import set_up_machine

logger = logging.getLogger(__name__)

LIBRARIES = ("ftkit", "torch", "transformers", "datasets", "accelerate", "peft")


def read_recipe(
    recipe: Recipe | str | os.PathLike[str] | None,
    sections: Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    allow: bool = False,
) -> Recipe:
    """Take a recipe as it is, from a file, or from the sections of a notebook's call.

    Args:
        recipe: a recipe, its file, or None for the sections.
        sections: as in a recipe.
        overrides: settings to change in a recipe's file.
        allow: whether a recipe's file may name code to run.
    """
    if recipe is None:
        return make_recipe(dict(sections), folder=Path.cwd())
    if sections:
        raise RecipeError(f"finetune: got a recipe and {', '.join(sections)}; give one or the other")
    return recipe if isinstance(recipe, Recipe) else load_recipe(os.fspath(recipe), overrides, allow=allow)


def claim(recipe: Recipe, *, fresh: bool) -> tuple[RunFolder, bool]:
    """Claim the run folder; of several processes, the one that writes it decides."""
    if not is_main_process():
        return RunFolder(Path(str(recipe.output_dir))), False
    return claim_run_folder(str(recipe.output_dir), dump_recipe(recipe), fresh=fresh)


def load_base(recipe: Recipe, task: Task, *, labels: tuple[str, ...]) -> Checkpoint:
    """Load the model that the recipe starts from, on the device where it will train."""
    import transformers

    set_up_machine()
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
    changes: Changes,
    base: Checkpoint,
    checked: Check,
    *,
    continued: bool,
) -> None:
    """Write what a run is made of before its first step; the other processes wait for it."""
    if is_main_process():
        write_info(folder, recipe, task, splits, changes, base, checked, continued=continued)
    wait_for_all(base)


def wait_for_all(base: Checkpoint) -> None:
    """Wait until every process of the run has come here, so that all of them read what one has written."""
    from accelerate import PartialState

    PartialState(cpu=base.model.device.type == "cpu").wait_for_everyone()


def write_info(
    folder: RunFolder,
    recipe: Recipe,
    task: Task,
    splits: Mapping[str, Split],
    changes: Changes,
    base: Checkpoint,
    checked: Check,
    *,
    continued: bool,
) -> None:
    """Write recipe, versions, fingerprints and what happened to the rows."""
    info = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": os.environ.get(STARTED_BY_US) or shlex.join(sys.argv),
        "task": recipe.task,
        "labels": list(base.labels),
        "problem_type": getattr(task, "PROBLEM_TYPE", None),
        "seed": recipe.training.seed,
        "precision": vars(base.precision),
        "device": str(base.model.device),
        "versions": list_versions(),
        "checks": checked.as_dict(),
        "fingerprints": list_fingerprints(splits, base),
        "num_processes": int(os.environ.get("WORLD_SIZE", "1")),
    }
    start_run(folder, dump_recipe(recipe), info, continued=continued)
    if not (recipe.data.streaming and folder.find_checkpoint()):  # a stream goes on writing in it
        write_json_lines(folder.data / "rejected.jsonl", changes)
    write_json(folder.data / "examples.json", describe_examples(splits, task, base.tokenizer))


def list_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that a run depends on."""
    return {"python": sys.version.split()[0], **{name: version(name) for name in LIBRARIES}}


def list_fingerprints(splits: Mapping[str, Split], base: Checkpoint) -> dict[str, str]:
    """Return what identifies the rows of every split, the base and its tokenizer."""
    return {
        **{f"data.{name}": split.rows.fingerprint for name, split in splits.items()},
        "model": base.fingerprint,
        "tokenizer": fingerprint_tokenizer(base.tokenizer),
    }
