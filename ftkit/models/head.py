"""The part of a model that a task puts on top: whose labels it has, and whether it is trained."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel


@dataclass(frozen=True)
class Labels:
    """Which labels the model gets, and what of the checkpoint's head can be kept.

    Attributes:
        names: in the order of their ids; empty for a task without labels.
        old_names: those of the head that the checkpoint has; empty if it has none.
        keeps_head: whether that head knows exactly these labels.
    """

    names: tuple[str, ...]
    old_names: tuple[str, ...]
    keeps_head: bool


def match_labels(config: PreTrainedConfig, auto_class: str, labels: Sequence[str]) -> Labels:
    """Compare the labels of the data with those of the checkpoint's own head.

    Where both are the same set, the checkpoint's order is kept, so that its head stays true.

    Args:
        config: the checkpoint's.
        auto_class: the Auto class that the task needs.
        labels: of the data, in their order; empty for a task without labels.
    """
    old: tuple[str, ...] = ()
    if labels and has_head(config, auto_class):
        old = tuple(str(config.id2label[index]) for index in sorted(config.id2label))
    if old and len(old) == len(labels) and set(old) == set(labels):
        return Labels(old, old, keeps_head=True)
    return Labels(tuple(labels), old, keeps_head=False)


def has_head(config: PreTrainedConfig, auto_class: str) -> bool:
    """Tell whether the checkpoint was saved from the class that the task needs, head and all."""
    import transformers

    mapping = getattr(transformers, auto_class)._model_mapping
    if type(config) not in mapping:
        return False
    wanted = mapping[type(config)]
    classes = wanted if isinstance(wanted, tuple) else (wanted,)
    return any(found.__name__ in (config.architectures or ()) for found in classes)


def map_body(config: PreTrainedConfig, auto_class: str) -> dict[str, str] | None:
    """Find how the body's parameters are renamed where a class for question answering calls it otherwise.

    Llama, Qwen and their like have their body under `model`, but under `transformer` there; transformers
    itself would leave all of it random. No other head of these architectures does that.

    Args:
        config: the checkpoint's.
        auto_class: the Auto class that the task needs.

    Returns:
        Pattern of the checkpoint's name -> name in the class; None where both are the same, or where the
        checkpoint was saved from that very class.
    """
    import transformers

    bodies, classes = transformers.AutoModel._model_mapping, getattr(transformers, auto_class)._model_mapping
    if auto_class != "AutoModelForQuestionAnswering" or has_head(config, auto_class):
        return None
    if type(config) not in bodies or type(config) not in classes:
        return None
    old, new = (_get_prefix(mapping[type(config)]) for mapping in (bodies, classes))
    return {rf"^{old}\.": f"{new}."} if old and new and old != new else None


def _get_prefix(found: Any) -> str:
    return str(getattr(found, "base_model_prefix", ""))


def set_labels(config: PreTrainedConfig, names: Sequence[str]) -> None:
    """Write label names into a configuration, which also fixes the size of the head."""
    if names:
        config.id2label = dict(enumerate(names))
        config.label2id = {name: index for index, name in enumerate(names)}


def list_head_parameters(model: nn.Module, names: Iterable[str]) -> list[str]:
    """Pick the parameters outside the model's body; none for a model that is only a body."""
    prefix = str(getattr(model, "base_model_prefix", ""))
    if not prefix or not hasattr(model, prefix):
        return []
    return [name for name in names if not name.startswith(f"{prefix}.")]


def list_label_parameters(model: PreTrainedModel, auto_class: str) -> list[str]:
    """Find the parameters whose shape depends on the number of labels, by building one label more."""
    import copy

    import torch
    import transformers

    config = copy.deepcopy(model.config)
    config.num_labels = model.config.num_labels + 1
    with torch.device("meta"):
        larger = getattr(transformers, auto_class).from_config(config)
    shapes = {name: parameter.shape for name, parameter in larger.named_parameters()}
    return [name for name, parameter in model.named_parameters() if shapes.get(name) != parameter.shape]


def reinitialise(model: PreTrainedModel, names: Collection[str]) -> None:
    """Give parameters new random values as the architecture initialises them."""
    for module_name in dict.fromkeys(name.rpartition(".")[0] for name in names):
        module: Any = model.get_submodule(module_name)
        for parameter in module.parameters(recurse=False):
            parameter._is_hf_initialized = False  # the library's mark of loaded parameters
        model._init_weights(module)
