"""The story of a check: all that can be known before the first step."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.checks.adapter import check_adapter, try_adapter
from ftkit.checks.findings import Check, Finding
from ftkit.checks.labels import check_labels
from ftkit.checks.leakage import check_leakage
from ftkit.checks.progress import check_progress
from ftkit.checks.resources import (
    Probe,
    check_disk,
    check_memory,
    count_classes,
    estimate_seconds,
    judge_probe,
    run_probe,
)
from ftkit.checks.schedule import check_learning_rate, check_schedule_fits
from ftkit.checks.supervision import (
    Trained,
    choose_sample,
    describe_supervision,
    judge_supervision,
    measure_supervision,
    read_trained,
    show_examples,
)
from ftkit.checks.templates import check_template_use
from ftkit.checks.vocabulary import check_new_tokens, check_vocabulary_fit
from ftkit.errors import (
    DataError,
    DeviceMemoryError,
    FtkitError,
    MetricError,
    ModelError,
    RunError,
    SourceError,
)
from ftkit.metrics import METRICS
from ftkit.pipeline.readying import Ready, count_run_tokens, make_ready
from ftkit.pipeline.starting import read_recipe
from ftkit.recipe import Recipe, describe_code, dump_recipe
from ftkit.runs import RunFolder, check_writable, claim_run_folder
from ftkit.tasks.encoding import RULES, choose_held_out
from ftkit.training.footprint import Footprint, measure_training
from ftkit.training.loop import read_lengths
from ftkit.training.memory import choose_limit, read_free_bytes, read_total_bytes
from ftkit.training.sharding import count_shards
from ftkit.training.steps import MicroBatchLimit, plan_epoch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

KINDS = (
    (DataError, "data"),
    (SourceError, "source"),
    (ModelError, "model"),
    (MetricError, "metric"),
    (DeviceMemoryError, "memory"),
    (RunError, "disk"),
)
"""Kinds of errors, and what they are about."""


def check(
    recipe: Recipe | str | os.PathLike[str] | None = None,
    *,
    overrides: Sequence[str] = (),
    allow: bool = False,
    **sections: Any,
) -> Check:
    """Find out, in seconds and without training, whether a run would be worth starting.

    Args:
        recipe: a recipe or its file; None to give the sections as keyword arguments.
        overrides: settings to change in a recipe's file, such as `training.learning_rate=3e-5`.
        allow: whether the recipe's file may name code to run.
        sections: `task`, `model`, `data`, ..., as in a recipe.

    Returns:
        What was found and the verdict. What `finetune` would refuse is in it and is not raised.
    """
    name = "recipe" if recipe is None or isinstance(recipe, Recipe) else os.fspath(recipe)
    try:
        loaded = read_recipe(recipe, sections, overrides=overrides, allow=allow)
        findings = list(_check_folder(loaded))
        checked = check_ready(loaded, make_ready(loaded), name=name)
    except FtkitError as error:
        return Check(name, (Finding(name_subject(error), "error", str(error)),))
    return Check(name, (*findings, *checked.findings), checked.supervision, checked.shown)


def name_subject(error: FtkitError) -> str:
    """Say what an error is about."""
    return next((subject for kind, subject in KINDS if isinstance(error, kind)), "recipe")


def _check_folder(recipe: Recipe) -> Iterator[Finding]:
    """Say whether the run folder is free."""
    check_writable(Path(str(recipe.output_dir)))
    try:
        claim_run_folder(str(recipe.output_dir), dump_recipe(recipe), fresh=False)
    except RunError as error:
        yield Finding("recipe", "warning", f"output_dir: {error}")


def check_ready(recipe: Recipe, ready: Ready, *, name: str = "recipe", forced: bool = False) -> Check:
    """Look at all that is ready to be trained: the same code encodes, collates and loads as in training.

    Args:
        recipe: the settings.
        ready: what they came to.
        name: of the recipe, for people.
        forced: whether the run starts whatever is found.
    """
    training, base, task = recipe.training, ready.base, ready.task
    order = [place for step in _plan_epoch(recipe, ready) for place in step]
    trained = {
        split_name: list(
            read_trained(
                task,
                base.tokenizer,
                split,
                choose_sample(split, order if split_name == "train" else ()),
                training.seed,
            )
        )
        for split_name, split in ready.splits.items()
    }
    measured = [
        measure_supervision(task, base.tokenizer, split, trained[split_name])
        for split_name, split in ready.splits.items()
    ]
    findings = [
        *_name_code(recipe),
        *_check_data(recipe, ready),
        *_check_words(recipe, ready, trained["train"]),
        *(describe_supervision(one) for one in measured),
        *(
            finding
            for one in measured
            for finding in judge_supervision(
                one, ready.splits[one.split], recipe.checks, _count_rejected(ready, one.split)
            )
        ),
        *_check_training(recipe, ready),
    ]
    shown = show_examples(task, base.tokenizer, ready.splits["train"], trained["train"])
    return Check(name, tuple(findings), tuple(one.as_dict() for one in measured), shown, forced)


def _name_code(recipe: Recipe) -> Iterator[Finding]:
    """Say which code the recipe has run, so that the report of a model says it too."""
    for line in describe_code(recipe):
        yield Finding("recipe", "note", line)


def _plan_epoch(recipe: Recipe, ready: Ready) -> list[list[int]]:
    """Deal the examples of the first epoch into steps, as training does."""
    return plan_epoch(
        len(ready.splits["train"].examples),
        recipe.training.batch_size,
        seed=recipe.training.seed,
        epoch=0,
        mixture=ready.mixture,
    )


def check_before_start(recipe: Recipe, ready: Ready, *, forced: bool) -> Check:
    """Check a run that is about to start, say what was found, and stop it where it would be useless.

    Raises:
        CheckError: lists every reason.
    """
    checked = check_ready(recipe, ready, forced=forced)
    checked.raise_if_refused()
    for finding in checked.select("warning", "error"):
        logger.warning("%s: %s: %s", finding.severity, finding.subject, finding.message)
    return checked


def add_checks(
    report: Mapping[str, Any], checked: Check, folder: RunFolder, *, max_grad_norm: float
) -> dict[str, Any]:
    """Add to the report what was found before the first step, and what the log of the training says."""
    lines = map(json.loads, folder.metrics.read_text(encoding="utf-8").splitlines())
    after = tuple(check_progress(list(lines), report["comparisons"], max_grad_norm=max_grad_norm))
    notes = [*report["notes"], *(each.message for each in after)]
    found = replace(checked, findings=(*checked.findings, *after))
    return {**report, "notes": notes, "checks": found.as_dict()}


def _count_rejected(ready: Ready, split: str) -> dict[str, int]:
    return ready.splits[split].prepared.rejected.count_rules()


def _check_data(recipe: Recipe, ready: Ready) -> Iterator[Finding]:
    """Look at rows, labels and metrics."""
    sizes = (
        f"{name} {len(split.rows):,} rows, {len(split.examples):,} examples"
        for name, split in ready.splits.items()
    )
    yield Finding("data", "note", "; ".join(sizes))
    for counted in ready.changes.list_counts():
        what = RULES.get(counted["rule"], f"{counted['action']} by {counted['rule']}")
        yield Finding("data", "note", f"{counted['split']}: {counted['rows']:,} rows: {what}")
    if ready.rows.leakage is not None:
        yield from check_leakage(ready.rows.leakage)
    if choose_held_out(ready.splits) is None:
        message = (
            "no rows are held out, so that nothing will say whether the tuning helped; set data.test or "
            "data.validation"
        )
        yield Finding("data", "warning", message)
    problem_type = getattr(ready.task, "PROBLEM_TYPE", None)
    given = recipe.data.label_names if isinstance(recipe.data.label_names, list) else ()
    yield from check_labels(
        ready.label_counts, ready.base, one_per_row=problem_type == "single_label", given=given
    )
    best, greater = ready.best_metric
    writes = [name for name in ready.metrics if name in METRICS and METRICS[name].needs_generation]
    texts = f"; the model writes texts for {', '.join(writes)}" if writes else ""
    message = f"{', '.join(ready.metrics)}; {'more' if greater else 'less'} {best} is better{texts}"
    yield Finding("metric", "note", message)


def _check_words(recipe: Recipe, ready: Ready, trained: Sequence[Trained]) -> Iterator[Finding]:
    """Look at tokenizer and template."""
    yield from check_vocabulary_fit(ready.base)
    if hasattr(ready.task, "check_template"):
        yield from check_template_use(
            ready.task, ready.base.tokenizer, ready.splits["train"], trained, recipe.checks
        )


def _check_training(recipe: Recipe, ready: Ready) -> Iterator[Finding]:
    """Look at what is trained, how long, in which precision, and whether there is room."""
    base, training, split = ready.base, recipe.training, ready.splits["train"]
    adapted = None
    if recipe.adapter is not None:
        adapted = try_adapter(base, recipe.adapter, task_type=ready.task.ADAPTER_TYPE)
        yield from check_adapter(adapted, recipe.adapter)
    yield from check_new_tokens(base, adapted)
    yield from check_schedule_fits(
        training,
        recipe.evaluation,
        num_examples=ready.num_per_epoch,
        validates="validation" in ready.splits,
    )
    lengths, device = read_lengths(split.examples), base.model.device
    footprint = measure_training(
        base.model if adapted is None else adapted,
        base.precision,
        training,
        longest=int(lengths.max()),
        device_type=device.type,
    )
    method = "adapter" if adapted is not None else "random" if recipe.model.base is None else "full"
    yield from check_learning_rate(training, method=method, num_parameters=footprint.num_parameters)
    limit = choose_limit(
        training.micro_batch_size,
        device_type=device.type,
        longest=int(lengths.max()),
        footprint=footprint,
        free_bytes=read_free_bytes(device),
    )
    first_step = _plan_epoch(recipe, ready)[0]
    probe = run_probe(base, ready.task, split, first_step, limit=limit, seed=training.seed)
    yield from judge_probe(
        probe,
        base,
        ready.task,
        num_classes=count_classes(ready.task, base.model, base.labels),
    )
    yield from check_memory(
        footprint,
        tokens_at_once=_count_tokens_at_once(limit, int(lengths.max())),
        free_bytes=read_free_bytes(device),
        total_bytes=read_total_bytes(device),
        device=str(device),
        num_shards=count_shards(recipe.parallel, device.type),
    )
    yield _estimate_time(recipe, ready, probe, lengths, footprint)
    yield from check_disk(
        Path(str(recipe.output_dir)), footprint=footprint, num_checkpoints=_count_checkpoints(recipe)
    )


def _count_tokens_at_once(limit: MicroBatchLimit, longest: int) -> int:
    return limit.num_tokens or (limit.num_examples or 1) * longest


def _count_checkpoints(recipe: Recipe) -> int:
    """Count the checkpoints that lie there at once: those to keep, the best one, and one being written."""
    return 0 if recipe.training.checkpoint_every == "never" else recipe.training.save_total_limit + 2


def _estimate_time(
    recipe: Recipe, ready: Ready, probe: Probe, lengths: NDArray[np.int64], footprint: Footprint
) -> Finding:
    """Say about how long the run takes, scoring without generation included."""
    from ftkit.training.callbacks import format_seconds

    trained, scored = count_run_tokens(recipe, ready, lengths)
    seconds = estimate_seconds(
        probe,
        train_tokens=trained,
        scored_tokens=scored,
        trained_share=footprint.num_trained / footprint.num_parameters,
    )
    message = (
        f"about {format_seconds(seconds)} from the pace of one forward pass; texts that are written to be "
        "scored come on top"
    )
    return Finding("time", "note", message)
