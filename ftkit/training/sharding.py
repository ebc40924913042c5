"""Shards of a model over several processes (FSDP2), and the whole model made of them again."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import RecipeError, RunError

if TYPE_CHECKING:
    from torch import nn

    from ftkit.models import Checkpoint
    from ftkit.recipe import ParallelSection

logger = logging.getLogger(__name__)

SHARDS = "pytorch_model_fsdp_0"
"""In a checkpoint: the folder in which accelerate writes the shards of the weights."""

BYTES_PER_TRAINED_PARAMETER = 12
"""Beside the weights themselves: a gradient and the two moments of AdamW, in float32."""


def shards_model(
    parallel: ParallelSection, model: nn.Module, *, world_size: int, memory_bytes: int, last: Path | None
) -> bool:
    """Decide whether the processes share the weights between them, and do not have a copy each.

    Args:
        parallel: the recipe's section.
        model: with its adapter, where it has one.
        world_size: number of processes.
        memory_bytes: of one accelerator; 0 on a CPU.
        last: the checkpoint that is continued.

    Raises:
        RecipeError: there is one process, or the devices are no multiple of `parallel.shard_size`.
        RunError: the checkpoint was written the other way.
    """
    shards = parallel.strategy == "fsdp"
    was_sharded = last is not None and (last / SHARDS).is_dir()
    if parallel.strategy == "auto" and world_size > 1:
        shards = was_sharded if last is not None else 0 < 0.7 * memory_bytes < measure_copy(model)
    if shards and world_size == 1:
        raise RecipeError(
            "parallel.strategy: fsdp needs several processes, and there is one; set parallel.num_devices, or "
            "take it out"
        )
    if shards and world_size % (parallel.shard_size or 1):
        raise RecipeError(
            f"parallel.shard_size: {world_size} processes cannot be divided into groups of "
            f"{parallel.shard_size}"
        )
    if last is not None and shards != was_sharded:
        raise RunError(_explain_other_form(last, was_sharded, world_size))
    return shards


def _explain_other_form(last: Path, was_sharded: bool, world_size: int) -> str:
    if not was_sharded:
        return f"{last}: is of a run that was not sharded; continue it with parallel.strategy: ddp"
    remedy = "parallel.num_devices: 2 or more" if world_size == 1 else "parallel.strategy: fsdp"
    return f"{last}: holds shards of a model (FSDP), of any number of devices; continue it with {remedy}"


def measure_copy(model: nn.Module) -> int:
    """Return the bytes that a process needs where it has a copy of all: weights, gradients, optimiser."""
    weights = sum(each.numel() * each.element_size() for each in model.parameters())
    trained = sum(each.numel() for each in model.parameters() if each.requires_grad)
    return int(weights + BYTES_PER_TRAINED_PARAMETER * trained)


def count_shards(parallel: ParallelSection, device_type: str) -> int:
    """Return how many devices will share a copy at most, here or in the processes that are to be started."""
    if parallel.strategy == "ddp" or (parallel.strategy == "auto" and device_type == "cpu"):
        return 1
    to_start = (parallel.num_devices or 1) * parallel.num_hosts
    world_size = int(os.environ.get("WORLD_SIZE", to_start))
    return min(parallel.shard_size or world_size, world_size)


def make_shard_arguments(parallel: ParallelSection, model: nn.Module, world_size: int) -> dict[str, Any]:
    """Return what `TrainingArguments` has to be told.

    Checkpoints are written in shards, which any number of devices can read. A frozen base and a trained
    adapter are sharded alike.
    """
    from accelerate.parallelism_config import ParallelismConfig

    size = parallel.shard_size or world_size
    layers = list_layer_classes(model)
    units = {"transformer_layer_cls_to_wrap": layers} if layers else {"auto_wrap_policy": "NO_WRAP"}
    return {
        "fsdp": True,
        "fsdp_config": {"state_dict_type": "SHARDED_STATE_DICT", "reshard_after_forward": True, **units},
        "parallelism_config": ParallelismConfig(dp_shard_size=size, dp_replicate_size=world_size // size),
    }


def list_layer_classes(model: nn.Module) -> list[str]:
    """List the classes of the layers that are gathered one at a time.

    Those that hold the input embedding are left out: accelerate gathers it by itself, and fails where it lies
    within a layer, as BERT's does.
    """
    embedding: Any = getattr(model, "get_input_embeddings", lambda: None)()
    found: dict[str, bool] = {}
    for module in model.modules():
        name = type(module).__name__
        if name in (getattr(model, "_no_split_modules", None) or ()):
            holds = any(part is embedding for part in module.modules())
            found[name] = found.get(name, False) or holds
    return [name for name, holds in found.items() if not holds]


def shard_on_cpu(accelerator: Any, plugin_arguments: dict[str, Any], groups: Any) -> None:
    """Let accelerate shard on CPUs too: 1.15 does so on accelerators alone, and says nothing elsewhere.

    Args:
        accelerator: as accelerate made it, for copies.
        plugin_arguments: what `TrainingArguments` has for accelerate's plugin.
        groups: an accelerate `ParallelismConfig`.
    """
    from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin

    plugin = FullyShardedDataParallelPlugin(**plugin_arguments)
    if accelerator.mixed_precision != "no":
        plugin.set_mixed_precision(accelerator.mixed_precision)
    accelerator.state.fsdp_plugin = plugin
    accelerator.state.distributed_type = DistributedType.FSDP
    accelerator.state.parallelism_config = groups
    accelerator.state.device_mesh = groups.get_device_mesh("cpu")


def copy_without_weights(model: nn.Module) -> nn.Module:
    """Copy a model before it is sharded, all but its weights, which take no memory in the copy."""
    import torch

    empty = {
        id(each): torch.nn.Parameter(torch.empty_like(each, device="meta"), requires_grad=each.requires_grad)
        for each in model.parameters()
    }
    return copy.deepcopy(model, empty)


def make_whole(pattern: nn.Module, sharded: nn.Module) -> Any:
    """Make a plain model of shards, the same one in every process; all of them have to call it.

    Args:
        pattern: the model before it was sharded, from `copy_without_weights`.
        sharded: the model whose weights are wanted.
    """
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    weights = get_model_state_dict(sharded, options=StateDictOptions(full_state_dict=True))
    whole: Any = copy.deepcopy(pattern)
    whole.load_state_dict(weights, assign=True)
    whole.tie_weights()
    return whole


def validate_whole(
    checkpoint: Checkpoint, pattern: nn.Module, validate: Callable[[], dict[str, float]]
) -> Callable[[], dict[str, float]]:
    """Let the validation score a whole model: processes that each score their rows cannot share one."""

    def run() -> dict[str, float]:
        sharded = checkpoint.model
        checkpoint.model = make_whole(pattern, sharded)
        try:
            return validate()
        finally:
            checkpoint.model = sharded

    return run
