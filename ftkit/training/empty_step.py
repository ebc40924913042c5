"""A step of a model on tensors that have shapes and nothing in them: what of it is alive at the same time."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.models.padding_free import attending_apart, find_body, may_do_without_padding
from ftkit.models.precision import Precision
from ftkit.models.quiet import quiet_transformers
from ftkit.tasks.head_loss import Transform, apply_head, read_hidden
from ftkit.tasks.supervised_positions import find_head

if TYPE_CHECKING:
    import torch

REFUSALS = (RuntimeError, TypeError, ValueError, KeyError, IndexError, AttributeError)
"""What torch raises where a pass cannot do without values."""


@dataclass(frozen=True)
class EmptyStep:
    """A kind of step that is measured with several sizes."""

    model: Any
    precision: Precision
    row_tokens: int
    device_type: str
    checkpointing: bool
    trains: bool = True


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


def run_empty_step(step: EmptyStep, num_rows: int, depth: int) -> tuple[int, int]:
    """Return the most bytes alive at once in a step, beside weights and gradients, and its operations."""
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
            each.grad = torch.empty_like(each) if each.requires_grad and step.trains else None
        for each in [*model.parameters(), *model.buffers()]:
            count.ignore(each)
            count.ignore(each.grad)
        is_flat = step.device_type == "cpu" and may_do_without_padding(model, step.row_tokens)
        inputs = _make_inputs(model, num_rows, step.row_tokens, is_flat=is_flat)
        attention = attending_apart(model, [step.row_tokens] * num_rows) if is_flat else nullcontext()
        if step.device_type != "cpu":
            attention = attending_in_flashes(model)
        stack.enter_context(attention)
        with count, torch.set_grad_enabled(step.trains):
            with torch.autocast("cpu", dtype=dtype, enabled=step.precision.compute is not None):
                loss = _compute_loss(model, inputs, in_chunks=step.precision.compute != "float16")
            if step.trains:
                loss.backward()
    return count.peak, count.number


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
            self.now = self.peak = self.number = 0

        def ignore(self, tensor: torch.Tensor | None) -> None:
            """Leave out a tensor that is there before."""
            if tensor is not None:
                self._add(tensor, counts=False)

        def __torch_dispatch__(
            self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            result = function(*args, **(kwargs or {}))
            self.number += 1
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
