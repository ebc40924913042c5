"""Load a model with the head that a task needs, and say what in it is not trained yet."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import DeviceMemoryError, FtkitError, MissingDependencyError, ModelError
from ftkit.models.architectures import check_architecture, make_config
from ftkit.models.checkpoint_files import fetch_checkpoint
from ftkit.models.generation_settings import repair_generation_config
from ftkit.models.head import (
    Labels,
    list_head_parameters,
    list_label_parameters,
    map_body,
    match_labels,
    reinitialise,
    set_labels,
)
from ftkit.models.quiet import quiet_transformers
from ftkit.models.tokenizer import load_tokenizer

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedConfig, PreTrainedModel

    from ftkit.recipe import ModelSection

logger = logging.getLogger(__name__)

_OUT_OF_MEMORY = re.compile("out of memory|can't allocate memory")
_INSTALL = {
    "flash_attention_2": "pip install flash-attn (needs CUDA), or pip install kernels",
    "flash_attention_3": "pip install flash-attn-3 (needs a Hopper GPU), or pip install kernels",
}


@dataclass(frozen=True)
class Loaded:
    """A model and what was found while it was loaded.

    Attributes:
        model: in evaluation mode, on the CPU.
        labels: names in the order of their ids; empty for a task without labels.
        head_is_new: whether the part above the body has parameters with random values.
        new_parameters: all parameters with random values, in the model's order.
        folder: where the checkpoint lies; None for random weights.
        old_labels: those that the checkpoint's own head was trained for; empty where it has none.
        published_dtype: number type that config.json gives the weights; None where it gives none.
    """

    model: PreTrainedModel
    labels: tuple[str, ...]
    head_is_new: bool
    new_parameters: tuple[str, ...]
    folder: Path | None
    old_labels: tuple[str, ...] = ()
    published_dtype: str | None = None


def load_model(
    section: ModelSection,
    *,
    auto_class: str,
    labels: Sequence[str] | None,
    dtype: torch.dtype | str,
    task: str,
) -> tuple[PreTrainedModel, bool]:
    """Load a model with the head that a task needs.

    Parameters that the checkpoint lacks are drawn from torch's global generator: seed it before.

    Args:
        section: where the model comes from.
        auto_class: name of an Auto class of transformers.
        labels: label names of the data; None or empty for a task without labels. Where the
            checkpoint's own head has the same set, its order is kept: read it from the model's config.
        dtype: number type of the weights.
        task: name of the task, for messages.

    Returns:
        The model, and whether its head has random values.

    Raises:
        SourceError: the checkpoint is not there or cannot be reached.
        ModelError: it cannot be loaded or does not fit the task.
        MissingDependencyError: it needs a library that is not installed.
    """
    loaded = load_with_head(section, auto_class=auto_class, labels=labels or (), dtype=dtype, task=task)
    return loaded.model, loaded.head_is_new


def load_with_head(
    section: ModelSection, *, auto_class: str, labels: Sequence[str], dtype: torch.dtype | str, task: str
) -> Loaded:
    """Load a model as `load_model` does, and tell all that was found on the way."""
    if section.base is None:
        return _make_model(section, auto_class=auto_class, labels=labels, dtype=dtype, task=task)
    folder = fetch_checkpoint(section)
    where = str(section.base)
    config = _load_config(where, folder, section)
    check_architecture(where, config, auto_class, task)
    published = str(config.dtype).removeprefix("torch.") if config.dtype is not None else None
    matched = match_labels(config, auto_class, labels)
    set_labels(config, matched.names)
    model, info = _load_pretrained(where, folder, config, section, auto_class=auto_class, dtype=dtype)
    new = _check_loaded(where, model, info)
    new |= _renew_head(model, auto_class, matched, new)
    new_parameters = tuple(name for name, _ in model.named_parameters() if name in new)
    head = list_head_parameters(model, new_parameters)
    _say_what_is_new(where, task, new_parameters, head, matched)
    repair_generation_config(model, where)
    return Loaded(model, matched.names, bool(head), new_parameters, folder, matched.old_names, published)


def _make_model(
    section: ModelSection, *, auto_class: str, labels: Sequence[str], dtype: torch.dtype | str, task: str
) -> Loaded:
    """Make a model with random weights, as `model.config` says."""
    import transformers

    if not section.config:
        raise ModelError("model: neither base nor config is set; set model.base to a checkpoint")
    config = make_config(section.config, load_tokenizer(section))
    check_architecture("model.config", config, auto_class, task)
    set_labels(config, labels)
    try:
        with quiet_transformers():
            model = getattr(transformers, auto_class).from_config(
                config, dtype=dtype, **_choose_attention(section)
            )
    except Exception as error:
        raise translate_error(error, "model.config", section.attn_implementation) from error
    names = tuple(name for name, _ in model.named_parameters())
    logger.info("model.config: %s parameters, all random", f"{model.num_parameters():,}")
    return Loaded(model.eval(), tuple(labels), head_is_new=True, new_parameters=names, folder=None)


def load_config(section: ModelSection) -> PreTrainedConfig:
    """Load the configuration of the model that a recipe names, and nothing of its weights.

    Raises:
        SourceError: the checkpoint is not there or cannot be reached.
        ModelError: there is no configuration, or one that transformers does not know.
    """
    return read_model_config(section, None if section.base is None else fetch_checkpoint(section))


def read_model_config(section: ModelSection, folder: Path | None) -> PreTrainedConfig:
    """Read the configuration of the model that a recipe names.

    Args:
        section: where the model comes from.
        folder: of the base; None for random weights.

    Raises:
        ModelError: there is no configuration, or one that transformers does not know.
    """
    if folder is None:
        return make_config(section.config or {}, load_tokenizer(section))
    return _load_config(str(section.base), folder, section)


def _load_config(where: str, folder: Path, section: ModelSection) -> PreTrainedConfig:
    from transformers import AutoConfig

    try:
        with quiet_transformers():
            return AutoConfig.from_pretrained(
                folder, trust_remote_code=section.trust_remote_code, local_files_only=True
            )
    except Exception as error:
        raise translate_error(error, where, section.attn_implementation) from error


def _load_pretrained(
    where: str,
    folder: Path,
    config: PreTrainedConfig,
    section: ModelSection,
    *,
    auto_class: str,
    dtype: torch.dtype | str,
) -> tuple[PreTrainedModel, dict[str, Any]]:
    """Load the weights; a head of another size is left random, which the returned info tells."""
    import transformers

    renamed = map_body(config, auto_class)
    try:
        with quiet_transformers():
            model, info = getattr(transformers, auto_class).from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                trust_remote_code=section.trust_remote_code,
                use_safetensors=None if section.allow_pickle else True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                local_files_only=True,
                key_mapping=renamed,
                **_choose_attention(section),
            )
    except Exception as error:
        _find_broken_file(where, folder, error)
        raise translate_error(error, where, section.attn_implementation) from error
    if renamed:
        # What was renamed on the way in would be renamed back when the model is saved, and plain
        # transformers would find no body in it.
        conversions = getattr(model, "_weight_conversions", None) or []
        model._weight_conversions = [
            each for each in conversions if not set(each.source_patterns) & set(renamed)
        ]
    return model, info


def _choose_attention(section: ModelSection) -> dict[str, str]:
    chosen = section.attn_implementation
    return {} if chosen in (None, "auto") else {"attn_implementation": str(chosen)}


def _check_loaded(where: str, model: PreTrainedModel, info: dict[str, Any]) -> set[str]:
    """Check that the checkpoint's body is in the model, and find what is not from the checkpoint.

    Raises:
        ModelError: weights of the body have other shapes than config.json says, or most are missing.
    """
    mismatched = {name: (old, new) for name, old, new in info["mismatched_keys"]}
    head = set(list_head_parameters(model, mismatched))
    for name, (old, new) in sorted(mismatched.items()):
        if name not in head:
            raise ModelError(
                f"{where}: the weights do not fit config.json; {name} has the shape {tuple(old)}, "
                f"config.json says {tuple(new)}; fetch the checkpoint again"
            )
    new_names = set(info["missing_keys"]) | set(mismatched)
    body = {name: parameter.numel() for name, parameter in model.named_parameters()}
    for name in list_head_parameters(model, list(body)):
        del body[name]
    num_missing = sum(number for name, number in body.items() if name in new_names)
    if num_missing > 0.5 * sum(body.values()):
        raise ModelError(
            f"{where}: the weights do not belong to this architecture; {num_missing:,} of "
            f"{sum(body.values()):,} parameters are missing, such as {min(set(body) & new_names)}; "
            "check config.json, or take another checkpoint"
        )
    return new_names


def _renew_head(model: PreTrainedModel, auto_class: str, labels: Labels, new: Collection[str]) -> set[str]:
    """Make a head random that fits in size but was trained for other labels."""
    if labels.keeps_head or not labels.old_names:
        return set()
    names = list_label_parameters(model, auto_class)
    if not set(names) & set(new):
        reinitialise(model, names)
    return set(names)


def _say_what_is_new(where: str, task: str, new: Sequence[str], head: Sequence[str], labels: Labels) -> None:
    if labels.old_names and not labels.keeps_head:
        logger.warning(
            "%s: its head was trained for other labels (%s); starting a new one for %s",
            where,
            _join(labels.old_names),
            _join(labels.names),
        )
    elif labels.keeps_head:
        logger.info("%s: its head knows these labels; kept, in its order: %s", where, _join(labels.names))
    elif head:
        logger.info("%s: no head for %s; starting with a random one: %s", where, task, _join(head))
    if body := [name for name in new if name not in set(head)]:
        logger.warning("%s: lacks parameters of its architecture; starting random: %s", where, _join(body))


def _join(names: Sequence[str]) -> str:
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more


def _find_broken_file(where: str, folder: Path, error: Exception) -> None:
    """Name the weight file that cannot be read, if that is what went wrong."""
    from safetensors import SafetensorError, safe_open

    if not isinstance(error, SafetensorError):
        return
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError as broken:
            raise ModelError(
                f"{where}: {path.name} is damaged; {broken}; fetch the checkpoint again"
            ) from error


def translate_error(error: Exception, where: str, attention: str | None = None) -> FtkitError:
    """Turn what transformers raises while it loads a model into an error for people."""
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    if isinstance(error, FtkitError):
        return error
    if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(first_line):
        return DeviceMemoryError(
            f"{where}: not enough memory to load the model; {first_line}; set model.dtype: bfloat16, or take "
            "a smaller base"
        )
    if attention in _INSTALL and ("FlashAttention" in first_line or "flash" in first_line.lower()):
        return MissingDependencyError(
            f"model.attn_implementation: {attention} cannot be used here; {first_line}; "
            f"{_INSTALL[attention]}; or set it to sdpa"
        )
    if isinstance(error, ImportError):
        return MissingDependencyError(f"{where}: needs a library that is not installed; {first_line}")
    if "attn_implementation" in first_line or "attention" in first_line.lower():
        return ModelError(
            f"model.attn_implementation: {attention} does not work for {where}; {first_line}; set it to auto"
        )
    return ModelError(
        f"{where}: transformers cannot load this checkpoint; {type(error).__name__}: {first_line}; "
        "fetch it again, or take another one"
    )
