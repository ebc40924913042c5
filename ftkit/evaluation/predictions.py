"""A model and a split -> one record per example, without keeping any tensor."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from ftkit.errors import DeviceMemoryError
from ftkit.models.padding_free import can_do_without_padding, without_padding
from ftkit.training.loop import read_lengths, read_processes
from ftkit.training.memory import is_out_of_memory
from ftkit.training.steps import MicroBatchLimit, split_step

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split

BATCH_TOKENS = 4096
"""Tokens of one batch, with padding, on an accelerator: without gradients there is room."""
CPU_BATCH_TOKENS = 1024


def predict_split(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    split: Split,
    *,
    compute_dtype: str | None = None,
    advance: Callable[[int], Any] | None = None,
) -> list[dict[str, Any]]:
    """Run a model over a split.

    Under a launcher every process takes its share, and all of them get all the records.

    Args:
        model: on the device where it is to run.
        tokenizer: for padding.
        task: how a batch is made and read.
        split: encoded rows.
        compute_dtype: dtype of autocast, as in training; None for the dtype of the weights.
        advance: is told after each batch how many examples were predicted.

    Returns:
        The task's merged records, from one record per example, in their order, each exactly once.
    """
    world_size, rank = read_processes()
    places = range(rank, len(split.examples), world_size)
    lengths = read_lengths(split.examples)
    records: list[tuple[int, dict[str, Any]]] = []
    packs = can_do_without_padding(model, int(lengths.max()))
    limit = MicroBatchLimit(num_tokens=_budget(model.device), counts_padding=not packs)
    layout = without_padding(model) if packs else nullcontext()
    with evaluating(model), autocast(model.device, compute_dtype), layout:
        for positions in split_step([lengths[place] for place in places], limit):
            chosen = [places[position] for position in positions]
            records += zip(chosen, _predict_places(model, tokenizer, task, split, chosen), strict=True)
            if advance is not None:
                advance(len(chosen))
    ordered = sorted(gather_records(records, world_size), key=lambda pair: pair[0])
    return task.merge([record for _, record in ordered], split.rows)


def _predict_places(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, task: Task, split: Split, places: list[int]
) -> list[dict[str, Any]]:
    """Predict some examples as one batch, or in halves where memory runs out."""
    examples = split.examples.__getitems__(places)
    try:
        batch = task.collate(examples, tokenizer, split.encoding, (0,))
        on_device = {name: tensor.to(model.device) for name, tensor in batch.items()}
        return task.predict(model, on_device, examples)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(places) == 1:
            raise DeviceMemoryError(
                f"out of memory while one example of {len(examples[0]['input_ids'])} tokens was scored; set "
                "data.max_tokens lower, or model.dtype: bfloat16"
            ) from error
    half = len(places) // 2
    return [
        record
        for part in (places[:half], places[half:])
        for record in _predict_places(model, tokenizer, task, split, part)
    ]


def _budget(device: torch.device) -> int:
    return CPU_BATCH_TOKENS if device.type == "cpu" else BATCH_TOKENS


@contextmanager
def evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Switch dropout and gradients off, and dropout back to what it was."""
    import torch

    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def autocast(device: torch.device, compute_dtype: str | None) -> AbstractContextManager[Any]:
    """Compute in a precision as training does; None: in that of the weights."""
    import torch

    if compute_dtype is None:
        return nullcontext()
    context: AbstractContextManager[Any] = torch.autocast(device.type, dtype=getattr(torch, compute_dtype))
    return context


def gather_records(records: list[Any], world_size: int) -> list[Any]:
    """Bring the records of all processes together, in every one of them."""
    if world_size == 1 or "RANK" not in os.environ:
        return records
    from accelerate.utils import gather_object

    gathered: list[Any] = gather_object(records)
    return gathered
