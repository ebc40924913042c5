"""How long training takes: from real steps on this machine, from operations on others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.models.padding_free import can_do_without_padding, without_padding
from ftkit.planning.accelerators import TERA, Accelerator
from ftkit.planning.choices import Kind
from ftkit.tasks import LossOptions
from ftkit.training.footprint import Footprint
from ftkit.training.steps import MicroBatchLimit, count_tokens, split_step

if TYPE_CHECKING:
    from ftkit.models import Checkpoint
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split

UTILISATION = 0.35
"""Share of an accelerator's peak that training reaches, assumed: large well-tuned runs report 0.4 to 0.55
(Chowdhery et al. 2022, "PaLM", table 3), small models and micro-batches less."""
LAUNCH_SECONDS = 5e-6
"""What it takes to start an operation on an accelerator, assumed: small models wait for nothing else."""
PROBE_SECONDS = 12.0
"""How long the probe computes for at most, from the second micro-batch on."""


@dataclass(frozen=True)
class Pace:
    """What training takes on this machine, measured."""

    seconds_per_token: float
    """Forward and backward."""
    scoring_seconds_per_token: float
    """Forward alone."""
    seconds_per_step: float
    """Of the optimiser."""
    num_tokens: int
    """Tokens that were computed to find out."""


def count_operations(kind: Kind) -> float:
    """Return the operations of training for each token and weight of a matrix.

    Two for a multiplication and an addition, forward; as many backward for the inputs, and for the
    weights where they are trained: Kaplan et al. 2020, section 2.1. With checkpointing, forward twice.
    """
    return 2.0 + 2.0 + (2.0 if kind.method == "full" else 0.0) + (2.0 if kind.checkpointing else 0.0)


def count_matrix_weights(model: Any) -> int:
    """Count the weights that each token is multiplied with: of all layers but tables of embeddings."""
    from torch import nn

    layers = [module for module in model.modules() if not isinstance(module, nn.Embedding)]
    own = [weights for layer in layers for weights in layer.parameters(recurse=False)]
    return sum(weights.numel() for weights in own if weights.dim() >= 2)


def estimate_training_seconds(
    accelerator: Accelerator,
    kind: Kind,
    footprint: Footprint,
    *,
    num_matrix_weights: int,
    num_tokens: float,
    num_steps: int,
    micro_batch_tokens: int,
) -> float:
    """Estimate the training on one device of a table; nothing of it is measured.

    Arithmetic at a share of the peak; never faster than the weights are read for each pass of a
    micro-batch, nor than its operations are started one by one.

    Args:
        accelerator: the device.
        kind: how it is trained.
        footprint: its memory.
        num_matrix_weights: from `count_matrix_weights`.
        num_tokens: tokens that this device trains on.
        num_steps: of the optimiser.
        micro_batch_tokens: tokens of a micro-batch.
    """
    bandwidth = accelerator.gb_per_second * 1e9
    operations = count_operations(kind)
    num_micro_batches = max(num_tokens / micro_batch_tokens, num_steps)
    computing = operations * num_matrix_weights * num_tokens / (UTILISATION * accelerator.tera_flops * TERA)
    reading = operations / 2 * footprint.weights * num_micro_batches / bandwidth
    starting = LAUNCH_SECONDS * footprint.num_operations * num_micro_batches
    updating = num_steps * (3 * footprint.gradients + 2 * footprint.optimiser) / bandwidth
    return max(computing, reading, starting) + updating


def measure_pace(
    base: Checkpoint,
    task: Task,
    split: Split,
    steps: Sequence[Sequence[int]],
    *,
    limit: MicroBatchLimit,
    checkpointing: bool,
    seed: int,
) -> Pace:
    """Run real micro-batches, of a typical step and of the longest examples, and take the time.

    Args:
        base: with its adapter where it has one, on the device; its weights stay as they are.
        task: makes batches and losses.
        split: the training split.
        steps: the examples of each step of an epoch.
        limit: of a micro-batch.
        checkpointing: whether activations are computed twice.
        seed: of the run.
    """
    import torch

    model: Any = base.model
    examples = split.examples.__getitems__(list(choose_typical(steps, split)))
    groups = split_step([count_tokens(example) for example in examples], limit)
    batches = [
        task.collate([examples[place] for place in group], base.tokenizer, split.encoding, (seed, 0))
        for group in groups
    ]
    if checkpointing:
        model.gradient_checkpointing_enable()
    weights = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=0.0, weight_decay=0.0, fused=True)
    packs = can_do_without_padding(model, max(map(count_tokens, examples)))
    compute = base.precision.compute
    dtype = getattr(torch, compute or "bfloat16")

    def run(batch: Any) -> float:
        started = time.perf_counter()
        inputs = {name: tensor.to(model.device) for name, tensor in batch.items()}
        with without_padding(model) if packs else nullcontext():
            with torch.autocast(model.device.type, dtype=dtype, enabled=compute is not None):
                loss = task.compute_loss(model, inputs, LossOptions()) / max(1, task.count_items(batch))
            if torch.is_grad_enabled():
                loss.backward()
        float(loss.detach())  # waits for the device
        return time.perf_counter() - started

    model.train()
    run(batches[0])  # the longest; the first pass of a process also sets up the kernels
    seconds, num_tokens = 0.0, 0
    for batch in _spread(batches):
        seconds += run(batch)
        num_tokens += int(batch["attention_mask"].sum())
        if seconds > PROBE_SECONDS:
            break
    optimising = [_take_step(optimizer) for _ in range(2)][-1]
    model.eval()
    with torch.no_grad():
        scoring = min(run(batches[0]) for _ in range(2)) / int(batches[0]["attention_mask"].sum())
    return Pace(seconds / num_tokens, scoring, optimising, num_tokens)


def _take_step(optimizer: Any) -> float:
    started = time.perf_counter()
    optimizer.step()
    return time.perf_counter() - started


def choose_typical(steps: Sequence[Sequence[int]], split: Split) -> Sequence[int]:
    """Choose the step of an epoch that has the median number of tokens."""
    from ftkit.training.loop import read_lengths

    lengths = read_lengths(split.examples)
    return sorted(steps, key=lambda step: sum(lengths[place] for place in step))[len(steps) // 2]


def _spread(batches: Sequence[Any]) -> list[Any]:
    """Order micro-batches so that long and short ones come in turn, whenever one stops."""
    half = -(-len(batches) // 2)
    pairs = zip(batches[:half], [*reversed(batches[half:]), None], strict=False)
    return [batch for pair in pairs for batch in pair if batch is not None]
