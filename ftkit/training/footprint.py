"""What memory training takes: a step of the model with tensors that have shapes and nothing in them.

Every estimate in the house comes from here: for `micro_batch_size: auto`, for `ftkit check` and for
`ftkit plan`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.models.padding_free import attending_apart, find_body, may_do_without_padding
from ftkit.models.precision import Precision
from ftkit.models.quiet import quiet_transformers
from ftkit.tasks.head_loss import CHUNK, Transform, apply_head, read_hidden
from ftkit.tasks.supervised_positions import find_head

if TYPE_CHECKING:
    import torch

    from ftkit.recipe import TrainingSection

DEPTHS = (1, 2)
"""Blocks of a model that are run; each further one takes what the last one took."""
TOKENS = (512, 1024)
"""About how many tokens are run; each further one takes what the last one took."""
STATES = {"sgd": 0.0, "adafactor": 0.01, "lion": 1.0, "adagrad": 1.0, "rmsprop": 1.0, "galore": 0.5}
"""What optimisers keep for each trained weight, in sizes of it, by a part of their names; others, such as
Adam, keep two."""


HEAP = 1.2
"""What a CPU's heap takes for the tensors of a micro-batch, in sizes of them: places that are freed fit no
other tensor. Measured with `tests/benchmarks/planning.py`; with `MALLOC_MMAP_THRESHOLD_=65536`, by which
every tensor has pages of its own, it is 1.0."""
LAYER_VALUES = 34
"""Values of 16 bits that a block keeps for a backward pass, for each token and hidden unit: Korthikanti et
al. 2022, "Reducing Activation Recomputation in Large Transformer Models", section 4.1."""


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
    is_guess: bool = False
    """Whether the model could not be run without values, and sizes alone speak."""

    @property
    def states(self) -> int:
        """What is there through the whole run: weights, gradients, optimiser."""
        return self.weights + self.gradients + self.optimiser

    def count_work(self, num_tokens: int) -> int:
        """Return what a micro-batch of some tokens takes on top of the states."""
        return round(self.fixed + self.per_token * num_tokens)

    def count_total(self, num_tokens: int) -> int:
        """Return the peak of training with micro-batches of some tokens."""
        return self.states + self.count_work(num_tokens)

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
    gradients = sum(each.nbytes for each in trained)
    step = _Step(model, precision, row_tokens, device_type, checkpointing)
    work = _measure_work(step)
    fixed, per_token = work or _guess_work(step)
    share = HEAP if device_type == "cpu" else 1.0
    return Footprint(
        weights=sum(each.nbytes for each in [*parameters, *model.buffers()]),
        gradients=gradients,
        optimiser=int(gradients * count_states(optim, momentum=momentum)),
        fixed=round(share * fixed),
        per_token=share * per_token,
        num_parameters=sum(each.numel() for each in parameters),
        num_trained=sum(each.numel() for each in trained),
        is_guess=work is None,
    )


def count_states(optim: str, *, momentum: bool) -> float:
    """Return what an optimiser keeps for each trained weight, in sizes of it."""
    number = next((number for part, number in STATES.items() if part in optim), 2.0)
    number += 1.0 if momentum and optim in ("sgd", "rmsprop") else 0.0
    return number / 4 if "8bit" in optim else number / 8 if "4bit" in optim else number


@dataclass(frozen=True)
class _Step:
    """A kind of step that is measured with several sizes."""

    model: Any
    precision: Precision
    row_tokens: int
    device_type: str
    checkpointing: bool


def _measure_work(step: _Step) -> tuple[float, float] | None:
    """Return the bytes of a micro-batch, for any and for each token; None where the model does not run."""
    depth = find_depth(step.model)
    depths = DEPTHS if depth > DEPTHS[1] else (depth,)
    numbers = [-(-tokens // step.row_tokens) for tokens in TOKENS]
    numbers[1] += numbers[0] == numbers[1]
    found = []
    for num_rows in numbers:
        try:
            peaks = [_run_step(step, num_rows, blocks) for blocks in depths]
        except (
            RuntimeError,
            TypeError,
            ValueError,
            KeyError,
            IndexError,
            AttributeError,
            NotImplementedError,
        ):
            return None  # control flow that depends on values, as that of experts
        slope = (peaks[-1] - peaks[0]) / (depths[-1] - depths[0]) if len(depths) > 1 else 0.0
        found.append(peaks[-1] + slope * (depth - depths[-1]))
    per_token = (found[1] - found[0]) / (numbers[1] - numbers[0]) / step.row_tokens
    return max(0.0, found[0] - per_token * numbers[0] * step.row_tokens), per_token


def _guess_work(step: _Step) -> tuple[float, float]:
    """Guess from sizes alone: what blocks keep without the attention's square, and the logits of a chunk."""
    config = step.model.config.get_text_config()
    is_short = "float32" not in (step.precision.compute or step.precision.weights)
    hidden, size = getattr(config, "hidden_size", 1024), 2 if is_short else 4
    values = hidden if step.checkpointing else LAYER_VALUES * hidden / 2
    return 12.0 * CHUNK * getattr(config, "vocab_size", 0), size * values * max(1, find_depth(step.model))


