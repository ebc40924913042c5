"""What a run left in its folder, read back as plain values for those who show it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ftkit.errors import RunError
from ftkit.runs.files import read_json, read_json_lines
from ftkit.runs.folder import RunFolder, flatten_settings, open_run_folder

PARTS_OF_REPORT = ("task", "split", "rows", "metrics", "scores", "comparisons", "notes")
"""What every reader of `evaluation/report.json` relies on."""


@dataclass(frozen=True)
class SavedRun:
    """A run as it lies on disk; nothing of it needs torch."""

    folder: RunFolder
    info: Mapping[str, Any]
    """`run.json`: status, versions, fingerprints."""

    recipe: Mapping[str, Any]
    """The resolved recipe, nested as in its file."""

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.folder.path.resolve().name

    @property
    def is_finished(self) -> bool:
        """Whether it came to its end."""
        return bool(self.info.get("status") == "finished")

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The resolved recipe, flat: `training.learning_rate` -> its value."""
        return flatten_settings(dict(self.recipe))

    @cached_property
    def report(self) -> dict[str, Any]:
        """The evaluation at the end of the run.

        Raises:
            RunError: it is missing, damaged, or of an older ftkit that wrote something else.
        """
        return read_report(self.folder.evaluation / "report.json")

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return [line for line in read_json_lines(self.folder.metrics) if isinstance(line, dict)]


def read_saved_run(path: str | os.PathLike[str], *, finished: bool = True) -> SavedRun:
    """Read a run from its folder.

    Args:
        path: the folder.
        finished: whether it must have come to its end.

    Raises:
        RunError: no run, an unfinished one, or a damaged one.
    """
    folder = open_run_folder(path)
    info = read_json(folder.info)
    if not isinstance(info, dict):
        raise RunError(f"{folder.info}: damaged: found {type(info).__name__}, not the record of a run")
    run = SavedRun(folder, info, read_plain_recipe(folder.recipe))
    if finished and not run.is_finished:
        raise RunError(
            f"{folder.path}: the run is not finished (status: {info.get('status', 'unknown')}); "
            f"continue it: ftkit finetune {folder.recipe}"
        )
    return run


def read_plain_recipe(path: Path) -> dict[str, Any]:
    """Read a run's recipe without checking it: an older run may have settings of its time.

    Raises:
        RunError: it is missing or damaged.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(
            f"{path}: cannot be read: {error.strerror}; the run is damaged, start it again"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RunError(f"{path}: damaged, no YAML: {error}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path}: damaged: found no settings; put the file back, or start the run again")
    return value


def read_report(path: Path) -> dict[str, Any]:
    """Read an evaluation's report.json.

    Raises:
        RunError: it is missing, damaged, or of an older ftkit that wrote something else.
    """
    report = read_json(path)
    missing = (
        [part for part in PARTS_OF_REPORT if part not in report] if isinstance(report, dict) else ["all"]
    )
    if missing:
        raise RunError(
            f"{path}: not a report that this ftkit can show: {', '.join(missing)} missing; it is damaged, or "
            "of another ftkit; show it with the ftkit that run.json names, or run it again"
        )
    return dict(report)


def find_runs(folder: str | os.PathLike[str]) -> list[Path]:
    """Find the runs in a folder, at any depth; a run's own folders are not searched.

    Raises:
        RunError: the folder is not there.
    """
    top = Path(folder).expanduser()
    if not top.is_dir():
        what = "it is a file" if top.exists() else "there is no such folder"
        raise RunError(f"{top}: cannot be searched for runs: {what}; name the folder that your runs are in")
    return sorted(_walk(top))


def _walk(folder: Path) -> Iterable[Path]:
    if (folder / "run.json").is_file():
        yield folder
        return
    for child in folder.iterdir():
        if child.is_dir() and not child.is_symlink() and not child.name.startswith("."):
            yield from _walk(child)
