"""What memory training takes: a step of the model with tensors that have shapes and nothing in them.

`micro_batch_size: auto`, `ftkit check` and `ftkit plan` all go by it; only whether `parallel.strategy: auto`
shards is decided by the sizes of weights and states alone (`training/sharding.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.models.precision import Precision
from ftkit.tasks.head_loss import CHUNK
from ftkit.training.empty_step import REFUSALS, EmptyStep, find_depth, run_empty_step

if TYPE_CHECKING:
    from ftkit.recipe import TrainingSection

DEPTHS = (1, 2)
"""Blocks of a model that are run; each further one takes what the last one took."""
TOKENS = (512, 1024)
"""About how many tokens are run, a chunk of the head and more; each further one takes what the last took."""
SHORTEST = 64
"""Tokens of a row at least: shorter ones would be many, each attending by itself."""
STATES = {"sgd": 0.0, "adafactor": 0.01, "lion": 1.0, "adagrad": 1.0, "rmsprop": 1.0, "galore": 0.5}
"""What optimisers keep for each trained weight, in sizes of it, by a part of their names; others, such as
Adam, keep two."""

HEAP = 1.2
"""What a CPU's heap takes for the tensors of a micro-batch, in sizes of them: places that are freed fit no
other tensor. Fitted on five trainings of `tests/benchmarks/planning.py`; one of MiniLM with LoRA and
`MALLOC_MMAP_THRESHOLD_=65536`, by which every tensor has pages of its own, took what 1.0 predicts."""
LAYER_VALUES = 34
"""Values of 16 bits that a block keeps for a backward pass, for each token and hidden unit: Korthikanti et
al. 2022, "Reducing Activation Recomputation in Large Transformer Models", section 4.1."""
LAYER_OPERATIONS = 300
"""Operations of a block, forward and backward, about."""


@dataclass(frozen=True)
class Footprint:
    """Memory of one process that trains, in bytes."""

    weights: int
    """All parameters and buffers."""
    gradients: int
    optimiser: int
    """What the optimiser keeps from one step to the next."""
    fixed: int
    """Of a micro-batch, whatever its size: the head's chunk, weights cast to a shorter type."""
    per_token: float
    """Activations that are kept for the backward pass, for each token of a micro-batch."""
    num_parameters: int
    num_trained: int
    num_operations: int
    """That are started one by one for a micro-batch, forward and backward."""
    is_guess: bool = False
    """Whether the model could not be run without values, and sizes alone speak."""

    @property
    def states(self) -> int:
        """What is there through the whole run: weights, gradients, optimiser."""
        return self.weights + self.gradients + self.optimiser

    def count_work(self, num_tokens: int) -> int:
        """Return what a micro-batch of some tokens takes on top of the states."""
        return round(self.fixed + self.per_token * num_tokens)

    def count_total(self, num_tokens: int, *, num_shards: int = 1) -> int:
        """Return the peak of training with micro-batches of some tokens.

        Args:
            num_tokens: of a micro-batch.
            num_shards: devices that share gradients and optimiser state (FSDP); each loads all weights.
        """
        shared = (self.gradients + self.optimiser) // num_shards
        return self.weights + shared + self.count_work(num_tokens)

    def count_tokens(self, free_bytes: float) -> int:
        """Return the tokens of a micro-batch whose work fits into some memory; 0 where none does."""
        return max(0, int((free_bytes - self.fixed) / max(1.0, self.per_token)))


def measure_training(
    model: Any, precision: Precision, training: TrainingSection, *, longest: int, device_type: str
) -> Footprint:
    """Measure a model for the settings of a recipe; see `measure_footprint`.

    Args:
        model: with its adapter where it has one; loaded, or from `make_skeleton`.
        precision: number types of the run.
        training: the section.
        longest: tokens of the longest row.
        device_type: of the device that trains, such as `cpu` or `cuda`.
    """
    return measure_footprint(
        model,
        precision,
        row_tokens=longest,
        device_type=device_type,
        checkpointing=training.gradient_checkpointing,
        optim=training.optim,
        momentum=bool(training.optim_args.get("momentum")),
    )


