"""The story of a plan: what a run will cost, whether it fits, and what fits best."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from ftkit.errors import ModelError, RunError
from ftkit.evaluation.predictions import BATCH_TOKENS, CPU_BATCH_TOKENS
from ftkit.models import Checkpoint, choose_precision, read_device
from ftkit.models.precision import Device, Precision
from ftkit.models.skeleton import load_outline
from ftkit.pipeline.clocks import Work, change_recipe, estimate_clock, measure_clock, measure_kind
from ftkit.pipeline.readying import Ready, count_run_tokens, make_ready
from ftkit.pipeline.starting import read_recipe
from ftkit.planning.accelerators import GIB, Accelerator, find_accelerator
from ftkit.planning.choices import Kind, Machine, choose_best, list_choices, make_choice
from ftkit.planning.plan import Plan
from ftkit.recipe import Recipe, dump_recipe
from ftkit.runs import write_text
from ftkit.tasks import Task
from ftkit.training.arguments import count_total_steps
from ftkit.training.footprint import Footprint, measure_scoring
from ftkit.training.loop import read_lengths
from ftkit.training.machine import set_up_machine
from ftkit.training.memory import choose_limit, read_free_bytes, read_resident_bytes, read_total_bytes
from ftkit.training.steps import count_steps

CONTEXT_BYTES = GIB // 2
"""What driver and libraries take on an accelerator of the table before there is any tensor, about."""


def plan(
    recipe: Recipe | str | os.PathLike[str] | None = None,
    *,
    device: str | None = None,
    num_devices: int | None = None,
    output: str | os.PathLike[str] | None = None,
    overrides: Sequence[str] = (),
    allow: bool = False,
    **sections: Any,
) -> Plan:
    """Say what a run will cost, whether it fits, and which of all ways to train fits best.

    Memory is measured on the model without values, and no weights are loaded for it. Time is measured
    with real steps on this machine, and estimated from operations for another one.

    Args:
        recipe: a recipe or its file; None to give the sections as keyword arguments.
        device: name of an accelerator in the table, such as `h100`; None for this machine.
        num_devices: how many of them; None for as many as the recipe's `parallel` says.
        output: file for the recipe with the best choice in it; never overwritten.
        overrides: settings to change in a recipe's file, such as `training.batch_size=64`.
        allow: whether the recipe's file may name code to run.
        sections: `task`, `model`, `data`, ..., as in a recipe.

    Raises:
        FtkitError: the recipe cannot be run, the device is unknown, the file is there, or nothing fits.
    """
    accelerator = find_accelerator(device) if device else None
    if output is not None and Path(output).exists():
        raise RunError(f"{output}: is there already; choose another name")
    loaded = read_recipe(recipe, sections, overrides=overrides, allow=allow)
    name = os.fspath(recipe) if isinstance(recipe, str | os.PathLike) else "recipe"
    named = (loaded.parallel.num_devices or 1) * loaded.parallel.num_hosts
    planned = make_plan(loaded, name, accelerator, num_devices or named)
    if output is not None:
        write_recipe(planned, Path(output))
    return planned


def write_recipe(planned: Plan, path: Path) -> None:
    """Write the recipe with the best choice in it.

    Raises:
        RunError: the file is there already.
        ModelError: nothing fits.
    """
    if path.exists():
        raise RunError(f"{path}: is there already; choose another name")
    if planned.best is None or planned.recipe is None:
        raise ModelError(
            f"{planned.name}: nothing fits into {planned.machine.name}, so there is no recipe to write; take "
            "a smaller base or lower data.max_tokens"
        )
    write_text(path, dump_recipe(change_recipe(planned.recipe, planned.best.settings)))


def make_plan(recipe: Recipe, name: str, accelerator: Accelerator | None, num_devices: int) -> Plan:
    """Find out what a run takes, and what else would fit."""
    set_up_machine()
    device = (
        accelerator.device
        if accelerator
        else read_device("cpu" if recipe.training.arguments.get("use_cpu") else None)
    )
    kinds = list_kinds(recipe, device, num_devices)
    ready = make_ready(recipe, load=partial(outline_base, precision=kinds[0].precision))
    work = count_work(recipe, ready)
    machine = describe_machine(device, accelerator, num_devices)
    measured = cache(partial(measure_kind, recipe, ready, work.longest, machine.kind))

    def measure(kind: Kind) -> Footprint:
        return measured(replace(kind, num_shards=1))  # shards are counted where it is used

    if accelerator:
        clock = estimate_clock(accelerator, ready, work, num_devices, measure)
    else:
        clock = measure_clock(recipe, ready, work, machine, kinds, measure)
    share = -(-work.batch_size // num_devices)
    choices = list_choices(machine, kinds, measure, clock.time, share=share, longest=work.longest)
    limit = choose_limit(
        recipe.training.micro_batch_size,
        device_type=machine.kind,
        longest=work.longest,
        footprint=measure(kinds[0]),
        free_bytes=machine.memory_bytes - machine.base_bytes - measure(kinds[0]).weights,
    )
    size = min(share, limit.num_examples or max(1, (limit.num_tokens or 0) // work.longest))
    budget = CPU_BATCH_TOKENS if machine.kind == "cpu" else BATCH_TOKENS
    scoring = measure_scoring(
        ready.base.model, kinds[0].precision, row_tokens=work.longest, device_type=machine.kind
    )
    return Plan(
        name=name,
        machine=machine,
        current=make_choice(
            machine, kinds[0], measure, clock.time, size=size, share=share, longest=work.longest
        ),
        scoring_bytes=round(scoring * max(budget, work.longest)),
        choices=tuple(choose_best(choices)),
        num_combinations=len(choices),
        batch_size=work.batch_size,
        longest=work.longest,
        num_steps=work.num_steps,
        num_tokens=round(work.num_tokens),
        scoring_seconds=clock.scoring_seconds,
        time_basis=clock.basis,
        recipe=recipe,
    )


def outline_base(recipe: Recipe, task: Task, *, labels: tuple[str, ...], precision: Precision) -> Checkpoint:
    """Return the base without its weights, with its tokenizer, to encode rows for it."""
    base = load_outline(recipe.model, auto_class=task.MODEL_CLASS, labels=labels, precision=precision)
    if hasattr(task, "prepare_model"):
        task.prepare_model(base.model, base.tokenizer)
    return base


def list_kinds(recipe: Recipe, device: Device, num_devices: int = 1) -> list[Kind]:
    """List the ways to train that a device can do, the recipe's own first."""
    own = "full" if recipe.adapter is None else "lora"
    methods = [own] if recipe.model.base is None else [own, "lora" if own == "full" else "full"]
    checkpointing = recipe.training.gradient_checkpointing
    kinds = [
        Kind(
            method,
            precision,
            twice,
            is_recipes_method=method == own,
            loses_updates=method == "full" and precision.weights != "float32",
            num_shards=num_shards,
        )
        for method in methods
        for precision in _list_precisions(recipe, device, has_adapter=method == "lora")
        for twice in (checkpointing, not checkpointing)
        for num_shards in _list_shards(recipe, num_devices)
    ]
    return list(dict.fromkeys(kinds))


