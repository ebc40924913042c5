"""Which files a path, a folder or a glob means."""

from __future__ import annotations

import glob
import logging
from collections.abc import Sequence
from pathlib import Path

from ftkit.data.files import FORMATS, DataFile, make_data_file, parse_name
from ftkit.errors import DataError
from ftkit.recipe.paths import show_path

logger = logging.getLogger(__name__)

_NUM_SHOWN = 5


def list_files(paths: Sequence[Path], spec: str) -> list[DataFile]:
    """List the data files that a source on this disk means.

    A folder means its own data files, not those of its subfolders; a folder that
    `datasets.Dataset.save_to_disk` wrote means its Arrow files. Text documents (`.txt`) in a folder or
    a glob count only when there is nothing else, because they tend to be notes and licences.

    Args:
        paths: one file or folder, or what a glob matched.
        spec: as the user wrote it.

    Raises:
        DataError: no data file among them, or a suffix that no reader knows.
    """
    is_glob = glob.has_magic(spec)
    if len(paths) == 1 and paths[0].is_dir():
        return _pick(_list_folder(paths[0]), paths[0], _show(paths[0], spec))
    if not is_glob:
        return [make_data_file(path, _show(path, spec)) for path in paths]
    return _pick([path for path in paths if path.is_file()], Path(), spec)


def _show(path: Path, spec: str) -> str:
    """Name a file for messages: as the user wrote it, not where the cache has it."""
    return spec.partition("#")[0] if spec.startswith("pypi:") else show_path(path)


def _list_folder(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] not in "._")
    names = {path.name for path in files}
    is_saved_dataset = {"state.json", "dataset_info.json"} <= names
    return [path for path in files if path.suffix == ".arrow"] if is_saved_dataset else files


def _pick(paths: Sequence[Path], folder: Path, name: str) -> list[DataFile]:
    """Keep the data files, and say what is left out."""
    formats = {path: found[0] for path in paths if (found := parse_name(path.name))}
    tables = [path for path in formats if formats[path] != "txt"]
    chosen = tables or list(formats)
    if not chosen:
        raise DataError(_explain_none(paths, folder, name))
    if left_out := [path.name for path in paths if path not in chosen]:
        logger.info("%s: %d of %d files left out: %s", name, len(left_out), len(paths), _name_few(left_out))
    shown = {path: f"{name}/{path.name}" if name.startswith("pypi:") else show_path(path) for path in chosen}
    return [make_data_file(path, shown[path], named=False) for path in chosen]


def _explain_none(paths: Sequence[Path], folder: Path, name: str) -> str:
    known = f"data files are .{', .'.join(FORMATS)}, each also .gz"
    if glob.has_magic(name):
        return f"{name}: matches no data file, but {_name_few([path.name for path in paths])}; {known}"
    found = _name_few([path.name + "/" * path.is_dir() for path in sorted(folder.iterdir())])
    return (
        f"{name}: no data file in this folder; it has {found}; {known}; "
        f"for files in subfolders, write {name}/**/*.jsonl"
    )


def _name_few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_NUM_SHOWN]) or "nothing"
    return shown if len(names) <= _NUM_SHOWN else f"{shown} and {len(names) - _NUM_SHOWN} more"
