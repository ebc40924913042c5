"""Who may write into a run folder, and what is in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ftkit.errors import FtkitError, RunError
from ftkit.runs.checkpoint_folders import find_whole_checkpoint, list_checkpoints
from ftkit.runs.files import check_writable, read_json, write_json, write_text
from ftkit.runs.lock import empty_run, is_litter

PASSIVE_SETTINGS = (
    "output_dir",
    "data.license",
    "training.report_to",
    "training.log_every",
    "training.save_total_limit",
    "training.micro_batch_size",
    "training.gradient_checkpointing",
    "training.profile",
    *("parallel.strategy", "parallel.shard_size", "parallel.num_devices", "parallel.num_hosts"),
    *("parallel.rendezvous", "parallel.host_rank", "parallel.rendezvous_timeout", "parallel.max_restarts"),
    *("checks.rows_without_loss", "checks.rows_left_out", "checks.answers_cut"),
    *("checks.answers_without_stop", "checks.prompts_changed", "checks.unknown_tokens"),
)
"""Settings that may change while a run is continued: they do not change what the model learns."""


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe; running it again gives this run again."""
        return self.path / "recipe.yaml"

    @property
    def info(self) -> Path:
        """Status, versions, hardware, fingerprints and command."""
        return self.path / "run.json"

    @property
    def data(self) -> Path:
        """What was found out about the rows."""
        return self.path / "data"

    @property
    def checkpoints(self) -> Path:
        """`checkpoint-N` after step N."""
        return self.path / "checkpoints"

    @property
    def metrics(self) -> Path:
        """One line per logged step."""
        return self.path / "metrics.jsonl"

    @property
    def model(self) -> Path:
        """The tuned model, as plain transformers loads it."""
        return self.path / "model"

    @property
    def adapter(self) -> Path:
        """The adapter alone, as plain peft loads it; absent after full fine-tuning."""
        return self.path / "adapter"

    @property
    def evaluation(self) -> Path:
        """Reports and predictions."""
        return self.path / "evaluation"

    @property
    def tensorboard(self) -> Path:
        """Events for tensorboard, where the recipe reports to it."""
        return self.path / "tensorboard"

    @property
    def profile(self) -> Path:
        """Where the time of some steps went, with `training.profile`."""
        return self.path / "profile"

    @property
    def page(self) -> Path:
        """The run at a glance, for a browser."""
        return self.path / "report.html"

    @property
    def card(self) -> Path:
        """The model card."""
        return self.path / "README.md"

    def find_checkpoint(self) -> Path | None:
        """Return the newest checkpoint that is whole; None where there is none."""
        return find_whole_checkpoint(self.checkpoints)


def is_main_process() -> bool:
    """Say whether this process writes the run folder: the only one, or rank 0 under a launcher."""
    return os.environ.get("RANK", "0") == "0"


def open_run_folder(path: str | os.PathLike[str]) -> RunFolder:
    """Return an existing run.

    Raises:
        RunError: the folder does not hold a run.
    """
    folder = RunFolder(Path(path).expanduser())
    if not folder.info.is_file():
        raise RunError(_explain_no_run(folder.path))
    return folder


def claim_run_folder(
    path: str | os.PathLike[str], recipe_text: str, *, fresh: bool
) -> tuple[RunFolder, bool]:
    """Decide whether a run may use a folder, before anything is written.

    Args:
        path: the folder, there or not.
        recipe_text: the resolved recipe of the run that wants it.
        fresh: whether the user said that an older run in it may be replaced.

    Returns:
        The folder, and whether an interrupted run of the same recipe is continued in it.

    Raises:
        RunError: another or a finished run lies there, or the folder cannot be written.
    """
    folder = RunFolder(Path(path))
    check_writable(folder.path)
    if not folder.path.exists() or all(is_litter(path) for path in folder.path.iterdir()):
        return folder, False
    if not folder.info.is_file():
        raise RunError(f"{folder.path}: has files that are not of a run; choose another output_dir")
    if fresh:
        return folder, False
    changed = (
        find_changes(folder.recipe.read_text(encoding="utf-8"), recipe_text)
        if folder.recipe.is_file()
        else []
    )
    remedy = "Add --fresh to replace it (fresh=True in a notebook), or choose another output_dir"
    if changed:
        shown = "; ".join(changed[:5]) + (f"; and {len(changed) - 5} more" if len(changed) > 5 else "")
        raise RunError(f"{folder.path}: holds a run of another recipe ({shown}). {remedy}")
    if read_json(folder.info).get("status") == "finished":
        raise RunError(f"{folder.path}: holds the finished run of this recipe. {remedy}")
    return folder, True


def start_run(folder: RunFolder, recipe_text: str, info: Mapping[str, Any], *, continued: bool) -> None:
    """Write what is known of a run before its first step, and remove what a fresh one replaces.

    Raises:
        RunError: the run that is to be continued was made of other data.
    """
    if continued:
        before = read_json(folder.info).get("fingerprints", {})
        changed = [name for name, value in info["fingerprints"].items() if before.get(name) != value]
        if changed:
            raise RunError(
                f"{folder.path}: cannot be continued: {', '.join(changed)} changed since it began. "
                "Put the old files back, add --fresh to start again, or choose another output_dir"
            )
    elif folder.info.is_file():
        empty_run(folder.path)
    # First what makes the folder that of a run, so that one killed in between is known as such.
    write_json(folder.info, {"status": "running", **info})
    write_text(folder.recipe, recipe_text)


@contextmanager
def discard_unstarted(folder: RunFolder, *, continued: bool) -> Iterator[None]:
    """Take a new run away again when it fails before its first checkpoint: there is nothing to keep.

    Args:
        folder: the run that the body starts and trains.
        continued: whether it was there before; then it stays.
    """
    try:
        yield
    except (FtkitError, KeyboardInterrupt):
        if not continued and is_main_process() and not list_checkpoints(folder.checkpoints):
            empty_run(folder.path)
            with suppress(OSError):
                folder.path.rmdir()
        raise


def find_changes(old: str, new: str) -> list[str]:
    """Name the settings in which two resolved recipes differ, as `key: old -> new`."""
    before, after = (flatten_settings(yaml.safe_load(text) or {}) for text in (old, new))
    keys = [key for key in {**before, **after} if key not in PASSIVE_SETTINGS]
    return [
        f"{key}: {before.get(key)} -> {after.get(key)}" for key in keys if before.get(key) != after.get(key)
    ]


def flatten_settings(value: Any, prefix: str = "") -> dict[str, Any]:
    """Write nested settings flat: `training.learning_rate` -> its value."""
    if not isinstance(value, Mapping) or not value:
        return {prefix: value}
    pairs: dict[str, Any] = {}
    for key, item in value.items():
        pairs |= flatten_settings(item, f"{prefix}.{key}" if prefix else str(key))
    return pairs


def _explain_no_run(path: Path) -> str:
    """Say why a path is not the folder of a run, and which runs are near."""
    if not path.is_dir():
        what = "it is a file" if path.exists() else "there is no such folder"
        near = path.parent
    else:
        what, near = "there is no run.json in it", path
    runs = sorted(str(info.parent) for info in near.glob("*/run.json")) if near.is_dir() else []
    shown = f"; runs here: {', '.join(runs[:5])}" if runs else ""
    return f"{path}: not the folder of a run: {what}; name the output_dir of a run{shown}"
