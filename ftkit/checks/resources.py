"""Memory, time and disk: whether the run fits, from sizes and one forward pass."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.checks.findings import Finding
from ftkit.reporting.formats import format_bytes
from ftkit.tasks import LossOptions
from ftkit.training.memory import is_out_of_memory, make_memory_error
from ftkit.training.steps import count_tokens, split_step

if TYPE_CHECKING:
    import torch

    from ftkit.models import Checkpoint
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split
    from ftkit.training.footprint import Footprint
    from ftkit.training.steps import MicroBatchLimit

CHANCE_MARGIN = 1.25
"""How far above the loss of guessing, in times, a trained base must be to be called wrong."""
BACKWARD_COST = 2.0
"""What a backward pass costs, in forward passes; Kaplan et al. 2020, section 2.1."""

LONG_PASS = 0.5
"""Seconds of a forward pass from which on one of them says enough."""


@dataclass(frozen=True)
class Probe:
    """One forward pass over the first micro-batch that is trained."""

    loss: float
    """Mean, in nats per token or row."""
    seconds: float
    num_tokens: int


def run_probe(
    base: Checkpoint, task: Task, split: Split, places: Sequence[int], *, limit: MicroBatchLimit, seed: int
) -> Probe:
    """Compute the loss of the first micro-batch as training does, without gradients or dropout.

    Args:
        base: on the device where it trains; its adapter, which starts as nothing, may be missing.
        task: makes batch and loss.
        split: the training split.
        places: the examples of the first step.
        limit: of a micro-batch.
        seed: of the run.

    Raises:
        DeviceMemoryError: it does not fit; says what to lower.
    """
    import torch

    examples = split.examples.__getitems__(list(places))
    group = split_step([count_tokens(example) for example in examples], limit)[0]
    batch = task.collate([examples[place] for place in group], base.tokenizer, split.encoding, (seed, 0))
    compute = base.precision.compute
    context: Any = (
        torch.autocast(base.model.device.type, dtype=getattr(torch, compute)) if compute else nullcontext()
    )
    try:
        with torch.no_grad(), context:
            loss, seconds = _time_loss(base, task, batch)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        num_examples, num_tokens = batch["input_ids"].flatten(0, -2).shape
        raise make_memory_error(num_examples, num_tokens, checkpointing=False) from error
    return Probe(loss, seconds, batch["attention_mask"].numel())


def _time_loss(base: Checkpoint, task: Task, batch: Mapping[str, torch.Tensor]) -> tuple[float, float]:
    """Return the mean loss of a batch, and the seconds that it takes."""
    inputs = {name: tensor.to(base.model.device) for name, tensor in batch.items()}
    num_items, loss, seconds = max(task.count_items(batch), 1e-9), math.nan, math.inf
    for _ in range(2):  # the first pass of a process also sets up the kernels
        started = time.perf_counter()
        loss = float(task.compute_loss(base.model, inputs, LossOptions())) / num_items
        seconds = min(seconds, time.perf_counter() - started)
        if seconds > LONG_PASS:
            break
    return loss, seconds


def judge_probe(probe: Probe, base: Checkpoint, task: Task, *, num_classes: int) -> Iterator[Finding]:
    """Say whether the first loss is a number, and one that a trained model has.

    Args:
        probe: from `run_probe`.
        base: the model.
        task: its task.
        num_classes: tokens or labels that it chooses from; 0 for a number.
    """
    compute = base.precision.compute or base.precision.weights
    if not math.isfinite(probe.loss):
        remedy = (
            "set training.precision: float32"
            if compute == "float16"
            else "take another base: its weights are damaged"
        )
        message = f"the loss of the first batch is {probe.loss}, computed in {compute}; {remedy}"
        yield Finding("precision", "error", message)
        return
    yield Finding("precision", "note", f"{base.precision.reason}; loss of the first batch {probe.loss:.4g}")
    if compute == "float16" and base.published_dtype == "bfloat16":
        message = (
            "the base was trained in bfloat16, whose numbers reach further than those of float16; if the "
            "loss "
            "becomes infinite, set training.precision: float32"
        )
        yield Finding("precision", "warning", message)
    chance = math.log(num_classes) if num_classes > 1 else math.inf
    is_trained = not base.new_parameters and "losses" in task.METRIC_KINDS
    if is_trained and probe.loss > CHANCE_MARGIN * chance:
        message = (
            f"the base's loss on the first batch is {probe.loss:.3g}, and guessing gives {chance:.3g}: "
            "model and "
            "tokenizer may not belong together; check model.tokenizer"
        )
        yield Finding("tokenizer", "warning", message)


def check_memory(
    footprint: Footprint,
    *,
    tokens_at_once: int,
    free_bytes: int,
    total_bytes: int,
    device: str,
    num_shards: int = 1,
) -> Iterator[Finding]:
    """Compare what training needs with what is free.

    Args:
        footprint: of the training.
        tokens_at_once: of a micro-batch.
        free_bytes: of the device, with the weights loaded.
        total_bytes: of the device.
        device: its name, for people.
        num_shards: devices that share gradients and optimiser state.
    """
    states = (footprint.gradients + footprint.optimiser) // num_shards
    work = footprint.count_work(tokens_at_once)
    about = "guessed from its sizes, about" if footprint.is_guess else "about"
    message = (
        f"{about} {format_bytes(footprint.weights + states + work)}: weights "
        f"{format_bytes(footprint.weights)}, gradients and optimiser {format_bytes(states)}, a micro-batch "
        f"of {tokens_at_once:,} tokens {format_bytes(work)}; free beside the weights: "
        f"{format_bytes(free_bytes)} on {device}"
    )
    yield Finding("memory", "note", message)
    is_full = footprint.num_trained == footprint.num_parameters
    remedy = "train an adapter (adapter: lora)" if is_full else "take a smaller base"
    if footprint.weights + states > total_bytes:
        message = (
            f"weights, gradients and optimiser need {format_bytes(footprint.weights + states)}, and "
            f"{device} has {format_bytes(total_bytes)}; {remedy}"
        )
        yield Finding("memory", "error", message)
    elif states + work > free_bytes:
        message = (
            f"training needs about {format_bytes(states + work)} beside the weights, and "
            f"{format_bytes(free_bytes)} are free; {remedy}, lower data.max_tokens, or set "
            "training.gradient_checkpointing: true; ftkit plan shows what fits"
        )
        yield Finding("memory", "warning", message)


def estimate_seconds(
    probe: Probe, *, train_tokens: float, scored_tokens: float, trained_share: float
) -> float:
    """Estimate the seconds of a run from the pace of one forward pass.

    Args:
        probe: from `run_probe`.
        train_tokens: tokens that training sees, over all epochs.
        scored_tokens: tokens that are scored, base and tuned and while training.
        trained_share: of the parameters, from 0 to 1; frozen weights need no gradient of their own.
    """
    pace = probe.seconds / max(1, probe.num_tokens)
    backward = BACKWARD_COST if trained_share > 0.5 else BACKWARD_COST / 2
    return pace * (train_tokens * (1 + backward) + scored_tokens)


def check_disk(
    folder: Path, *, footprint: Footprint, num_checkpoints: int, free_bytes: int | None = None
) -> Iterator[Finding]:
    """Compare the size of checkpoints and model with the free disk.

    Args:
        folder: of the run, there or not.
        footprint: of the training.
        num_checkpoints: that lie there at once, at most.
        free_bytes: of the disk; None to ask.
    """
    checkpoint = footprint.gradients + footprint.optimiser  # trained weights are as large as their gradients
    needed = num_checkpoints * checkpoint + footprint.weights
    place = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(place).free if free_bytes is None else free_bytes
    message = (
        f"about {format_bytes(needed)} for up to {num_checkpoints} checkpoints and the model; "
        f"free: {format_bytes(free)}"
    )
    yield Finding("disk", "note", message)
    if needed > free:
        message = (
            f"{folder}: needs {format_bytes(needed)}, and {format_bytes(free)} are free; make room, set "
            "training.save_total_limit lower, or choose another output_dir"
        )
        yield Finding("disk", "error", message)


def count_classes(task: Task, model: Any, labels: Sequence[str] | Mapping[str, Any]) -> int:
    """Count what the model chooses from: labels, or tokens where there are none."""
    if labels:
        return len(labels)
    return (
        int(getattr(model.config.get_text_config(), "vocab_size", 0)) if "losses" in task.METRIC_KINDS else 0
    )
