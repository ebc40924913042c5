"""What of the machine a run sets up for itself: threads and the allocator."""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_BYTES = 1 << 30


def set_up_machine() -> None:
    """Set up this process for training and evaluation; doing it again changes nothing."""
    keep_freed_memory()
    use_all_cores()


def import_libraries() -> None:
    """Import what every run needs, without the garbage collector, which would look through it over and over.

    These imports make millions of objects that stay: a fifth of their time is the collector's.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        for name in ("datasets", "transformers.trainer", "peft"):
            importlib.import_module(name)
    finally:
        if was_on:
            gc.enable()


def keep_freed_memory() -> bool:
    """Tell glibc to keep what tensors free for the next ones, instead of returning it to the system.

    A step frees tensors of tens of megabytes and asks for them again; without this the system takes
    them back and clears new pages every time.

    Returns:
        Whether it was done; other systems have other allocators.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)) and bool(mallopt(_M_TRIM_THRESHOLD, 4 * _KEPT_BYTES))


def use_all_cores() -> int:
    """Let torch use this process's share of the cores where a launcher has taken them away.

    `torchrun` and `accelerate launch` set OMP_NUM_THREADS=1, by which a training on CPUs takes several
    times as long. Without a launcher the variable is the user's own word and is left alone.

    Returns:
        The number of threads.
    """
    import torch

    is_launched = "LOCAL_WORLD_SIZE" in os.environ or "ACCELERATE_MIXED_PRECISION" in os.environ
    share = count_cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if is_launched and torch.get_num_threads() < share:
        torch.set_num_threads(share)
    return int(torch.get_num_threads())


def count_cores() -> int:
    """Count the physical cores that this process may use."""
    import psutil

    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(min(allowed, psutil.cpu_count(logical=False) or allowed))
