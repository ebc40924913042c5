"""The head of a language model, only where there is something to predict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@contextmanager
def head_at(model: torch.nn.Module, positions: torch.Tensor) -> Iterator[None]:
    """Let the model's head compute some positions only.

    The hidden states are selected on their way into the output embedding, so that whatever the
    architecture does behind it (soft-capping, scaling, a bias) stays as it is. With a vocabulary of
    49,152 the head is a fifth of the work and most of the memory of small models.

    Args:
        model: a language model, also under an adapter or a wrapper of torch's.
        positions: which positions are computed, booleans of shape (examples, tokens).

    Yields:
        Nothing; within, the model's logits have the shape (positions, vocabulary).
    """

    def select(_: torch.nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return (inputs[0][positions], *inputs[1:])

    handle = find_head(model).register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()


def find_head(model: Any) -> torch.nn.Module:
    """Return the output embedding under whatever wraps the model."""
    while not hasattr(model, "get_output_embeddings"):
        model = model.module
    head: torch.nn.Module = model.get_output_embeddings()
    return head
