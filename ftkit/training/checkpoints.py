"""Checkpoints that are there whole or not at all, and that say so themselves.

`Trainer` writes into a folder aside. Once all of it is on the disk, with the checksums of its files, the
folder is renamed; only then are older ones deleted.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftkit.errors import TrainingError
from ftkit.runs.checkpoint_folders import ASIDE, list_checkpoints, seal_checkpoint

ROOM_FOR_LOGS_BYTES = 16_000_000
"""Left free beside a checkpoint, for the run's other files."""


@contextmanager
def writing_checkpoint(checkpoints: Path, step: int, num_bytes: int) -> Iterator[Path]:
    """Let the body write `checkpoint-STEP` into a folder aside, and put it in its place when it is whole.

    Args:
        checkpoints: the folder of the run's checkpoints.
        step: optimiser steps done.
        num_bytes: how much room it will take; a guess that is too small is found out on the way.

    Yields:
        The folder in which `checkpoint-STEP` is to be made.

    Raises:
        TrainingError: the disk is full, or cannot be written; what was whole stays.
    """
    aside = checkpoints / ASIDE
    name = f"checkpoint-{step}"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        _check_room(checkpoints, name, num_bytes)
        aside.mkdir(parents=True)
        yield aside
        seal_checkpoint(aside / name)
        _put_in_place(aside / name, checkpoints / name)
    except Exception as error:  # torch and safetensors have errors of their own for a full disk
        if isinstance(error, TrainingError) or not _is_about_disk(error, checkpoints):
            raise
        raise TrainingError(_explain(checkpoints, name, str(error))) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def measure_checkpoint(checkpoints: Path, num_trained_bytes: int) -> int:
    """Estimate the bytes of the next checkpoint: as many as the newest has, or weights and AdamW's state."""
    found = list_checkpoints(checkpoints)
    if not found:
        return 3 * num_trained_bytes
    return measure_folder(found[-1])


def measure_folder(folder: Path) -> int:
    """Add up the bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def prune_checkpoints(checkpoints: Path, *, keep: int, best_step: int | None) -> None:
    """Delete the oldest checkpoints; the newest and the best one are never deleted.

    Args:
        checkpoints: the folder of the run's checkpoints.
        keep: how many may stay, at least 1; one more stays where the best is none of them.
        best_step: the step of the best one; None where there is none.
    """
    found = list_checkpoints(checkpoints)
    needed = {found[-1].name, f"checkpoint-{best_step}"} if found else set()
    surplus = len(found) - max(keep, sum(path.name in needed for path in found))
    for path in [path for path in found if path.name not in needed][: max(0, surplus)]:
        shutil.rmtree(path, ignore_errors=True)


def _check_room(checkpoints: Path, name: str, num_bytes: int) -> None:
    parent = next(folder for folder in (checkpoints, *checkpoints.parents) if folder.exists())
    free = shutil.disk_usage(parent).free
    if free < num_bytes + ROOM_FOR_LOGS_BYTES:
        found = f"it takes about {num_bytes / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free"
        raise TrainingError(_explain(checkpoints, name, found))


def _put_in_place(new: Path, place: Path) -> None:
    """Rename a whole checkpoint; an older one of the same step is taken away first."""
    if place.exists():
        place.rename(new.with_name("replaced"))
    new.rename(place)
    descriptor = os.open(place.parent, os.O_RDONLY) if os.name == "posix" else None
    if descriptor is not None:
        os.fsync(descriptor)
        os.close(descriptor)


def _is_about_disk(error: Exception, checkpoints: Path) -> bool:
    """Tell a full or unwritable disk from a mistake of a program."""
    if isinstance(error, OSError):
        return True
    folder = next(parent for parent in (checkpoints, *checkpoints.parents) if parent.exists())
    words = ("No space left", "file write failed", "PytorchStreamWriter", "unexpected pos", "iostream")
    return shutil.disk_usage(folder).free < ROOM_FOR_LOGS_BYTES or any(word in str(error) for word in words)


def _explain(checkpoints: Path, name: str, found: str) -> str:
    whole = list_checkpoints(checkpoints)
    last = f"the last whole one is {whole[-1].name}" if whole else "there is none yet"
    return (
        f"{checkpoints / name}: cannot be written: {found}; {last}. Make room, and the same command goes on "
        "from there; training.save_total_limit says how many are kept"
    )
