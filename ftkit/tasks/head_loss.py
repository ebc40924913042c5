"""Head and loss of a language model in chunks, so that the logits of a batch never exist at once."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakSet

from ftkit.tasks.supervised_positions import compute_logits, find_head, find_model

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

CHUNK = 256
"""Positions whose logits are computed at a time: enough for matrix units, few enough for caches."""


@dataclass(frozen=True)
class Transform:
    """What an architecture does to the logits of its head: `cap * tanh(scale * logits / cap)`."""

    scale: float = 1.0
    cap: float | None = None


def sum_losses(
    model: Any,
    inputs: Mapping[str, torch.Tensor],
    positions: torch.Tensor,
    targets: torch.Tensor,
    *,
    weights: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """Return the cross-entropy summed over some positions, in nats, a scalar.

    Where the head is a linear layer, loss and gradients are computed chunk by chunk, in the forward
    pass; elsewhere by way of the model's own logits.

    Args:
        model: a language model, also under an adapter or a wrapper of torch's.
        inputs: what it reads.
        positions: which positions are predicted, booleans of shape (examples, tokens).
        targets: what stands there, shape (items,).
        weights: how much each counts, shape (items,).
        label_smoothing: share of each target that is spread over the vocabulary.
    """
    import torch

    transform = find_transform(model, inputs)
    if transform is None or _is_scaled(model):
        if transform is None:
            _say_once(model)
        logits = compute_logits(model, inputs, positions).float()
        losses = torch.nn.functional.cross_entropy(
            logits, targets, reduction="none", label_smoothing=label_smoothing
        )
        return losses.sum() if weights is None else (losses * weights).sum()
    hidden = read_hidden(model, inputs, positions)
    return apply_head(
        hidden,
        find_head(model),
        targets,
        weights=weights,
        label_smoothing=label_smoothing,
        transform=transform,
    )


def apply_head(
    hidden: torch.Tensor,
    head: Any,
    targets: torch.Tensor,
    *,
    transform: Transform,
    weights: torch.Tensor | None = None,
    label_smoothing: float = 0.0,
) -> torch.Tensor:
    """Return the cross-entropy summed over some positions, a scalar, computed chunk by chunk.

    Args:
        hidden: what the head reads there, shape (items, hidden).
        head: a linear layer.
        targets: what stands there, shape (items,).
        transform: what stands between the head's product and the logits.
        weights: how much each counts, shape (items,).
        label_smoothing: share of each target that is spread over the vocabulary.
    """
    total: torch.Tensor = _function().apply(
        hidden, head.weight, head.bias, targets, weights, label_smoothing, transform
    )
    return total


def list_losses(
    model: Any,
    inputs: Mapping[str, torch.Tensor],
    positions: torch.Tensor,
    targets: torch.Tensor,
    *,
    with_best: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cross-entropy at some positions, in nats, and the likeliest token there, without gradients.

    Args:
        model: a language model, also under an adapter or a wrapper of torch's.
        inputs: what it reads.
        positions: booleans of shape (examples, tokens).
        targets: what stands there, shape (items,).
        with_best: whether to look for the likeliest token, which reads all logits once more.

    Returns:
        Both of shape (items,); of the tokens (0,) where they are not wanted.
    """
    import torch

    def judge(logits: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return losses and likeliest tokens of some logits."""
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
        return losses, logits.argmax(-1) if with_best else targets[:0]

    transform = find_transform(model, inputs)
    if transform is None:
        return judge(compute_logits(model, inputs, positions).float(), targets)
    hidden = read_hidden(model, inputs, positions)
    head: Any = find_head(model)
    found = [(targets[:0].float(), targets[:0])]
    # Chunks of one size: a small last one would leave a hole in the heap that no other fits into.
    size = -(-len(hidden) // max(1, -(-len(hidden) // CHUNK))) or 1
    for begin in range(0, len(hidden), size):
        part = slice(begin, begin + size)
        product = torch.nn.functional.linear(hidden[part], head.weight, head.bias)
        found.append(judge(_transform(product.float(), transform), targets[part]))
    return torch.cat([losses for losses, _ in found]), torch.cat([best for _, best in found])


def read_hidden(model: Any, inputs: Mapping[str, torch.Tensor], positions: torch.Tensor) -> torch.Tensor:
    """Run a model as far as its head and return what the head would read, shape (items, hidden)."""
    found: list[torch.Tensor] = []

    def take(_: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden = arguments[0]
        found.append(hidden[positions] if hidden.dim() == 3 else hidden)
        return (hidden.flatten(0, -2)[:0], *arguments[1:])

    handle = find_head(model).register_forward_pre_hook(take)  # type: ignore[union-attr]
    try:
        model(**inputs)
    finally:
        handle.remove()
    return found[0]


_SAID: WeakSet[Any] = WeakSet()


def _say_once(model: Any) -> None:
    """Say, once for a model, that its head is none that can be computed in chunks."""
    inner = find_model(model)
    if inner not in _SAID:
        _SAID.add(inner)
        logger.info(
            "head: %s makes its logits otherwise than by one linear layer, or has it spread over devices; it "
            "computes those of a micro-batch at once, which takes more memory",
            type(inner).__name__,
        )


_TRANSFORMS: WeakKeyDictionary[Any, Transform | None] = WeakKeyDictionary()


def find_transform(model: Any, inputs: Mapping[str, torch.Tensor]) -> Transform | None:
    """Find out what stands between the head's product and the logits, by trying it on a few tokens.

    Returns:
        None where the head is no linear layer of its own, or the logits come about otherwise.
    """
    import torch

    head: Any = find_head(model)
    if type(head) is not torch.nn.Linear or head._forward_hooks or head._forward_pre_hooks:
        return None
    is_sharded = type(head.weight) is not torch.nn.Parameter or hasattr(head.weight, "ds_id")
    if is_sharded or head.weight.shape != (head.out_features, head.in_features):
        return None  # whole only within its own forward pass
    if head not in _TRANSFORMS:
        config = find_model(model).config
        config = config.get_text_config() if hasattr(config, "get_text_config") else config
        _TRANSFORMS[head] = _try_transform(model, head, inputs, config)
    return _TRANSFORMS[head]


def _try_transform(
    model: Any, head: torch.nn.Linear, inputs: Mapping[str, Any], config: Any
) -> Transform | None:
    """Compare the model's own logits on a few tokens with what the head's product would give."""
    import torch

    scale = float(getattr(config, "logit_scale", None) or 1.0) / float(
        getattr(config, "logits_scaling", None) or 1.0
    )
    transform = Transform(scale, getattr(config, "final_logit_softcapping", None))
    few = {
        name: value[:1, :8] if isinstance(value, torch.Tensor) else value for name, value in inputs.items()
    }
    found: list[torch.Tensor] = []
    handle = head.register_forward_pre_hook(lambda _, arguments: found.append(arguments[0]))
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits = model(**few).logits.float()
            if len(found) != 1:
                return None
            ours = _transform(torch.nn.functional.linear(found[0], head.weight, head.bias).float(), transform)
    finally:
        model.train(was_training)
        handle.remove()
    same = ours.shape == logits.shape and torch.allclose(ours, logits, rtol=1e-2, atol=1e-2)
    return transform if same else None


def _is_scaled(model: Any) -> bool:
    """Tell whether gradients are scaled against underflow, which those made in the forward pass are not."""
    import torch

    kind = next(model.parameters()).device.type
    return bool(torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) == torch.float16)


def _transform(logits: torch.Tensor, transform: Transform) -> torch.Tensor:
    if transform.scale != 1.0:
        logits = logits.mul_(transform.scale)
    if transform.cap is not None:
        logits = logits.div_(transform.cap).tanh_().mul_(transform.cap)
    return logits


def _make_function() -> Any:
    import torch

    class HeadLoss(torch.autograd.Function):  # type: ignore[misc]
        """The summed loss; the gradients are made beside it and only multiplied on the way back."""

        @staticmethod
        def forward(
            ctx: Any,
            hidden: Any,
            weight: Any,
            bias: Any,
            targets: Any,
            weights: Any,
            smoothing: float,
            transform: Transform,
        ) -> Any:
            wanted = ctx.needs_input_grad[:3]
            made = _Gradients(hidden, weight, bias, wanted)
            total = torch.zeros((), device=hidden.device)
            for begin in range(0, len(hidden), CHUNK):
                part = slice(begin, begin + CHUNK)
                logits = torch.nn.functional.linear(hidden[part], made.weight, made.bias)
                counts = None if weights is None else weights[part].float()
                losses, slopes = differentiate(logits, targets[part], counts, smoothing, transform)
                total += losses.sum()
                made.add(part, slopes)
            ctx.made = made.list()
            return total

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            made = [None if tensor is None else tensor.mul_(gradient) for tensor in ctx.made]
            ctx.made = None
            return *made, None, None, None, None

    return HeadLoss


class _Gradients:
    """Gradients of hidden states and head, summed up chunk by chunk."""

    def __init__(self, hidden: Any, weight: Any, bias: Any, wanted: tuple[bool, ...]) -> None:
        import torch

        kind = hidden.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
        self.hidden, self.weight = hidden.to(dtype), weight.to(dtype)
        self.bias = None if bias is None else bias.to(dtype)
        self.for_hidden = torch.empty_like(hidden) if wanted[0] else None
        self.for_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted[1] else None
        self.for_bias = torch.zeros_like(bias, dtype=torch.float32) if wanted[2] else None
        self.dtypes = (hidden.dtype, weight.dtype, None if bias is None else bias.dtype)

    def add(self, part: slice, slopes: torch.Tensor) -> None:
        """Take in the slopes of a chunk's logits, shape (items, vocabulary)."""
        if self.for_bias is not None:
            self.for_bias += slopes.sum(0)
        short = slopes.to(self.weight.dtype)
        if self.for_hidden is not None:
            self.for_hidden[part] = short @ self.weight
        if self.for_weight is not None:
            self.for_weight += short.T @ self.hidden[part]

    def list(self) -> list[torch.Tensor | None]:
        """Return the gradients in the dtypes of what they are of."""
        made = (self.for_hidden, self.for_weight, self.for_bias)
        return [
            None if tensor is None else tensor.to(dtype)
            for tensor, dtype in zip(made, self.dtypes, strict=True)
        ]


def differentiate(
    logits: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor | None,
    smoothing: float,
    transform: Transform,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the losses of some positions and the slopes of their sum by the head's product.

    Args:
        logits: the head's product, shape (items, vocabulary); overwritten.
        targets: shape (items,).
        weights: how much each counts, shape (items,); None for one each.
        smoothing: share of each target that is spread over the vocabulary.
        transform: what stands between the product and the logits.

    Returns:
        Losses, weighted, shape (items,), and slopes, shape (items, vocabulary), both float32.
    """
    import torch

    capped = _transform(logits.float(), transform)
    logs = capped.log_softmax(-1)
    losses = -(1 - smoothing) * logs.gather(1, targets[:, None])[:, 0]
    if smoothing:
        losses = losses - smoothing * logs.mean(-1)
    slopes = logs.exp_()
    if smoothing:
        slopes -= smoothing / logits.shape[-1]
    slopes.scatter_add_(1, targets[:, None], torch.full_like(losses, smoothing - 1)[:, None])
    if transform.cap is not None:
        slopes *= 1 - (capped / transform.cap) ** 2
    if transform.scale != 1.0:
        slopes *= transform.scale
    return (losses, slopes) if weights is None else (losses * weights, slopes.mul_(weights[:, None]))


def _function() -> Any:
    """Make the function once: its base class is torch's, which is not imported before it is needed."""
    global _FUNCTION  # noqa: PLW0603
    if _FUNCTION is None:
        _FUNCTION = _make_function()
    return _FUNCTION


_FUNCTION: Any = None
