"""A model together with its tokenizer: the base of a run, or what a run saved."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import ModelError
from ftkit.models.loading import load_with_head, translate_error
from ftkit.models.new_tokens import add_new_tokens
from ftkit.models.precision import Precision
from ftkit.models.quiet import quiet_transformers
from ftkit.models.tokenizer import check_vocabulary, load_tokenizer, read_tokenizer
from ftkit.sources import hash_file

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ftkit.recipe import ModelSection

logger = logging.getLogger(__name__)


@dataclass
class Checkpoint:
    """A model, its tokenizer, and what is known about them.

    Attributes:
        model: with the head that the task needs; an adapter may be put on it.
        tokenizer: has a padding token.
        labels: names in the order of their ids; empty for a task without labels.
        precision: number types of the weights and of the computation.
        head_is_new: whether the head has random values.
        new_parameters: all parameters with random values.
        source: what the recipe names.
        fingerprint: changes whenever the weights or the configuration do.
        threshold: from where on it says yes, found on validation rows; None where the task has none.
        new_token_ids: tokens that the recipe added; their embeddings are new.
        old_labels: names that the head of the checkpoint was trained for; empty where it had none.
        published_dtype: number type that the checkpoint gives its weights; None where it gives none.
    """

    model: PreTrainedModel | PeftModel
    tokenizer: PreTrainedTokenizerBase
    labels: tuple[str, ...]
    precision: Precision
    head_is_new: bool
    new_parameters: tuple[str, ...]
    source: str
    fingerprint: str
    new_token_ids: tuple[int, ...] = ()
    old_labels: tuple[str, ...] = ()
    published_dtype: str | None = None
    threshold: float | None = None


def load_checkpoint(
    section: ModelSection, *, auto_class: str, labels: Sequence[str], precision: Precision, task: str
) -> Checkpoint:
    """Load the base of a run: tokenizer and model, fitted to each other.

    Parameters that the checkpoint lacks are drawn from torch's global generator: seed it before.

    Args:
        section: where both come from.
        auto_class: name of the Auto class that the task needs.
        labels: label names of the data; empty for a task without labels.
        precision: what `choose_precision` chose.
        task: name of the task, for messages.

    Raises:
        SourceError: something is not there or cannot be reached.
        ModelError: model, tokenizer and task do not fit each other.
        MissingDependencyError: a library is not installed.
    """
    loaded = load_with_head(section, auto_class=auto_class, labels=labels, dtype=precision.weights, task=task)
    tokenizer = load_tokenizer(section, base_folder=loaded.folder)
    source = str(section.base or f"random weights: {(section.config or {}).get('model_type')}")
    check_vocabulary(source, loaded.model, tokenizer)
    new_token_ids = add_new_tokens(loaded.model, tokenizer, section.new_tokens)
    share_pad_token(loaded.model, tokenizer)
    return Checkpoint(
        model=loaded.model,
        tokenizer=tokenizer,
        labels=loaded.labels,
        precision=precision,
        head_is_new=loaded.head_is_new,
        new_parameters=loaded.new_parameters,
        source=source,
        fingerprint=fingerprint_checkpoint(loaded.folder, section.config or {}),
        new_token_ids=new_token_ids,
        old_labels=loaded.old_labels,
        published_dtype=loaded.published_dtype,
    )


def load_saved(
    folder: str | Path, auto_class: str, *, dtype: str = "auto"
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model that ftkit saved, with its tokenizer, in evaluation mode on the CPU.

    Args:
        folder: that `save_model` made.
        auto_class: name of the Auto class.
        dtype: number type of the weights; as saved for `auto`.

    Raises:
        ModelError: the folder is no model, or damaged.
    """
    import transformers

    where = str(folder)
    if not (Path(folder) / "config.json").is_file():
        raise ModelError(f"{where}: no saved model here; it has no config.json; check the path")
    tokenizer = read_tokenizer(where, Path(folder))
    try:
        with quiet_transformers():
            model = getattr(transformers, auto_class).from_pretrained(
                folder, dtype=dtype, local_files_only=True
            )
    except Exception as error:
        raise translate_error(error, where) from error
    return model, tokenizer


def share_pad_token(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Tell the model which token pads.

    Heads of decoders look for the last token that does not pad; generation fills rows up with it.
    """
    for config in (model.config, getattr(model, "generation_config", None)):
        if config is not None and tokenizer.pad_token_id is not None:
            config.pad_token_id = tokenizer.pad_token_id


def fingerprint_checkpoint(folder: Path | None, config: dict[str, Any]) -> str:
    """Compute what changes whenever the weights or the configuration of a checkpoint do.

    Args:
        folder: of the checkpoint; None for random weights.
        config: architecture and sizes of random weights.

    Returns:
        16 hexadecimal digits over the contents of the weight files and config.json.
    """
    digest = hashlib.sha256()
    if folder is None:
        digest.update(json.dumps(config, sort_keys=True, default=str).encode())
    else:
        patterns = ("config.json", "*.safetensors", "pytorch_model*.bin")
        paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
        with ThreadPoolExecutor() as pool:  # hashing lets go of Python's lock
            for path, file_digest in zip(paths, pool.map(hash_file, paths), strict=True):
                digest.update(f"{path.name} {file_digest}\n".encode())
    return digest.hexdigest()[:16]
