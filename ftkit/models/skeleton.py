"""A model without its weights: layers, shapes and number types, on the meta device."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ftkit.models.adapter import add_adapter
from ftkit.models.checkpoint import Checkpoint, share_pad_token
from ftkit.models.checkpoint_files import fetch_tokenizer_files
from ftkit.models.head import set_labels
from ftkit.models.loading import read_model_config
from ftkit.models.new_tokens import add_new_tokens
from ftkit.models.precision import Precision
from ftkit.models.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from ftkit.recipe import AdapterSection, ModelSection


def make_skeleton(
    config: PreTrainedConfig,
    model_class: Any,
    *,
    dtype: str,
    adapter: AdapterSection | None = None,
    task_type: str = "",
    new_parameters: Sequence[str] = (),
    new_token_ids: Sequence[int] = (),
) -> Any:
    """Make a model of which only the shapes are there, as it will be trained.

    Args:
        config: of the model; stays as it is.
        model_class: a class of transformers, an Auto class or a model's own.
        dtype: number type of the weights, such as `bfloat16`.
        adapter: what is put on it; None to train all weights.
        task_type: name of a `peft.TaskType`, for an adapter.
        new_parameters: names of parameters that the checkpoint lacks, for an adapter.
        new_token_ids: ids of the tokens that the checkpoint lacks, for an adapter.

    Raises:
        ModelError: targets of the adapter that match nothing.
    """
    import torch

    build = model_class.from_config if hasattr(model_class, "from_config") else model_class._from_config
    with torch.device("meta"):
        empty = build(copy.deepcopy(config), dtype=getattr(torch, dtype))
    if adapter is None:
        return empty
    with _quietly():
        return add_adapter(
            empty, adapter, task_type=task_type, new_parameters=new_parameters, new_token_ids=new_token_ids
        )


def load_outline(
    section: ModelSection, *, auto_class: str, labels: Sequence[str], precision: Precision
) -> Checkpoint:
    """Load a model's configuration and tokenizer, and make the model of it without weights.

    Of a hub repository the weights are not downloaded either.

    Raises:
        SourceError: the checkpoint is not there or cannot be reached.
        ModelError: there is no configuration, or one that transformers does not know.
    """
    import transformers

    folder = None
    if section.base is not None:
        folder = fetch_tokenizer_files(section.model_copy(update={"tokenizer": None}))
    config = read_model_config(section, folder)
    tokenizer = load_tokenizer(section, base_folder=folder)
    set_labels(config, labels)
    model = make_skeleton(config, getattr(transformers, auto_class), dtype=precision.weights)
    new_token_ids = add_new_tokens(model, tokenizer, section.new_tokens)
    share_pad_token(model, tokenizer)
    source = str(section.base or "random weights")
    return Checkpoint(
        model=model,
        tokenizer=tokenizer,
        labels=tuple(labels),
        precision=precision,
        head_is_new=False,
        new_parameters=(),
        source=source,
        fingerprint="",
        new_token_ids=new_token_ids,
    )


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep quiet what is said again when it is done in earnest."""
    logger = logging.getLogger("ftkit.models.adapter")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