def find_depth(model: Any) -> int:
    """Return the number of blocks that a model has one behind the other; 0 where they are not found."""
    return max((len(blocks) for blocks in _list_blocks(model)), default=0)


def _list_blocks(model: Any) -> list[Any]:
    """List the deepest stacks of equal blocks."""
    from torch import nn

    stacks = [
        module
        for module in model.modules()
        if isinstance(module, nn.ModuleList) and len({type(block) for block in module}) == 1
    ]
    deepest = max((len(stack) for stack in stacks), default=0)
    return [stack for stack in stacks if len(stack) == deepest]


@contextmanager
def _shortened(model: Any, depth: int) -> Iterator[None]:
    """Let a model have fewer blocks for a while."""
    stacks = _list_blocks(model)
    before = [stack._modules for stack in stacks]
    for stack in stacks:
        stack._modules = dict(list(stack._modules.items())[:depth])
    try:
        yield
    finally:
        for stack, blocks in zip(stacks, before, strict=True):
            stack._modules = blocks


def _run_step(step: _Step, num_rows: int, depth: int) -> int:
    """Return the most bytes that are alive at once in a step, beside weights and gradients."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    model, count = step.model, _make_counter()
    dtype = getattr(torch, step.precision.compute or "bfloat16")
    if dtype == torch.float16:
        dtype = torch.bfloat16  # of the same size, and known to CPUs
    with ExitStack() as stack:
        for context in (
            quiet_transformers(),
            _shortened(model, depth),
            _training(model, checkpointing=step.checkpointing),
            FakeTensorMode(),
            _filled(model),
        ):
            stack.enter_context(context)
        for each in model.parameters():
            each.grad = torch.empty_like(each) if each.requires_grad else None
        for each in [*model.parameters(), *model.buffers()]:
            count.ignore(each)
            count.ignore(each.grad)
        is_flat = step.device_type == "cpu" and may_do_without_padding(model, step.row_tokens)
        inputs = _make_inputs(model, num_rows, step.row_tokens, is_flat=is_flat)
        attention = attending_apart(model, [step.row_tokens] * num_rows) if is_flat else nullcontext()
        if step.device_type != "cpu":
            attention = attending_in_flashes(model)
        stack.enter_context(attention)
        with count:
            with torch.autocast("cpu", dtype=dtype, enabled=step.precision.compute is not None):
                loss = _compute_loss(model, inputs, in_chunks=step.precision.compute != "float16")
            loss.backward()
    return int(count.peak)


@contextmanager
def attending_in_flashes(model: Any) -> Iterator[None]:
    """Let a model attend as accelerators do: with a kernel that keeps no weights, for dropout as well."""
    from transformers import AttentionInterface, AttentionMaskInterface

    name, config = "ftkit_flash", find_body(model).config
    if config._attn_implementation != "sdpa":
        yield
        return
    AttentionInterface.register(name, _attend_in_flashes)
    AttentionMaskInterface.register(name, lambda *_, **__: None)
    config._attn_implementation = name
    try:
        yield
    finally:
        config._attn_implementation = "sdpa"


def _attend_in_flashes(
    module: Any, query: Any, key: Any, value: Any, mask: Any, scaling: Any = None, **options: Any
) -> tuple[Any, None]:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    options = {**options, "dropout": 0.0}
    result: tuple[Any, None] = sdpa_attention_forward(
        module, query, key, value, None, scaling=scaling, **options
    )
    return result


@contextmanager
def _filled(model: Any) -> Iterator[None]:
    """Give a model tensors that have a device and no memory, in place of those of the meta device."""
    import torch

    owners = [
        (store, name)
        for each in model.modules()
        for store in (each._parameters, each._buffers)
        for name in store
    ]
    before = [(store, name, store[name]) for store, name in owners]
    made: dict[int, Any] = {}
    for store, name, tensor in before:
        if tensor is None:
            continue
        if id(tensor) not in made:
            empty = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
            is_weight = isinstance(tensor, torch.nn.Parameter)
            made[id(tensor)] = torch.nn.Parameter(empty, tensor.requires_grad) if is_weight else empty
        store[name] = made[id(tensor)]
    try:
        yield
    finally:
        for store, name, tensor in before:
            store[name] = tensor


@contextmanager
def _training(model: Any, *, checkpointing: bool) -> Iterator[None]:
    """Put a model into training for a while, with activations computed twice where the recipe says so."""
    was_training = model.training
    model.train()
    name = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    if checkpointing:
        getattr(model, f"{name}_checkpointing_enable")()
    try:
        yield
    finally:
        model.train(was_training)
        if checkpointing:
            getattr(model, f"{name}_checkpointing_disable")()


def _make_inputs(model: Any, num_rows: int, row_tokens: int, *, is_flat: bool) -> dict[str, torch.Tensor]:
    """Make what the model reads: rows of one length."""
    import torch

    shape = (1, num_rows * row_tokens) if is_flat else (num_rows, row_tokens)
    ids = torch.zeros(shape, dtype=torch.long)
    if "MultipleChoice" in _name_class(model):
        ids = ids[:, None]
    inputs = {"input_ids": ids}
    if is_flat:
        inputs["position_ids"] = torch.arange(row_tokens).repeat(num_rows)[None]
    if getattr(model.config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = ids
    return inputs


def _name_class(model: Any) -> str:
    return type(model.get_base_model() if hasattr(model, "get_base_model") else model).__name__


def _compute_loss(model: Any, inputs: Mapping[str, torch.Tensor], *, in_chunks: bool) -> torch.Tensor:
    """Run a model up to a scalar, as the tasks do: with a loss for every token, or for its few outputs."""
    import torch

    head = find_head(model)
    if head is None:
        outputs = model(**inputs)
        names = ("logits", "start_logits", "end_logits")
        total: torch.Tensor = sum(outputs[name].float().sum() for name in names if name in outputs)
        return total
    targets = torch.zeros(inputs["input_ids"].numel(), dtype=torch.long)
    if in_chunks and type(head) is torch.nn.Linear:
        hidden = read_hidden(model, inputs, slice(None)).flatten(0, -2)
        return apply_head(hidden, head, targets, transform=Transform())
    logits = model(**inputs).logits.flatten(0, -2).float()
    return torch.nn.functional.cross_entropy(logits, targets, reduction="sum")


def _make_counter() -> Any:
    """Make what counts the bytes of all tensors that an operation makes, as long as they live."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Counter(TorchDispatchMode):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.alive: dict[int, Any] = {}
            self.now = self.peak = 0

        def ignore(self, tensor: torch.Tensor | None) -> None:
            """Leave out a tensor that is there before."""
            if tensor is not None:
                self._add(tensor, counts=False)

        def __torch_dispatch__(
            self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = function(*args, **(kwargs or {}))
            for tensor in tree_leaves(result):
                if isinstance(tensor, torch.Tensor):
                    self._add(tensor)
            return result

        def _add(self, tensor: torch.Tensor, *, counts: bool = True) -> None:
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key in self.alive:
                return
            size = storage.nbytes() if counts else 0
            self.alive[key] = weakref.finalize(storage, self._drop, key, size)
            self.now += size
            self.peak = max(self.peak, self.now)

        def _drop(self, key: int, size: int) -> None:
            del self.alive[key]
            self.now -= size

    return Counter()
