"""Put a LoRA adapter on a model, and fold it in again."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ftkit.errors import ModelError
from ftkit.models.head import list_head_parameters
from ftkit.models.lean_lora import make_lora_lean
from ftkit.models.new_tokens import find_token_modules
from ftkit.models.quiet import log_warnings
from ftkit.sources.nearest import find_nearest

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import nn
    from transformers import PreTrainedModel

    from ftkit.recipe import AdapterSection

logger = logging.getLogger(__name__)

_HEAD_TASKS = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")
_HANDLED_WARNINGS = (
    "fan_in_fan_out is set to",  # peft sets it right for each layer by itself
    "`is_gradient_checkpointing` is deprecated",  # between two libraries
)


def add_adapter(
    model: PreTrainedModel,
    section: AdapterSection,
    *,
    task_type: str,
    new_parameters: Sequence[str] = (),
    new_token_ids: Sequence[int] = (),
) -> PeftModel:
    """Freeze a model and add trainable low-rank matrices to some of its linear layers.

    Whatever is random at the start is trained as a whole and saved with the adapter: the head of a
    classification task, and `new_parameters`. These parts are kept in float32, because updates of
    usual size are lost in the 8 bits of bfloat16; their inputs are cast. Of the embeddings only the rows
    of new tokens are trained, in the head too, and saved with the adapter.

    Args:
        model: changed in place.
        section: rank, scale, dropout and targets.
        task_type: name of a `peft.TaskType`.
        new_parameters: names of parameters that the checkpoint lacked.
        new_token_ids: ids of the tokens that the checkpoint lacked.

    Raises:
        ModelError: targets that match no layer; lists the ones there are.
    """
    from peft import LoraConfig, get_peft_model

    targets = section.targets if isinstance(section.targets, str) else list(section.targets)
    if not isinstance(targets, str):
        check_targets(model, targets)
    whole = list_whole_modules(model, task_type, new_parameters)
    config = LoraConfig(
        r=section.rank,
        lora_alpha=2 * section.rank if section.alpha is None else section.alpha,
        lora_dropout=section.dropout,
        target_modules=targets,
        task_type=task_type,
        modules_to_save=whole or None,
        trainable_token_indices=_choose_token_rows(model, whole, new_token_ids),
    )
    try:
        with log_warnings(but_not=_HANDLED_WARNINGS):
            adapted = get_peft_model(model, config)
    except (ValueError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        known = ", ".join(list_targets(model))
        raise ModelError(f"adapter.targets: {reason}; layers that can be named: {known}") from error
    _keep_whole_modules_precise(adapted)
    make_lora_lean(adapted)
    # peft would add all embeddings to each checkpoint of a model whose vocabulary has grown.
    adapted.save_pretrained = partial(adapted.save_pretrained, save_embedding_layers=False)
    trainable, total = adapted.get_nb_trainable_parameters()
    logger.info(
        "adapter: training %s of %s parameters (%.2f %%)",
        f"{trainable:,}",
        f"{total:,}",
        100 * trainable / total,
    )
    return adapted


def merge_adapter(model: PeftModel) -> PreTrainedModel:
    """Fold an adapter into the weights of its base.

    Returns:
        The base itself, a plain model that `save_pretrained` saves whole, all of one dtype.

    Raises:
        ModelError: the merged weights are not finite.
    """
    try:
        merged: Any = model.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise ModelError(
            f"adapter: it cannot be merged into its base; {error}; the training went astray: look at its "
            "loss, and lower training.learning_rate"
        ) from error
    for module in merged.modules():
        for key in [key for key, hook in module._forward_pre_hooks.items() if hook is _cast_inputs]:
            del module._forward_pre_hooks[key]
    merged.to(next(merged.base_model.parameters()).dtype)
    vars(merged).pop("peft_config", None)
    return merged


def check_targets(model: nn.Module, targets: Sequence[str]) -> None:
    """Check that each target names a layer that an adapter can go on and be merged into.

    Raises:
        ModelError: names the targets that match nothing, and the layers there are; or a layer that
            shares its weights with another, which merging would change too.
    """
    layers = {name: module for name, module in model.named_modules() if name and _can_adapt(module)}
    matched = {target: [name for name in layers if f".{name}".endswith(f".{target}")] for target in targets}
    wrong = [target for target, names in matched.items() if not names]
    if wrong or not targets:
        known = list_targets(model)
        nearest = f"; nearest: {', '.join(find_nearest(wrong[0], known, most=2))}" if wrong else ""
        raise ModelError(
            f"adapter.targets: no layer matches {', '.join(map(repr, wrong)) or 'an empty list'}{nearest}; "
            f"layers that can be named: {', '.join(known)}; or all-linear"
        )
    for name in (name for names in matched.values() for name in names):
        shared = [other for other, layer in layers.items() if layer.weight is layers[name].weight]
        if len(shared) > 1:
            raise ModelError(
                f"adapter.targets: {' and '.join(shared)} are one and the same weights in this model; an "
                f"adapter on {name} alone could not be merged; leave it out"
            )


def list_targets(model: nn.Module) -> list[str]:
    """List the names by which layers can be targeted: the last parts of linear layers, sorted."""
    return sorted(
        {name.rpartition(".")[2] for name, module in model.named_modules() if name and _can_adapt(module)}
    )


def list_whole_modules(model: nn.Module, task_type: str, new_parameters: Sequence[str]) -> list[str]:
    """List the modules that are trained as a whole: heads, and owners of random parameters.

    A module that holds the output embedding beside a random parameter, such as the bias of BERT's head,
    stays as it is: a copy of it would part the output embedding from the input's, which are one and
    the same weights when they are saved.
    """
    head = list_head_parameters(model, [name for name, _ in model.named_parameters()])
    owners = [name.partition(".")[0] for name in head if task_type in _HEAD_TASKS]
    owners += [name.rpartition(".")[0] for name in new_parameters if not owners or name not in head]
    frozen = [owner for owner in dict.fromkeys(owners) if _holds_output_embedding(model, owner)]
    if frozen:
        logger.info("adapter: parameters of %s itself start random and are not trained", ", ".join(frozen))
    return [owner for owner in dict.fromkeys(owners) if owner not in frozen]


def _holds_output_embedding(model: nn.Module, name: str) -> bool:
    """Tell whether the output embedding lies within a module, and is not the module itself."""
    found: Any = getattr(model, "get_output_embeddings", lambda: None)()
    module = model.get_submodule(name)
    return found is not None and module is not found and any(part is found for part in module.modules())


def _choose_token_rows(
    model: PreTrainedModel, whole: Sequence[str], new_token_ids: Sequence[int]
) -> dict[str, list[int]] | None:
    """Choose the rows of embeddings to train, where the embeddings are not trained as a whole."""
    names = [name for name in find_token_modules(model) if name not in whole] if new_token_ids else []
    return {name: list(new_token_ids) for name in names} or None


def _can_adapt(module: nn.Module) -> bool:
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, nn.Linear | nn.Embedding | Conv1D)


def _keep_whole_modules_precise(model: PeftModel) -> None:
    import torch
    from peft.utils import ModulesToSaveWrapper

    for wrapper in model.modules():
        if isinstance(wrapper, ModulesToSaveWrapper):
            for module in wrapper.modules_to_save.values():
                if any(parameter.dtype != torch.float32 for parameter in module.parameters()):
                    module.float().register_forward_pre_hook(_cast_inputs)


def _cast_inputs(module: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Cast what a float32 module gets from a model of another dtype."""
    import torch

    return tuple(
        value.float() if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for value in inputs
    )
