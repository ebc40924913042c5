"""LoRA layers with fewer and shorter steps, on peft's own modules."""

from __future__ import annotations

from types import MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


def make_lora_lean(model: nn.Module) -> int:
    """Let the LoRA layers of a model compute in the dtype of their base, and keep little for backward.

    peft casts each input to the float32 of the adapter and adds two more tensors of the output's size;
    here the small matrices are cast instead (they and their updates stay float32), and their product is
    added in place. On CPUs that is a fifth of a training step. Layers that do more than plain LoRA
    (dropout, DoRA, several adapters, quantised or transposed bases) are left to peft.

    Args:
        model: with adapters of peft; state and names do not change.

    Returns:
        The number of layers that were changed.
    """
    from peft.tuners.lora import Linear

    layers = [module for module in model.modules() if type(module) is Linear and _is_plain(module)]
    for layer in layers:
        layer.forward = MethodType(_forward, layer)
    return len(layers)


def _is_plain(layer: Any) -> bool:
    """Tell whether a layer is a linear layer plus B(A(x)), all in one floating dtype at most."""
    import torch

    base, names = layer.base_layer, list(layer.lora_A)
    if type(base) is not torch.nn.Linear or len(names) != 1 or layer.lora_variant:
        return False
    if base.weight.requires_grad or base._forward_hooks or base._forward_pre_hooks:
        return False
    without_bias = layer.lora_A[names[0]].bias is None and layer.lora_B[names[0]].bias is None
    return without_bias and isinstance(layer.lora_dropout[names[0]], torch.nn.Identity)


def _forward(layer: Any, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
    import torch

    weight = layer.base_layer.weight
    is_usual = not (args or kwargs or layer.disable_adapters or layer.merged)
    if not is_usual or x.dtype != weight.dtype or torch.is_autocast_enabled(x.device.type):
        result: torch.Tensor = type(layer).forward(layer, x, *args, **kwargs)
        return result
    (name,) = layer.lora_A
    product: torch.Tensor = _function().apply(
        x,
        weight,
        layer.base_layer.bias,
        layer.lora_A[name].weight,
        layer.lora_B[name].weight,
        layer.scaling[name],
    )
    return product


def _make_function() -> Any:
    import torch

    class LoraProduct(torch.autograd.Function):  # type: ignore[misc]
        """x W' + bias + scale x A' B', with gradients for x, A and B; W is frozen."""

        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, bias: Any, a: Any, b: Any, scale: float) -> Any:
            rows = x.reshape(-1, x.shape[-1])
            small_a, small_b = a.to(x.dtype), (b * scale).to(x.dtype)
            hidden = rows @ small_a.T
            out = torch.nn.functional.linear(rows, weight, bias).addmm_(hidden, small_b.T)
            ctx.save_for_backward(rows, weight, small_a, small_b, hidden)
            ctx.scale, ctx.dtypes = scale, (a.dtype, b.dtype)
            return out.view(*x.shape[:-1], out.shape[-1])

        @staticmethod
        def backward(ctx: Any, gradient: Any) -> Any:
            rows, weight, a, b, hidden = ctx.saved_tensors
            flat = gradient.reshape(-1, gradient.shape[-1])
            inner = flat @ b
            for_x = None
            if ctx.needs_input_grad[0]:
                for_x = (flat @ weight).addmm_(inner, a).view(*gradient.shape[:-1], rows.shape[-1])
            for_a = (inner.T @ rows).to(ctx.dtypes[0])
            for_b = (hidden.T @ flat).T.to(ctx.dtypes[1]).mul_(ctx.scale)
            return for_x, None, None, for_a, for_b, None

    return LoraProduct


def _function() -> Any:
    """Make the function once: its base class is torch's, which is not imported before it is needed."""
    global _FUNCTION  # noqa: PLW0603
    if _FUNCTION is None:
        _FUNCTION = _make_function()
    return _FUNCTION


_FUNCTION: Any = None
