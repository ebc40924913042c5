"""Why examples are not in the cache: which part of the key differs from the nearest entry."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ftkit.sources import cache_folder

logger = logging.getLogger(__name__)

WORDS = {
    "format": "the layout of the cache",
    "version": "how the task encodes",
    "code": "the code of the task",
    "rows": "the rows",
    "tokenizer": "the tokenizer",
    "labels": "the labels",
    "segmenter_fingerprint": "the segmenter's code",
}
"""What parts of a key are called that are no settings."""

_HASHES = frozenset({"rows", "tokenizer", "code", "segmenter_fingerprint"})


def read_keys() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Read folder and description of every set of examples in the cache; damaged ones are left out."""
    for path in sorted((cache_folder() / "prepared").glob("*/entry/about.json")):
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(about, dict) and isinstance(about.get("key"), dict):
            yield path.parent, about


def find_nearest_entry(
    key: Mapping[str, Any], names: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]] | None:
    """Find the examples in the cache whose key differs least.

    Args:
        key: of the examples that are not there.
        names: what they are called; of equally near entries, one with the same names counts.

    Returns:
        The description of the nearest entry of the same task, and how its key differs, as
        `max_tokens: 256 -> 512`; None where there is no entry of this task.
    """
    found = [
        (len(changes), about.get("names") != names, -folder.stat().st_mtime, about, changes)
        for folder, about in read_keys()
        if about["key"].get("task") == key.get("task")
        for changes in [list_changes(about["key"], key)]
    ]
    if not found:
        return None
    *_, about, changes = min(found, key=lambda each: each[:3])
    return about, changes


def list_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name the parts in which two keys differ; of hashes only that they do."""
    names = sorted(name for name in {**old, **new} if old.get(name) != new.get(name))
    return [
        WORDS[name] if name in _HASHES else f"{WORDS.get(name, name)}: {old.get(name)} -> {new.get(name)}"
        for name in names
    ]


def say_what_changed(key: Mapping[str, Any], names: Mapping[str, Any]) -> list[str]:
    """Say why examples are made anew, where there are some that were made nearly the same way.

    Returns:
        The parts of the key that changed; empty where these examples are made for the first time.
    """
    nearest = find_nearest_entry(key, names)
    what = names.get("split", "examples")
    if nearest is None or nearest[0].get("names") != dict(names):
        logger.info("%s: encoding, for the first time", what)
        return []
    logger.info("%s: encoding anew; since last time changed: %s", what, "; ".join(nearest[1]))
    return nearest[1]
