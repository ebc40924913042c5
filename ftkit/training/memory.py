"""How much fits into one forward pass, and what to say when it did not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.errors import DeviceMemoryError
from ftkit.training.steps import MicroBatchLimit

if TYPE_CHECKING:
    import torch

    from ftkit.training.footprint import Footprint

USABLE = 0.9
"""Share of the free memory that an estimate may fill; the rest is lost between tensors of odd sizes."""
CPU_TOKENS = 1024
"""Tokens a micro-batch on a CPU: more gains nothing there, and logits would leave the caches."""
MAX_TOKENS = 32_768
"""Tokens a micro-batch at most: an accelerator is full long before."""


def choose_limit(
    micro_batch_size: int | str,
    *,
    device_type: str,
    longest: int,
    footprint: Footprint | None = None,
    free_bytes: int = 0,
) -> MicroBatchLimit:
    """Choose the size of a micro-batch.

    Args:
        micro_batch_size: the setting, a number of examples or `auto`.
        device_type: of the device that trains, such as `cpu` or `cuda`.
        longest: tokens of the longest example; it must fit alone, whatever the estimate.
        footprint: of the training; not needed for a number of examples, nor on a CPU.
        free_bytes: memory that is free with the weights loaded.
    """
    if isinstance(micro_batch_size, int):
        return MicroBatchLimit(num_examples=micro_batch_size)
    if device_type == "cpu":
        return MicroBatchLimit(num_tokens=max(CPU_TOKENS, longest))
    assert footprint is not None
    room = USABLE * free_bytes - footprint.gradients - footprint.optimiser
    return MicroBatchLimit(num_tokens=max(longest, min(MAX_TOKENS, footprint.count_tokens(int(room)))))


def read_free_bytes(device: torch.device) -> int:
    """Return the free memory of a device, in bytes."""
    import psutil
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def read_peak_bytes(device: torch.device) -> int:
    """Return the most memory that this process has had on a device so far, in bytes; 0 where unknown."""
    import sys

    import torch

    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    if device.type != "cpu" or sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def read_total_bytes(device: torch.device) -> int:
    """Return the memory of a device, in bytes."""
    import psutil
    import torch

    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return int(psutil.virtual_memory().total)


def read_resident_bytes() -> int:
    """Return the memory that this process has now, in bytes."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def free_cached_memory(device: torch.device) -> None:
    """Give back what a failed pass has left, on the device too."""
    import gc

    import torch

    gc.collect()
    if device.type != "cpu":
        getattr(torch, device.type).empty_cache()


def read_random_state(device: torch.device) -> tuple[torch.Tensor, ...]:
    """Return the state of the random numbers that dropout draws, of the CPU and of the device."""
    import torch

    ours = (torch.get_rng_state(),)
    return ours if device.type == "cpu" else (*ours, getattr(torch, device.type).get_rng_state())


def restore_random_state(device: torch.device, state: tuple[torch.Tensor, ...]) -> None:
    """Let dropout draw the same numbers again."""
    import torch

    torch.set_rng_state(state[0])
    if device.type != "cpu":
        getattr(torch, device.type).set_rng_state(state[1])


def is_out_of_memory(error: BaseException) -> bool:
    """Recognise what torch raises when memory runs out, on an accelerator or on the CPU."""
    import torch

    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error)
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


def make_memory_error(num_examples: int, num_tokens: int, *, checkpointing: bool) -> DeviceMemoryError:
    """Say what was too much and what to lower, by how much.

    Args:
        num_examples: examples in the micro-batch that did not fit.
        num_tokens: its longest example, in tokens.
        checkpointing: whether gradient checkpointing was on already.
    """
    remedies = []
    if num_examples > 1:
        remedies.append(f"set training.micro_batch_size: {num_examples // 2} (the result does not change)")
    if not checkpointing:
        remedies.append("set training.gradient_checkpointing: true (slower, a fraction of the memory)")
    remedies.append(f"set data.max_tokens: {max(8, num_tokens // 2)}")
    remedies.append("train an adapter (adapter: lora)")
    return DeviceMemoryError(
        f"out of memory with a micro-batch of {num_examples} examples of up to {num_tokens} tokens; "
        f"in this order: {'; '.join(remedies)}. The same command then starts again"
    )
