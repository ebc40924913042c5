"""Put a model where it is to run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ftkit.errors import DeviceMemoryError
from ftkit.models.precision import Device

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel


def move_to_device(model: PreTrainedModel, device: Device) -> None:
    """Move a model in place; under a launcher, to the device of this process.

    Args:
        model: anywhere.
        device: the kind of device, from `read_device`.

    Raises:
        DeviceMemoryError: the weights do not fit.
    """
    import torch

    try:
        model.to(name_device(device.kind, int(os.environ.get("LOCAL_RANK", "0"))))
    except torch.OutOfMemoryError as error:
        size_gb = model.num_parameters() * model.dtype.itemsize / 1e9
        raise DeviceMemoryError(
            f"model: its weights do not fit on {device.name}; they take {size_gb:.1f} GB as {model.dtype}; "
            "set model.dtype: bfloat16 with an adapter, or take a smaller base"
        ) from error


def name_device(kind: str, local_rank: int) -> torch.device:
    """Return torch's device for a process: numbered accelerators, or the one CPU or MPS device."""
    import torch

    return torch.device(kind, local_rank) if kind in ("cuda", "xpu") else torch.device(kind)
