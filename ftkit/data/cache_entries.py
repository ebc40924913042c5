"""Entries of ftkit's cache: folders that are made once, whole or not at all, by one process."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar

from ftkit.errors import FtkitError, SourceError
from ftkit.sources import cache_folder, hold_lock, write_aside

logger = logging.getLogger(__name__)

Entry = TypeVar("Entry")

ENTRY_NAME = "entry"
USE_FILE = ".used"
"""Beside an entry: changed whenever the entry is used, and locked while somebody uses it."""


_seen: ContextVar[list[str] | None] = ContextVar("seen", default=None)


class NotCachedError(Exception):
    """Something is not in the cache, and nothing is to be made: `looking_only` is on."""

    def __init__(self, kind: str) -> None:
        super().__init__(f"{kind}: not in the cache")
        self.kind = kind


@contextmanager
def looking_only() -> Iterator[list[str]]:
    """Let nothing be made within the body: what is not in the cache raises `NotCachedError`.

    Yields:
        The kinds of what was asked for and is there, in order.
    """
    seen: list[str] = []
    token = _seen.set(seen)
    try:
        yield seen
    finally:
        _seen.reset(token)


def find_or_make_entry(
    kind: str, key: str, make: Callable[[Path], None], read: Callable[[Path], Entry]
) -> Entry:
    """Read an entry of the cache; make it first when it is not there, or damaged.

    When several processes want the same entry, one makes it and the others wait for it. Whatever
    stops the making leaves no entry behind.

    Args:
        kind: the cache's subfolder.
        key: a hash of everything that the entry depends on.
        make: fills the empty folder that it is given.
        read: reads a complete folder; raises OSError, ValueError or KeyError on a damaged one.

    Raises:
        SourceError: the cache cannot be written to, for instance because the disk is full.
        NotCachedError: it is not there, within `looking_only`.
    """
    place = cache_folder() / kind / key
    entry = place / ENTRY_NAME
    found = _read_entry(entry, read)
    seen = _seen.get()
    if seen is not None and found is None:
        raise NotCachedError(kind)
    if seen is not None:
        seen.append(kind)
    if found is not None:
        return found
    with hold_lock(place):
        found = _read_entry(entry, read)
        if found is None:
            _make_entry(entry, make)
    return read(entry) if found is None else found


def _read_entry(entry: Path, read: Callable[[Path], Entry]) -> Entry | None:
    """Read an entry; None where it is missing or damaged."""
    if not entry.exists():
        return None
    try:
        return read(entry)
    except (OSError, ValueError, KeyError) as error:
        logger.warning("%s: damaged, so it is made anew: %s", entry, error)
        return None


def _make_entry(entry: Path, make: Callable[[Path], None]) -> None:
    try:
        for left_behind in entry.parent.glob(f".{entry.name}.*"):  # by a process that was killed
            shutil.rmtree(left_behind, ignore_errors=True)
        with write_aside(entry) as folder:
            make(folder)
    except FtkitError:
        raise
    except OSError as error:
        raise SourceError(
            f"{entry.parent}: cannot write to ftkit's cache: {error.strerror or error}; "
            "free some disk (ftkit data cache --keep 1GB), or set FTKIT_CACHE to another folder"
        ) from error


class Use:
    """Keeps an entry from being pruned for as long as this object, or the process, lives."""

    def __init__(self, entry: Path) -> None:
        """Note that the entry is used now; in a cache that cannot be written to, nothing is noted."""
        self.descriptor: int | None = None
        path = entry.parent / USE_FILE
        with suppress(OSError):
            self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            os.utime(path)
            _lock_shared(self.descriptor)

    def __del__(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)


def is_in_use(entry: Path) -> bool:
    """Tell whether a process on this machine uses an entry."""
    try:
        descriptor = os.open(entry.parent / USE_FILE, os.O_RDWR)
    except OSError:
        return False
    try:
        return not _lock_alone(descriptor)
    finally:
        os.close(descriptor)


def _lock_shared(descriptor: int) -> None:
    """Lock beside others; the system takes the lock off when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows deletes no file that somebody has mapped
        return
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def _lock_alone(descriptor: int) -> bool:
    """Try to lock against all others; False where somebody has a lock."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
