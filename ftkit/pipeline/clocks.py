"""How long the ways to train take: by real steps on this machine, by arithmetic on another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftkit.models import add_adapter
from ftkit.models.skeleton import make_skeleton
from ftkit.pipeline.readying import Ready
from ftkit.pipeline.starting import load_base
from ftkit.planning.accelerators import TERA, Accelerator
from ftkit.planning.choices import Kind, Machine
from ftkit.planning.plan import nest
from ftkit.planning.timing import (
    UTILISATION,
    Pace,
    count_matrix_weights,
    count_operations,
    estimate_training_seconds,
    measure_pace,
)
from ftkit.recipe import AdapterSection, Recipe, make_recipe
from ftkit.training.footprint import Footprint, measure_training
from ftkit.training.loop import read_lengths
from ftkit.training.memory import (
    choose_limit,
    read_free_bytes,
)
from ftkit.training.steps import plan_epoch


@dataclass(frozen=True)
class Work:
    """How much there is to do."""

    batch_size: int
    longest: int
    """Tokens of the longest example."""
    num_steps: int
    num_tokens: float
    """Of the training, padding not counted."""
    num_scored: float
    """Tokens that are scored, without those that are written."""


def change_recipe(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    """Return the recipe with other settings in it, such as `{"training.micro_batch_size": 8}`."""
    values = recipe.model_dump(exclude_none=True)
    for name, value in nest(settings).items():
        values[name] = {**(values.get(name) or {}), **value} if isinstance(value, dict) else value
    return make_recipe(values, folder=Path.cwd())


def measure_kind(recipe: Recipe, ready: Ready, longest: int, device_type: str, kind: Kind) -> Footprint:
    """Measure the memory of one way to train, without values."""
    adapter = (recipe.adapter or AdapterSection()) if kind.method == "lora" else None
    base = ready.base
    skeleton = make_skeleton(
        base.model.config,
        type(base.model),
        dtype=kind.precision.weights,
        adapter=adapter,
        task_type=ready.task.ADAPTER_TYPE,
        new_token_ids=base.new_token_ids,
    )
    training = recipe.training.model_copy(update={"gradient_checkpointing": kind.checkpointing})
    return measure_training(skeleton, kind.precision, training, longest=longest, device_type=device_type)


@dataclass(frozen=True)
class Clock:
    """What says how long ways to train take."""

    time: Callable[[Kind, int], float | None]
    """Seconds of a training, of a kind and the tokens of its micro-batches."""
    scoring_seconds: float | None
    basis: str
    """Where the times come from, for people."""


def estimate_clock(
    accelerator: Accelerator,
    ready: Ready,
    work: Work,
    num_devices: int,
    measure: Callable[[Kind], Footprint],
) -> Clock:
    """Tell times by operations and bandwidth."""
    weights = count_matrix_weights(ready.base.model)

    def time(kind: Kind, tokens: int) -> float:
        return estimate_training_seconds(
            accelerator,
            kind,
            measure(kind),
            num_matrix_weights=weights,
            num_tokens=work.num_tokens / num_devices,
            num_steps=work.num_steps,
            micro_batch_tokens=tokens,
        )

    basis = (
        f"an estimate, nothing is measured: arithmetic at {100 * UTILISATION:.0f} % of "
        f"{accelerator.tera_flops:g} TFLOPS, memory at {accelerator.gb_per_second:,} GB/s "
        f"({accelerator.source}); data and exchange between devices come on top"
    )
    scoring = 2 * weights * work.num_scored / num_devices / (UTILISATION * accelerator.tera_flops * TERA)
    return Clock(time, scoring, basis)


def measure_clock(
    recipe: Recipe,
    ready: Ready,
    work: Work,
    machine: Machine,
    kinds: Sequence[Kind],
    measure: Callable[[Kind], Footprint],
) -> Clock:
    """Tell times by real steps of the first way to train that fits into this machine."""
    fitting = [kind for kind in kinds if measure(kind).count_total(work.longest) <= machine.usable_bytes]
    if not fitting:
        return Clock(lambda *_: None, None, "none: nothing fits, so nothing could be tried")
    tried = fitting[0]
    pace = try_kind(recipe, ready, tried)
    operations = count_operations(tried)

    def time(kind: Kind, _: int) -> float:
        computing = work.num_tokens * pace.seconds_per_token * count_operations(kind) / operations
        share = measure(kind).num_trained / measure(tried).num_trained
        return (computing + work.num_steps * pace.seconds_per_step * share) / machine.num_devices

    what = "full" if tried.method == "full" else "LoRA"
    others = "" if len(kinds) == 1 else "; other ways to train by their operations"
    basis = f"real micro-batches of {pace.num_tokens:,} tokens on this machine ({what}){others}"
    return Clock(time, work.num_scored * pace.scoring_seconds_per_token, basis)


def try_kind(recipe: Recipe, ready: Ready, kind: Kind) -> Pace:
    """Load the weights and run real steps."""
    changed = change_recipe(recipe, kind.list_settings())
    base = load_base(changed, ready.task, labels=tuple(ready.label_counts))
    if changed.adapter is not None:
        base.model = add_adapter(
            base.model,
            changed.adapter,
            task_type=ready.task.ADAPTER_TYPE,
            new_parameters=base.new_parameters,
            new_token_ids=base.new_token_ids,
        )
    split = ready.splits["train"]
    lengths = read_lengths(split.examples)
    limit = choose_limit(
        recipe.training.micro_batch_size,
        device_type=base.model.device.type,
        longest=int(lengths.max()),
        footprint=measure_kind(recipe, ready, int(lengths.max()), base.model.device.type, kind),
        free_bytes=read_free_bytes(base.model.device),
    )
    return measure_pace(
        base,
        ready.task,
        split,
        plan_epoch(
            len(lengths),
            recipe.training.batch_size,
            seed=recipe.training.seed,
            epoch=0,
            mixture=ready.mixture,
        ),
        limit=limit,
        checkpointing=kind.checkpointing,
        seed=recipe.training.seed,
    )
