"""All ways to train that fit into a machine, the best one first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ftkit.models.precision import Precision
from ftkit.training.footprint import Footprint
from ftkit.training.memory import CPU_TOKENS, MAX_TOKENS, USABLE


@dataclass(frozen=True)
class Machine:
    """What a run is planned for."""

    name: str
    kind: str
    """As torch names it: `cpu`, `cuda`, ..."""
    num_devices: int
    memory_bytes: int
    """Of one device, as far as the run may have it."""
    base_bytes: int
    """What a process takes there before it has a model: libraries, or the driver's context."""

    @property
    def usable_bytes(self) -> int:
        """What model and training may take of one device."""
        return int(USABLE * self.memory_bytes) - self.base_bytes


@dataclass(frozen=True)
class Kind:
    """One way to train, whatever the size of a micro-batch."""

    method: str
    """`full` or `lora`."""
    precision: Precision
    checkpointing: bool
    is_recipes_method: bool = True
    loses_updates: bool = False
    """Whether trained weights are kept in 16 bits, in which usual updates are lost."""
    num_shards: int = 1
    """Devices that share gradients and optimiser state."""

    def list_settings(self) -> dict[str, Any]:
        """Return what makes a recipe train so, on one device."""
        adapter = {} if self.is_recipes_method else {"adapter": "none" if self.method == "full" else "lora"}
        dtype = {"model.dtype": "bfloat16"} if self.precision.weights == "bfloat16" else {}
        return {**adapter, **dtype, "training.gradient_checkpointing": self.checkpointing}


@dataclass(frozen=True)
class Choice:
    """One way to train with one size of micro-batch."""

    kind: Kind
    micro_batch_size: int
    accumulation: int
    """Micro-batches of a step, on each device."""
    tokens_at_once: int
    """Of a micro-batch of the longest examples."""
    footprint: Footprint
    memory_bytes: int
    """The peak on one device, everything in it."""
    fits: bool
    seconds: float | None
    """Of the training, all steps; None where it could not be tried."""
    num_devices: int = 1
    reasons: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """What makes a recipe train so."""
        strategy = "fsdp" if self.kind.num_shards > 1 else "ddp"
        devices = {"parallel.strategy": strategy, "parallel.num_devices": self.num_devices}
        return {
            **self.kind.list_settings(),
            "training.micro_batch_size": self.micro_batch_size,
            **(devices if self.num_devices > 1 else {}),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        found = self.footprint
        return {
            "method": self.kind.method,
            "weights": self.kind.precision.weights,
            "compute": self.kind.precision.compute or self.kind.precision.weights,
            "gradient_checkpointing": self.kind.checkpointing,
            "num_shards": self.kind.num_shards,
            "micro_batch_size": self.micro_batch_size,
            "accumulation": self.accumulation,
            "tokens_at_once": self.tokens_at_once,
            "micro_batch_bytes": found.count_work(self.tokens_at_once),
            "memory_bytes": self.memory_bytes,
            "weights_bytes": found.weights,
            "gradients_bytes": found.gradients,
            "optimiser_bytes": found.optimiser,
            "is_guess": found.is_guess,
            "fits": self.fits,
            "seconds": self.seconds,
            "settings": self.settings,
            "reasons": list(self.reasons),
        }


def list_choices(
    machine: Machine,
    kinds: Sequence[Kind],
    measure: Callable[[Kind], Footprint],
    time: Callable[[Kind, int], float | None],
    *,
    share: int,
    longest: int,
) -> list[Choice]:
    """List every way to train, with the effective batch as the recipe has it, the best one first.

    First those that fit; of them those of the recipe's own method, then those that keep trained weights
    in 32 bits, then the faster, then those that share nothing, then the larger micro-batch.

    Args:
        machine: that is planned for.
        kinds: ways to train.
        measure: says what memory a kind takes.
        time: says how many seconds a kind takes with micro-batches of some tokens.
        share: examples of a step that one device takes.
        longest: tokens of the longest example.
    """
    found = [
        make_choice(machine, kind, measure, time, size=size, share=share, longest=longest)
        for kind in kinds
        for size in list_sizes(share, longest, kind=machine.kind)
    ]
    return sorted(found, key=_rank)


def make_choice(
    machine: Machine,
    kind: Kind,
    measure: Callable[[Kind], Footprint],
    time: Callable[[Kind, int], float | None],
    *,
    size: int,
    share: int,
    longest: int,
) -> Choice:
    """Say what a way to train takes with micro-batches of `size` examples; see `list_choices`."""
    footprint, tokens = measure(kind), size * longest
    total = footprint.count_total(tokens, num_shards=kind.num_shards)
    return Choice(
        kind,
        size,
        accumulation=-(-share // size),
        tokens_at_once=tokens,
        footprint=footprint,
        memory_bytes=machine.base_bytes + total,
        fits=total <= machine.usable_bytes,
        seconds=time(kind, tokens),
        num_devices=machine.num_devices,
    )


def _rank(choice: Choice) -> tuple[Any, ...]:
    kind = choice.kind
    return (
        not choice.fits,
        not kind.is_recipes_method,
        kind.loses_updates,
        float(f"{choice.seconds or 0.0:.3g}"),
        kind.num_shards,
        -choice.micro_batch_size,  # as fast, and fewer of them
        choice.memory_bytes,
    )


def list_sizes(share: int, longest: int, *, kind: str) -> list[int]:
    """List micro-batches, in examples: powers of two and the whole share, up to what still gains anything."""
    most = max(longest, CPU_TOKENS if kind == "cpu" else MAX_TOKENS)
    sizes = {share, *(2**power for power in range(share.bit_length()))}
    return sorted(size for size in sizes if size == 1 or size * longest <= most)


def choose_best(choices: Sequence[Choice]) -> list[Choice]:
    """Take the best choice of each kind, in their order, with the reasons for its place."""
    best: dict[Kind, Choice] = {}
    for choice in choices:
        best.setdefault(choice.kind, choice)
    return [_explain(choice, next(iter(best.values()))) for choice in best.values()]


def _explain(choice: Choice, first: Choice) -> Choice:
    return replace(choice, reasons=tuple(_list_reasons(choice, first)))


def _list_reasons(choice: Choice, first: Choice) -> Iterator[str]:
    kind = choice.kind
    if not choice.fits:
        yield "does not fit, one example at a time neither"
    if not kind.is_recipes_method:
        yield "another method: needs another learning_rate"
    if kind.loses_updates:
        yield "16 bits lose small updates"
    if kind.checkpointing:
        yield "gradient_checkpointing"
    if kind.num_shards > 1:
        yield f"fsdp over {kind.num_shards}, whose exchange comes on top"
    if choice is first:
        yield "the fastest that fits" if choice.fits else "the nearest to fitting"
    elif choice.fits and choice.seconds and first.seconds and choice.seconds > first.seconds:
        yield f"{choice.seconds / first.seconds:.2g} times as long"
