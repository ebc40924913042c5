"""The head of a language model, only where there is something to predict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from ftkit.errors import ModelError

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

    head = find_head(model)
    if head is None:
        raise ModelError("the model has no output embedding, so it is no language model; take another base")
    handle = head.register_forward_pre_hook(select)
    try:
        yield
    finally:
        handle.remove()


def compute_logits(
    model: torch.nn.Module, inputs: Mapping[str, torch.Tensor], positions: torch.Tensor
) -> torch.Tensor:
    """Run a language model and return its logits at some positions, shape (positions, vocabulary).

    All logits are computed where the architecture has no head of its own to be told.

    Args:
        model: also under an adapter or a wrapper of torch's.
        inputs: what it reads.
        positions: booleans of shape (examples, tokens).
    """
    with head_at(model, positions) if find_head(model) is not None else nullcontext():
        logits: torch.Tensor = model(**inputs).logits
    return logits if logits.dim() == 2 else logits[positions]


def find_head(model: Any) -> torch.nn.Module | None:
    """Return the output embedding under whatever wraps the model; None where it has none."""
    head: torch.nn.Module | None = find_model(model).get_output_embeddings()
    return head


def find_model(model: Any) -> Any:
    """Return the model under wrappers of torch's; an adapter stays around it."""
    while not hasattr(model, "get_output_embeddings"):
        model = model.module
    return model
