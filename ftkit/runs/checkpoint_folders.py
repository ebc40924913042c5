"""Which checkpoints of a run are whole: their folders, the seal in each, and what is damaged."""

from __future__ import annotations

import json
import logging
import os
import re
from pathlib import Path

from ftkit.errors import RunError
from ftkit.runs.files import write_json
from ftkit.sources import hash_file

logger = logging.getLogger(__name__)

SEAL = "checksums.json"
"""File -> SHA-256, of all other files of a checkpoint; written last."""

ASIDE = ".writing"
"""Where a checkpoint is written until it is whole; what a killed process leaves there is not read."""


def list_checkpoints(folder: Path) -> list[Path]:
    """List the sealed checkpoints in a folder, the oldest step first, without reading them."""
    found = [
        (int(match[1]), path)
        for path in (folder.glob("checkpoint-*") if folder.is_dir() else ())
        if (match := re.fullmatch(r"checkpoint-(\d+)", path.name)) and (path / SEAL).is_file()
    ]
    return [path for _, path in sorted(found)]


def find_whole_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint whose files are all as they were written; None where there is none.

    A damaged one is named in the log, and passed over.
    """
    for path in reversed(list_checkpoints(folder)):
        damage = find_damage(path)
        if damage is None:
            return path
        logger.warning("%s: damaged (%s), passed over", path, damage)
    return None


def seal_checkpoint(folder: Path) -> None:
    """Bring the files of a checkpoint onto the disk, and note their checksums beside them."""
    checksums = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        checksums[path.relative_to(folder).as_posix()] = hash_file(path)
    write_json(folder / SEAL, checksums)


def find_damage(folder: Path) -> str | None:
    """Say what of a sealed checkpoint is not as it was written; None where all of it is."""
    try:
        checksums = json.loads((folder / SEAL).read_text(encoding="utf-8"))
        for name, checksum in checksums.items():
            path = folder / name
            if not path.is_file():
                return f"{name} is missing"
            if hash_file(path) != checksum:
                return f"{name} is not what was written"
    except (OSError, ValueError, AttributeError, RunError) as error:
        return str(error)
    return None
