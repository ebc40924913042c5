"""What lies in the cache of rows and examples, what it takes, and pruning it."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftkit.data.cache_entries import ENTRY_NAME, USE_FILE, is_in_use
from ftkit.errors import DataError
from ftkit.sources import cache_folder

KINDS = ("rows", "cleaned", "leakage", "prepared", "findings", "downloads")
"""Folders of the cache that are pruned: what can be made, or fetched, again. Models and packages stay."""

_DAY_SECONDS = 24 * 3600


@dataclass(frozen=True)
class CacheEntry:
    """One thing in the cache."""

    kind: str
    """One of `KINDS`."""
    folder: Path
    num_bytes: int
    used: float
    """When it was last used, in seconds since 1970."""
    what: str
    """What it holds, in words."""
    in_use: bool
    """Whether a process on this machine works with it."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {**vars(self), "folder": str(self.folder)}


@dataclass(frozen=True)
class CacheListing:
    """Entries of the cache, those used last first."""

    folder: Path
    entries: tuple[CacheEntry, ...]

    @property
    def num_bytes(self) -> int:
        """What all of them take on the disk."""
        return sum(entry.num_bytes for entry in self.entries)

    def __str__(self) -> str:
        shown = [entry for entry in self.entries if entry.kind != "findings"]
        lines = [
            f"{entry.kind:9}  {show_bytes(entry.num_bytes):>8}  {show_age(time.time() - entry.used):>8}  "
            f"{'in use' if entry.in_use else '':6}  {entry.what}"
            for entry in shown
        ]
        if len(shown) < len(self.entries):
            lines.append(f"and {len(self.entries) - len(shown)} findings about rows")
        return "\n".join([*lines, f"{show_bytes(self.num_bytes)} in {self.folder}"])

    def as_dict(self) -> dict[str, Any]:
        """Return all entries as JSON values."""
        entries = [entry.as_dict() for entry in self.entries]
        return {"folder": str(self.folder), "num_bytes": self.num_bytes, "entries": entries}


@dataclass(frozen=True)
class Pruned:
    """What was taken out of the cache, and what was to be but is in use."""

    removed: CacheListing
    kept: CacheListing

    def __str__(self) -> str:
        what = "entry" if len(self.removed.entries) == 1 else "entries"
        text = f"removed {len(self.removed.entries)} {what}, {show_bytes(self.removed.num_bytes)}"
        in_use = len(self.kept.entries)
        return text + (f"; {in_use} in use stay" if in_use else "")

    def as_dict(self) -> dict[str, Any]:
        """Return both listings as JSON values."""
        return {"removed": self.removed.as_dict(), "kept": self.kept.as_dict()}


def list_cache() -> CacheListing:
    """List rows, cleaned rows, examples, findings and downloads in the cache."""
    entries = sorted(_list_entries(), key=lambda entry: (-entry.used, entry.kind, entry.folder))
    return CacheListing(cache_folder(), tuple(entries))


def prune_cache(*, older_than_days: float | None = None, keep_bytes: int | None = None) -> Pruned:
    """Take entries out of the cache; never one that is in use, nor models and packages.

    Args:
        older_than_days: takes what was not used for so many days.
        keep_bytes: takes what was not used for longest, until the rest has no more bytes than this.

    Raises:
        DataError: neither is given.
    """
    if older_than_days is None and keep_bytes is None:
        raise DataError("data cache: say what to prune: --older-than DAYS, --keep SIZE, or both")
    listing = list_cache()
    chosen = _choose(listing, older_than_days, keep_bytes)
    removed = tuple(entry for entry in chosen if not entry.in_use and _remove(entry))
    kept = tuple(entry for entry in chosen if entry not in removed)
    return Pruned(CacheListing(listing.folder, removed), CacheListing(listing.folder, kept))


def _choose(listing: CacheListing, older_than_days: float | None, keep_bytes: int | None) -> list[CacheEntry]:
    oldest_first = sorted(listing.entries, key=lambda entry: entry.used)
    chosen = [
        entry
        for entry in oldest_first
        if older_than_days is not None and time.time() - entry.used > older_than_days * _DAY_SECONDS
    ]
    left = listing.num_bytes - sum(entry.num_bytes for entry in chosen)
    for entry in oldest_first:
        if keep_bytes is not None and left > keep_bytes and entry not in chosen:
            chosen.append(entry)
            left -= 0 if entry.in_use else entry.num_bytes
    return chosen


def _remove(entry: CacheEntry) -> bool:
    """Remove an entry unless somebody makes or uses it meanwhile."""
    from filelock import FileLock, Timeout

    place = entry.folder.parent
    try:
        with FileLock(place / ".lock", timeout=0):
            if is_in_use(entry.folder):
                return False
            aside = place / f".{ENTRY_NAME}.pruned"
            entry.folder.rename(aside)  # at once, so that nobody reads half an entry
            shutil.rmtree(aside)
    except (OSError, Timeout):
        return False
    shutil.rmtree(place, ignore_errors=True)
    return True


def _list_entries() -> Iterator[CacheEntry]:
    for kind in KINDS:
        for folder in sorted((cache_folder() / kind).glob(f"*/{ENTRY_NAME}")):
            use_file = folder.parent / USE_FILE
            try:
                used = max(path.stat().st_mtime for path in (folder, use_file) if path.exists())
                num_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            except (OSError, ValueError):
                continue  # just taken away by somebody else
            yield CacheEntry(kind, folder, num_bytes, used, _describe(kind, folder), is_in_use(folder))


def _describe(kind: str, folder: Path) -> str:
    """Say what an entry holds."""
    if kind == "leakage":
        return "training rows that repeat held-out ones"
    if kind == "downloads":
        return ", ".join(sorted(path.name for path in folder.iterdir() if path.name[0] != "."))
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        return _describe_examples(about) if kind == "prepared" else _describe_rows(about)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "damaged" if kind != "findings" else ""


def _describe_rows(about: Mapping[str, Any]) -> str:
    return f"{sum(about['num_rows_by_part']):,} rows: {', '.join(about['columns'])}"


def _describe_examples(about: Mapping[str, Any]) -> str:
    names = about["names"]
    text = f"{about['num_examples']:,} examples of {about['key'].get('task', '?')}"
    if names:
        text += f", {names['split']}: {', '.join(names['sources'])}"
    return text + (f" (made anew: {'; '.join(about['changed'])})" if about.get("changed") else "")


def show_bytes(number: float) -> str:
    """Write a number of bytes short, in units of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def show_age(seconds: float) -> str:
    """Write how long ago something was."""
    for size, name in ((_DAY_SECONDS, "days"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {name}"
    return "now"
