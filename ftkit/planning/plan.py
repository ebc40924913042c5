"""A plan: what a run costs as the recipe has it, and every way to train that fits."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ftkit.planning.choices import Choice, Machine
from ftkit.reporting.formats import format_bytes, format_seconds

if TYPE_CHECKING:
    from ftkit.recipe import Recipe

SHOWN = 6
"""Choices that the terminal shows."""


@dataclass(frozen=True)
class Plan:
    """What a run will cost on a machine, and whether it fits."""

    name: str
    """The recipe's file, or `recipe` for one of a notebook."""
    machine: Machine
    current: Choice
    """As the recipe has it."""
    scoring_bytes: int
    """The most that an evaluation takes on top of the weights."""
    choices: tuple[Choice, ...]
    """The best of every way to train; those that fit first."""
    num_combinations: int
    """How many were looked at, all sizes of micro-batches counted."""
    batch_size: int
    longest: int
    num_steps: int
    num_tokens: int
    """Tokens of the training, all epochs, padding not counted."""
    scoring_seconds: float | None
    time_basis: str
    """Where the times come from: measured here, or an estimate, and of what."""
    recipe: Recipe | None = field(default=None, repr=False, compare=False)

    @property
    def best(self) -> Choice | None:
        """The first choice, where it fits."""
        return self.choices[0] if self.choices and self.choices[0].fits else None

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "name": self.name,
            "machine": {**asdict(self.machine), "usable_bytes": self.machine.usable_bytes},
            "fits": self.current.fits,
            "current": self.current.as_dict(),
            "scoring_bytes": self.scoring_bytes,
            "scoring_seconds": self.scoring_seconds,
            "choices": [choice.as_dict() for choice in self.choices],
            "num_combinations": self.num_combinations,
            "batch_size": self.batch_size,
            "longest": self.longest,
            "num_steps": self.num_steps,
            "num_tokens": self.num_tokens,
            "time_basis": self.time_basis,
        }

    def __str__(self) -> str:
        return write_plan(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(write_plan(self))}</pre>"


def write_plan(plan: Plan) -> str:
    """Write a plan for the terminal."""
    machine, current = plan.machine, plan.current
    count = f"{machine.num_devices} x " if machine.num_devices > 1 else ""
    each = " each" if machine.num_devices > 1 else ""
    lines = [
        f"{plan.name} on {count}{machine.name}, {format_bytes(machine.memory_bytes)}{each}",
        f"{plan.num_steps:,} steps of {plan.batch_size} examples, {plan.num_tokens:,} tokens, the longest "
        f"example {plan.longest:,}",
        "",
        "as the recipe has it:",
        *(f"  {name:24}{format_bytes(size):>10}" for name, size in list_parts(plan)),
        f"  {'peak of training':24}{format_bytes(current.memory_bytes):>10}   {_say_fit(current, machine)}",
        f"  {'evaluation':24}"
        f"{format_bytes(machine.base_bytes + current.footprint.weights + plan.scoring_bytes):>10}",
        f"  {'time of training':24}{_show_time(current.seconds):>10}",
        f"  {'time of scoring':24}{_show_time(plan.scoring_seconds):>10}",
        "",
        f"{plan.num_combinations} combinations, the best of each kind, at {plan.batch_size} examples a step:",
        *_write_table(plan.choices[:SHOWN]),
    ]
    if len(plan.choices) > SHOWN:
        lines.append(f"  and {len(plan.choices) - SHOWN} more (--json)")
    if plan.best is not None:
        lines += ["", f"to train like 1: {' '.join(write_settings(plan.best.settings))}"]
    return "\n".join([*lines, "", f"times: {plan.time_basis}"])


def write_settings(settings: Mapping[str, Any]) -> list[str]:
    """Write settings as the command line takes them."""
    return [f"{name}={str(value).lower()}" for name, value in settings.items()]


def _show_time(seconds: float | None) -> str:
    return "–" if seconds is None else format_seconds(seconds)


def list_parts(plan: Plan) -> list[tuple[str, int]]:
    """List what makes up the peak of a training, in bytes."""
    found, tokens = plan.current.footprint, plan.current.tokens_at_once
    return [
        ("libraries, driver", plan.machine.base_bytes),
        ("weights", found.weights),
        ("gradients", found.gradients),
        ("optimiser", found.optimiser),
        (f"micro-batch, {tokens:,} tokens", found.count_work(tokens)),
    ]


def _say_fit(choice: Choice, machine: Machine) -> str:
    room = format_bytes(machine.base_bytes + machine.usable_bytes)
    return f"fits into {room}" if choice.fits else f"does not fit into {room}"


def _write_table(choices: Sequence[Choice]) -> list[str]:
    head = ("", "method", "weights", "compute", "micro-batch", "memory", "time", "")
    rows = [head] + [
        (
            str(place) if choice.fits else "-",
            choice.kind.method,
            choice.kind.precision.weights,
            choice.kind.precision.compute or choice.kind.precision.weights,
            f"{choice.micro_batch_size} x {choice.accumulation}",
            format_bytes(choice.memory_bytes),
            _show_time(choice.seconds),
            "; ".join(choice.reasons),
        )
        for place, choice in enumerate(choices, 1)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head) - 1)]
    return [
        "  "
        + "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]
        ).rstrip()
        for row in rows
    ]


def nest(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Turn `training.micro_batch_size` and the like into mappings within mappings."""
    nested: dict[str, Any] = {}
    for name, value in settings.items():
        section, _, key = name.partition(".")
        if key:
            nested.setdefault(section, {})[key] = value
        else:
            nested[section] = value
    return nested
