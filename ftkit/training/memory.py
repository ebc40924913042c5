"""How much fits into one forward pass, and what to say when it did not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftkit.errors import DeviceMemoryError
from ftkit.training.steps import MicroBatchLimit

if TYPE_CHECKING:
    import torch

CPU_TOKENS = 1024
"""Tokens a micro-batch on a CPU: more gains nothing there, and logits would leave the caches."""
MAX_TOKENS = 32_768
"""Tokens a micro-batch at most: an accelerator is full long before."""


def choose_limit(
    micro_batch_size: int | str, *, device_type: str, free_bytes: int, bytes_per_token: int, longest: int
) -> MicroBatchLimit:
    """Choose the size of a micro-batch.

    Args:
        micro_batch_size: the setting, a number of examples or `auto`.
        device_type: of the device that trains, such as `cpu` or `cuda`.
        free_bytes: memory that activations may take.
        bytes_per_token: memory that one token takes, from `estimate_bytes_per_token`.
        longest: tokens of the longest example; it must fit alone, whatever the estimate.
    """
    if isinstance(micro_batch_size, int):
        return MicroBatchLimit(num_examples=micro_batch_size)
    if device_type == "cpu":
        return MicroBatchLimit(num_tokens=max(CPU_TOKENS, longest))
    fitting = int(0.6 * free_bytes / bytes_per_token)  # the rest is for fragments and the optimiser's state
    return MicroBatchLimit(num_tokens=max(longest, min(MAX_TOKENS, fitting)))


def estimate_bytes_per_token(
    config: Any, *, bytes_per_value: int, checkpointing: bool, has_lm_head: bool
) -> int:
    """Estimate the activations that training keeps for one token, in bytes.

    The 34 values per hidden unit and layer are those of Korthikanti et al., "Reducing Activation
    Recomputation in Large Transformer Models" (2022), section 4.1, without the attention's square, which
    SDPA does not keep; the logits are kept in float32 with their gradient.
    """
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    hidden = getattr(text, "hidden_size", 1024)
    layers = getattr(text, "num_hidden_layers", 24)
    per_layer = hidden * bytes_per_value if checkpointing else 34 * hidden * bytes_per_value / 2
    logits = getattr(text, "vocab_size", 0) * (bytes_per_value + 8) if has_lm_head else 0
    return int(layers * per_layer + logits)


def read_free_bytes(device: torch.device) -> int:
    """Return the free memory of a device, in bytes."""
    import psutil
    import torch

    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def read_total_bytes(device: torch.device) -> int:
    """Return the memory of a CUDA device, in bytes; 0 for other devices."""
    import torch

    return int(torch.cuda.mem_get_info(device)[1]) if device.type == "cuda" else 0


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
