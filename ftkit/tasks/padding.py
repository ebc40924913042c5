"""Rectangles out of ragged examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""The label of a position that carries no loss, as torch.nn.functional.cross_entropy has it."""


NO_INPUTS = frozenset({"labels", "row", "weights"})
"""What of a batch only the loss and the records need."""


def pad_sequences(
    sequences: Sequence[Sequence[float]],
    value: float,
    *,
    side: str = "right",
    dtype: torch.dtype | None = None,
) -> torch.Tensor:
    """Stack sequences of different length.

    Args:
        sequences: token ids, labels or weights, each of shape (tokens,).
        value: what fills the gaps.
        side: the side of the filling, `right` or `left`.
        dtype: of the result; None for integers.

    Returns:
        Shape (sequences, longest).
    """
    import torch

    width = max(len(sequence) for sequence in sequences)
    dtype = dtype or torch.long
    rectangle = torch.full((len(sequences), width), value, dtype=dtype)
    for index, sequence in enumerate(sequences):
        place = slice(0, len(sequence)) if side == "right" else slice(width - len(sequence), width)
        rectangle[index, place] = torch.as_tensor(sequence, dtype=dtype)
    return rectangle


def pad_inputs(
    examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase, *, side: str = "right"
) -> dict[str, torch.Tensor]:
    """Pad what the model reads: ids, mask and, where the tokenizer makes them, token types.

    The mask comes from the lengths and not from the ids, so that a pad token which is also the end
    token stays visible where it is text.
    """
    ids = [example["input_ids"] for example in examples]
    batch = {
        "input_ids": pad_sequences(ids, tokenizer.pad_token_id or 0, side=side),
        "attention_mask": pad_sequences([[1] * len(sequence) for sequence in ids], 0, side=side),
    }
    if examples[0].get("token_type_ids") is not None:
        types = [example["token_type_ids"] for example in examples]
        batch["token_type_ids"] = pad_sequences(types, tokenizer.pad_token_type_id, side=side)
    return batch


def select_inputs(batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Leave out what only the loss and the records need."""
    return {name: tensor for name, tensor in batch.items() if name not in NO_INPUTS}