def measure_footprint(
    model: Any,
    precision: Precision,
    *,
    row_tokens: int,
    device_type: str,
    checkpointing: bool = False,
    optim: str = "adamw_torch_fused",
    momentum: bool = False,
) -> Footprint:
    """Run a step of a model on tensors without values, and count the bytes that are alive at the same time.

    Every tensor of the forward and backward pass is made as in training: of these layers, with this
    adapter, in these number types, head and loss in chunks. Memory grows in straight lines with blocks
    and tokens, so that a few of both are enough.

    Args:
        model: loaded, or from `make_skeleton`; it is as before afterwards.
        precision: number types of the run.
        row_tokens: tokens of a row; attention without a flash kernel takes the more, the longer it is.
        device_type: of the device that trains: CPUs have no flash kernel with dropout.
        checkpointing: whether activations are computed twice.
        optim: name of the optimiser.
        momentum: whether an optimiser that can do without keeps a momentum.
    """
    parameters = list(model.parameters())
    trained = [each for each in parameters if each.requires_grad]
    row_tokens = max(SHORTEST, row_tokens)
    gradients = sum(each.nbytes for each in trained)
    step = EmptyStep(model, precision, row_tokens, device_type, checkpointing)
    measured = _measure_work(step)
    work = measured or _guess_work(step)
    share = HEAP if device_type == "cpu" else 1.0
    return Footprint(
        weights=sum(each.nbytes for each in [*parameters, *model.buffers()]),
        gradients=gradients,
        optimiser=int(gradients * count_states(optim, momentum=momentum)),
        fixed=round(share * work.fixed),
        per_token=share * work.per_token,
        num_operations=work.num_operations,
        num_parameters=sum(each.numel() for each in parameters),
        num_trained=sum(each.numel() for each in trained),
        is_guess=measured is None,
    )


def measure_scoring(model: Any, precision: Precision, *, row_tokens: int, device_type: str) -> float:
    """Return what an evaluation takes for each token of a batch, in bytes; 0 where the model does not run."""
    share = HEAP if device_type == "cpu" else 1.0
    row_tokens = max(SHORTEST, row_tokens)
    step = EmptyStep(model, precision, row_tokens, device_type, checkpointing=False, trains=False)
    num_rows = -(-TOKENS[1] // row_tokens)
    try:
        peak, _ = run_empty_step(step, num_rows, min(DEPTHS[1], find_depth(model)))
    except REFUSALS:
        return 0.0
    return share * peak / num_rows / row_tokens


def count_states(optim: str, *, momentum: bool) -> float:
    """Return what an optimiser keeps for each trained weight, in sizes of it."""
    number = next((number for part, number in STATES.items() if part in optim), 2.0)
    number += 1.0 if momentum and optim in ("sgd", "rmsprop") else 0.0
    return number / 4 if "8bit" in optim else number / 8 if "4bit" in optim else number


@dataclass(frozen=True)
class _Work:
    """What a micro-batch takes: bytes whatever its size, bytes for each token, operations."""

    fixed: float
    per_token: float
    num_operations: int


def _measure_work(step: EmptyStep) -> _Work | None:
    """Measure a micro-batch; None where the model does not run without values."""
    depth = find_depth(step.model)
    depths = DEPTHS if depth > DEPTHS[1] else (depth,)
    numbers = [-(-tokens // step.row_tokens) for tokens in TOKENS]
    numbers[1] += numbers[0] == numbers[1]
    found = []
    for num_rows in numbers:
        try:
            taken = [run_empty_step(step, num_rows, blocks) for blocks in depths]
        except REFUSALS:
            return None  # control flow that depends on values, as that of experts
        further = depth - depths[-1]
        peak, operations = (
            last + further * (last - first) for first, last in zip(taken[0], taken[-1], strict=True)
        )
        found.append(peak)
    per_token = (found[1] - found[0]) / (numbers[1] - numbers[0]) / step.row_tokens
    return _Work(max(0.0, found[0] - per_token * numbers[0] * step.row_tokens), per_token, operations)


def _guess_work(step: EmptyStep) -> _Work:
    """Guess from sizes alone: what blocks keep without the attention's square, and the logits of a chunk."""
    config = step.model.config.get_text_config()
    is_short = "float32" not in (step.precision.compute or step.precision.weights)
    hidden, size = getattr(config, "hidden_size", 1024), 2 if is_short else 4
    values = hidden if step.checkpointing else LAYER_VALUES * hidden / 2
    depth = max(1, find_depth(step.model))
    return _Work(
        12.0 * CHUNK * getattr(config, "vocab_size", 0), size * values * depth, LAYER_OPERATIONS * depth
    )
