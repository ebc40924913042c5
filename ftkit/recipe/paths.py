"""Make the paths of a recipe absolute: a relative one is relative to the recipe that names it."""

import glob
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftkit.recipe.values import MEMORY_MARK, PERCENT, make_printable, names_source

_PATH_SETTINGS: dict[str, tuple[str, ...]] = {
    "model": ("base", "tokenizer"),
    "data": ("train", "validation", "test"),
    "data.leakage": ("against",),
}
_ADDRESS = re.compile(r"pypi:|[A-Za-z][A-Za-z0-9+.-]+://")
_HUB_ID = re.compile(r"(?P<parts>\w[\w.-]*(/\w[\w.-]*)*)(\?\w+=.*)?", re.ASCII)
_TASK_FILE = re.compile(r"\.ya?ml$", re.IGNORECASE)
_FILE_SUFFIX = re.compile(
    r"\.(json|jsonl|ndjson|csv|tsv|parquet|arrow|txt|text|md|ya?ml|gguf|safetensors|bin|pt|pth|gz|zip)$",
    re.IGNORECASE,
)


def resolve_paths(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make every path in the sections of one recipe absolute; leave addresses and hub ids alone."""
    resolved = _resolve_section(values, folder, "")
    evaluation = values.get("evaluation")
    if isinstance(evaluation, Mapping):
        resolved["evaluation"] = _resolve_evaluation(evaluation, folder)
    output = values.get("output_dir")
    if isinstance(output, str) and output and not is_address(output):
        resolved["output_dir"] = make_absolute(output, folder)
    return resolved


def _resolve_section(values: Mapping[str, Any], folder: Path, name: str) -> dict[str, Any]:
    """Resolve the paths in one section, the top of the recipe having no name, and in those inside it."""
    resolved = dict(values)
    for key in _PATH_SETTINGS.get(name, ()):
        if key in values:
            resolved[key] = _resolve_entry(values[key], folder)
    for inner in _PATH_SETTINGS:
        outer, _, key = inner.rpartition(".")
        if outer == name and isinstance(values.get(key), Mapping):
            resolved[key] = _resolve_section(values[key], folder, inner)
    return resolved


def _resolve_evaluation(section: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Resolve the files that an evaluation reads: further rows, a schema, tasks of the harness."""
    resolved = dict(section)
    if isinstance(section.get("json_schema"), str):
        resolved["json_schema"] = make_absolute(section["json_schema"], folder)
    also = section.get("also")
    if isinstance(also, Mapping):
        resolved["also"] = {
            name: {**each, "data": _resolve_entry(each["data"], folder)}
            if isinstance(each, Mapping) and "data" in each
            else each
            for name, each in also.items()
        }
    harness = section.get("harness")
    if isinstance(harness, Mapping) and isinstance(harness.get("tasks"), list):
        tasks = [
            make_absolute(task, folder) if isinstance(task, str) and _TASK_FILE.search(task) else task
            for task in harness["tasks"]
        ]
        resolved["harness"] = {**harness, "tasks": tasks}
    return resolved


def _resolve_entry(entry: Any, folder: Path) -> Any:
    """Resolve one text or each text of a list; anything else is for the check of types to judge."""
    if isinstance(entry, list):
        return [_resolve_entry(each, folder) if not isinstance(each, list) else each for each in entry]
    if names_source(entry):
        return {**entry, "source": _resolve_entry(entry["source"], folder)}
    return make_absolute(entry, folder) if isinstance(entry, str) and names_path(entry, folder) else entry


def is_address(text: str) -> bool:
    """Tell whether a text says by itself where to look: `pypi:` or a scheme such as `s3://`."""
    return _ADDRESS.match(text) is not None


def names_path(text: str, folder: Path) -> bool:
    """Tell a path from an address, a hub id and a share; `ftkit.sources.locate` follows the same rule.

    A bare `name`, `org/name` or `org/name/file.gguf` is of the hub, unless something lies there (the first
    part of it is enough), it has a file's suffix, a glob's characters, or begins with `./`, `../`, `/`, `~`.
    """
    if not text.strip() or is_address(text) or text.startswith(MEMORY_MARK) or PERCENT.fullmatch(text):
        return False
    match = _HUB_ID.fullmatch(text)
    if match and "?" in text:
        return False
    if not match or os.path.exists(folder / text.split("/", maxsplit=1)[0]):
        return True
    num_parts = match["parts"].count("/") + 1
    if num_parts > 2:
        return not match["parts"].lower().endswith(".gguf")
    return _FILE_SUFFIX.search(match["parts"]) is not None


def make_absolute(text: str, folder: Path) -> str:
    """Join a path with its folder, without links resolved; a glob stays a glob."""
    path = os.path.expanduser(text)
    if not os.path.isabs(path):
        base = os.fspath(folder)
        path = os.path.join(glob.escape(base) if glob.has_magic(path) else base, path)
    return os.path.abspath(path)


def show_path(path: Path) -> str:
    """Write a path as short as it stays clear: relative where it lies below the current directory."""
    absolute = os.path.abspath(path)
    here = os.getcwd()
    below = absolute.startswith(here.rstrip(os.sep) + os.sep)
    return make_printable(os.path.relpath(absolute, here) if below else absolute)
