"""Run a model without its padding: the rows of a batch one behind the other, each seeing itself alone."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from inspect import signature
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

NAME = "ftkit_segments"
"""The name of the attention function among those of transformers."""
PER_TOKEN = frozenset({"input_ids", "attention_mask", "token_type_ids"})
"""What of a model's inputs is laid out anew; a model that gets more is run with its padding."""


class _Layout:
    """Where the tokens of the rows lie in the batch that runs now; empty outside of one."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.mask: torch.Tensor | None = None

    def fits(self, query: torch.Tensor) -> bool:
        return bool(self.lengths) and query.shape[0] == 1 and query.shape[2] == int(sum(self.lengths))


_layout = _Layout()


@contextmanager
def without_padding(model: Any) -> Iterator[None]:
    """Let a model's body compute no padding while the body of this runs, forward and backward.

    On its way in, the batch becomes one row of all its tokens; attention is computed for each of the
    rows alone; on its way out, the hidden states are laid out as the batch was. What stands above the
    body notices nothing.

    Args:
        model: for which `can_do_without_padding` said yes, also under an adapter or torch's wrappers.
    """
    body = find_body(model)
    before = body.config._attn_implementation
    _register()
    pack = partial(_pack, first_place=_FIRST_PLACES.get(body) or 0)
    handles = [
        body.register_forward_pre_hook(pack, with_kwargs=True),
        body.register_forward_hook(_unpack),
    ]
    pooler = getattr(body, "pooler", None)
    if pooler is not None:
        handles.append(pooler.register_forward_pre_hook(_unpack_input))
    body.config._attn_implementation = NAME
    try:
        yield
    finally:
        body.config._attn_implementation = before
        _layout.lengths, _layout.mask = [], None
        for handle in handles:
            handle.remove()


@contextmanager
def attending_apart(model: Any, lengths: list[int]) -> Iterator[None]:
    """Let a model take one row of these lengths, one behind the other, as rows of their own.

    Args:
        model: also under an adapter; it gets no attention mask, and a position for each token.
        lengths: tokens of the rows.
    """
    body = find_body(model)
    before = body.config._attn_implementation
    _register()
    body.config._attn_implementation, _layout.lengths = NAME, lengths
    try:
        yield
    finally:
        body.config._attn_implementation, _layout.lengths = before, []


def find_body(model: Any) -> Any:
    """Return the part of a model that ends in hidden states, under adapters and torch's wrappers."""
    while not hasattr(model, "base_model"):
        model = model.module
    if hasattr(model, "get_base_model"):
        model = model.get_base_model()
    return model.base_model


_FIRST_PLACES: WeakKeyDictionary[Any, int | None] = WeakKeyDictionary()
"""The position of a row's first token, for bodies that were tried; None where padding has to stay."""


def can_do_without_padding(model: Any, longest: int) -> bool:
    """Tell whether a model gives the same hidden states without padding, by trying it on a few tokens.

    Args:
        model: in any mode; it is not changed.
        longest: tokens of the longest row; a model whose layers see a shorter window keeps its padding.
    """
    body = find_body(model)
    if not may_do_without_padding(model, longest):
        return False
    if body not in _FIRST_PLACES:
        after_padding = (body.config.pad_token_id or 0) + 1  # where RoBERTa's positions begin
        for place in (0, after_padding):
            _FIRST_PLACES[body] = place
            if _try(body):
                return True
        _FIRST_PLACES[body] = None
    return _FIRST_PLACES[body] is not None


def may_do_without_padding(model: Any, longest: int) -> bool:
    """Tell whether a model's configuration speaks against running it without padding; nothing is tried."""
    config = find_body(model).config
    windows = [
        getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size", "local_attention")
    ]
    return (
        config._attn_implementation == "sdpa"
        and not getattr(config, "is_encoder_decoder", False)
        and all(window is None or window >= longest for window in windows)
    )


def _try(body: Any) -> bool:
    """Run three short rows both ways, and compare."""
    import torch

    ids = torch.arange(27, device=body.device).view(3, 9) * 7 % min(100, body.config.vocab_size)
    mask = torch.ones_like(ids)
    mask[0, 5:] = mask[2, 2:] = 0
    was_training, state = body.training, torch.random.get_rng_state()
    body.eval()
    try:
        with torch.no_grad():
            padded = body(input_ids=ids, attention_mask=mask)
            with without_padding(body):
                packed = body(input_ids=ids, attention_mask=mask)
        return _are_close(padded, packed, mask.bool())
    except (TypeError, ValueError, RuntimeError, KeyError, IndexError, AttributeError):
        return False
    finally:
        body.train(was_training)
        torch.random.set_rng_state(state)


