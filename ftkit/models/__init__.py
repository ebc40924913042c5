"""Checkpoints: where they come from, how they load, what of them is trained, how they are saved."""

from ftkit.models.adapter import add_adapter, check_targets, merge_adapter
from ftkit.models.checkpoint import (
    Checkpoint,
    fingerprint_checkpoint,
    load_checkpoint,
    load_saved,
)
from ftkit.models.loading import load_config, load_model
from ftkit.models.placement import move_to_device
from ftkit.models.precision import Device, Precision, choose_device, choose_precision, read_device
from ftkit.models.saving import save_adapter, save_model
from ftkit.models.tokenizer import fingerprint_tokenizer, load_tokenizer

__all__ = [
    "Checkpoint",
    "Device",
    "Precision",
    "add_adapter",
    "check_targets",
    "choose_device",
    "choose_precision",
    "fingerprint_checkpoint",
    "fingerprint_tokenizer",
    "load_checkpoint",
    "load_model",
    "load_config",
    "load_saved",
    "load_tokenizer",
    "merge_adapter",
    "move_to_device",
    "move_to_device",
    "read_device",
    "save_adapter",
    "save_model",
]