def _list_shards(recipe: Recipe, num_devices: int) -> list[int]:
    """List how many devices may share a copy of the model."""
    strategy = recipe.parallel.strategy
    shards = min(recipe.parallel.shard_size or num_devices, num_devices)
    possible = {"ddp": [1], "fsdp": [shards], "auto": [1, shards]}[strategy]
    return list(dict.fromkeys(possible))


def _list_precisions(recipe: Recipe, device: Device, *, has_adapter: bool) -> Iterator[Precision]:
    """Give the number types of the recipe, and short weights where the recipe leaves them open."""
    dtype, precision = recipe.model.dtype, recipe.training.precision
    shorter = dtype == "auto" and precision in {"auto", "bfloat16"} and device.has_fast_bfloat16
    for each in dict.fromkeys((dtype, "bfloat16") if shorter else (dtype,)):
        is_own = has_adapter == (recipe.adapter is not None) and each == dtype
        try:
            chosen = choose_precision(device, has_adapter=has_adapter, dtype=each, precision=precision)
        except ModelError:
            if is_own:
                raise
            continue  # such as float16 weights without an adapter
        yield replace(chosen, reason="")


def describe_machine(device: Device, accelerator: Accelerator | None, num_devices: int) -> Machine:
    """Say what memory there is."""
    import torch

    import ftkit.training.trainer  # noqa: F401 - what it loads takes room as well

    if accelerator:
        return Machine(
            accelerator.title, device.kind, num_devices, accelerator.memory_gib * GIB, CONTEXT_BYTES
        )
    if device.kind == "cpu":
        resident = read_resident_bytes()
        free = read_free_bytes(torch.device("cpu")) + resident
        return Machine(f"this machine, {device.name}", "cpu", num_devices, free, resident)
    total = read_total_bytes(torch.device(device.kind))
    return Machine(f"this machine, {device.name}", device.kind, num_devices, total, CONTEXT_BYTES)


def count_work(recipe: Recipe, ready: Ready) -> Work:
    """Count steps and tokens."""
    lengths = read_lengths(ready.splits["train"].examples)
    trained, scored = count_run_tokens(recipe, ready, lengths)
    steps = count_total_steps(recipe.training, count_steps(ready.num_per_epoch, recipe.training.batch_size))
    return Work(recipe.training.batch_size, int(lengths.max()), steps, trained, scored)
