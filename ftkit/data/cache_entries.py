"""Entries of ftkit's cache: folders that are made once, whole or not at all, by one process."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ftkit.errors import FtkitError, SourceError
from ftkit.sources import cache_folder, hold_lock, write_aside

logger = logging.getLogger(__name__)

Entry = TypeVar("Entry")


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
    """
    place = cache_folder() / kind / key
    entry = place / "entry"
    found = _read_entry(entry, read)
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
        with write_aside(entry) as folder:
            make(folder)
    except FtkitError:
        raise
    except OSError as error:
        raise SourceError(
            f"{entry.parent}: cannot write to ftkit's cache: {error.strerror or error}; "
            "free some disk, or set FTKIT_CACHE to another folder"
        ) from error
