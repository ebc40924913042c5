"""Hashes of large files, remembered while the file's size, times and place on the disk stay the same."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from ftkit.sources.cache import cache_folder, hash_file

SMALLEST_BYTES = 4 << 20
"""A smaller file is read each time: that takes milliseconds, and is always right."""
_SETTLED_SECONDS = 2
"""A file changed so shortly before may change again without another time stamp (FAT counts 2 s)."""


def hash_file_once(path: Path) -> str:
    """Compute the SHA-256 of a file, or recall it for a large file that has not changed.

    A file counts as unchanged when its size, its times of modification and of change, and its inode are
    the same. Whoever writes into a file, copies or moves another one over it, or sets its time back,
    changes one of these on the file systems of Linux and macOS; a network file system that invents
    times may hide it. Deleting `hashes` in ftkit's cache has all files read again.

    Returns:
        64 lower-case hexadecimal digits.
    """
    before = _describe(path)
    if before["bytes"] < SMALLEST_BYTES:
        return hash_file(path)
    record = cache_folder() / "hashes" / f"{hashlib.sha256(os.fsencode(path.absolute())).hexdigest()}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):
        known = json.loads(record.read_text(encoding="utf-8"))
        if known["file"] == before:
            return str(known["sha256"])
    digest = hash_file(path)
    is_settled = time.time_ns() - max(before["modified_ns"], before["changed_ns"]) > _SETTLED_SECONDS * 10**9
    if is_settled and _describe(path) == before:
        _write(record, {"path": str(path.absolute()), "file": before, "sha256": digest})
    return digest


def _describe(path: Path) -> dict[str, int]:
    found = path.stat()
    return {
        "bytes": found.st_size,
        "modified_ns": found.st_mtime_ns,
        "changed_ns": found.st_ctime_ns,
        "inode": found.st_ino,
        "device": found.st_dev,
    }


def _write(record: Path, content: dict[str, object]) -> None:
    """Write a record whole; a cache that cannot be written to remembers nothing."""
    with suppress(OSError):
        record.parent.mkdir(parents=True, exist_ok=True)
        aside = record.with_name(f".{record.name}.{os.getpid()}")
        aside.write_text(json.dumps(content), encoding="utf-8")
        os.replace(aside, record)