def _are_close(padded: Any, packed: Any, mask: torch.Tensor) -> bool:
    """Compare within what the dtype rounds."""
    import torch

    tolerance = 1e-4 if padded[0].dtype == torch.float32 else 5e-2
    pairs = [(padded[0][mask], packed[0][mask])]
    if getattr(padded, "pooler_output", None) is not None:
        pairs.append((padded.pooler_output, packed.pooler_output))
    return all(
        float((one.float() - other.float()).abs().max()) <= tolerance * max(1.0, float(one.abs().max()))
        for one, other in pairs
    )


def _pack(
    body: Any, args: tuple[Any, ...], kwargs: dict[str, Any], *, first_place: int
) -> tuple[Any, dict[str, Any]] | None:
    """Lay the tokens of a padded batch one behind the other."""
    import torch

    _layout.lengths, _layout.mask = [], None
    kwargs = {**dict(zip(signature(body.forward).parameters, args, strict=False)), **kwargs}
    given = {name for name, value in kwargs.items() if isinstance(value, torch.Tensor)}
    mask = kwargs.get("attention_mask")
    if mask is None or mask.dim() != 2 or not given <= PER_TOKEN:
        return None
    kept = mask.bool()
    _layout.lengths, _layout.mask = kept.sum(1).tolist(), kept
    packed = {name: kwargs[name][kept][None] for name in given - {"attention_mask"}}
    places = torch.cat([torch.arange(length, device=mask.device) for length in _layout.lengths])
    return (), {**kwargs, **packed, "attention_mask": None, "position_ids": places[None] + first_place}


def _unpack(body: Any, inputs: Any, output: Any) -> Any:
    """Lay the last hidden states out as the batch was; padding is zeros."""
    if _layout.lengths:
        output["last_hidden_state"] = _spread(output[0])
    return output


def _unpack_input(pooler: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    is_packed = _layout.lengths and inputs[0].dim() == 3
    return (_spread(inputs[0]), *inputs[1:]) if is_packed else inputs


def _spread(hidden: torch.Tensor) -> torch.Tensor:
    import torch

    assert _layout.mask is not None
    padded = torch.zeros(*_layout.mask.shape, hidden.shape[-1], dtype=hidden.dtype, device=hidden.device)
    padded[_layout.mask] = hidden[0]
    return padded


def _register() -> None:
    """Make the attention function known to transformers, under its name."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    def make_mask(*args: Any, **kwargs: Any) -> Any:
        return None if _layout.lengths else sdpa_mask(*args, **kwargs)

    if NAME not in AttentionInterface():
        AttentionInterface.register(NAME, attend)
        AttentionMaskInterface.register(NAME, make_mask)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Compute attention as torch does, for each row of the batch alone.

    Args:
        module: the attention layer; tells whether it is causal.
        query: shape (1, heads, tokens, size).
        key: shape (1, key heads, tokens, size).
        value: shape (1, key heads, tokens, size).
        attention_mask: None, except where the layout does not fit.
        dropout: share of the attention weights that is dropped.
        scaling: of the scores; None for torch's own.
        is_causal: whether tokens see only those before them; None for what the layer says.
        kwargs: what transformers' own functions take.

    Returns:
        Shape (1, tokens, heads, size), and None for the weights.
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if not _layout.fits(query) or attention_mask is not None:
        usual: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout, scaling, is_causal, **kwargs
        )
        return usual
    if kwargs.get("softcap") is not None or kwargs.get("position_bias") is not None:
        raise ValueError("attention without padding knows no caps and no biases of positions")
    causal = is_causal if is_causal is not None else getattr(module, "is_causal", True)
    dtype = query.dtype
    if is_slow := _is_slow(query):
        query, key, value = query.float(), key.float(), value.float()
    parts = (tensor.split(_layout.lengths, dim=2) for tensor in (query, key, value))
    with torch.autocast(query.device.type, enabled=False) if is_slow else nullcontext():
        rows = [
            torch.nn.functional.scaled_dot_product_attention(
                *row,
                dropout_p=dropout,
                is_causal=causal and row[0].shape[2] > 1,
                scale=scaling,
                enable_gqa=query.shape[1] != key.shape[1],
            )
            for row in zip(*parts, strict=True)
        ]
    return torch.cat(rows, dim=2).transpose(1, 2).to(dtype), None


def _is_slow(query: torch.Tensor) -> bool:
    """Tell whether attention is faster in float32: bfloat16 on CPUs without matrix units (AMX)."""
    import torch

    return query.device.type == "cpu" and query.dtype == torch.bfloat16 and not has_matrix_units()


def has_matrix_units() -> bool:
    """Tell whether the CPU has AMX, by which torch's attention kernels are fast in bfloat16."""
    import torch

    abilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(abilities.get("amx_bf16"))
