"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import itertools
import json
import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from ftkit.errors import RunError


@contextmanager
def open_to_replace(path: Path) -> Iterator[IO[str]]:
    """Open a text file under a temporary name; it takes its place only when all went well.

    Raises:
        RunError: it cannot be written.
    """
    with _replacing(path, "w", encoding="utf-8", newline="\n") as file:
        yield file


@contextmanager
def open_binary_to_replace(path: Path) -> Iterator[IO[bytes]]:
    """Open a file of bytes as `open_to_replace` opens one of text."""
    with _replacing(path, "wb") as file:
        yield file


@contextmanager
def _replacing(path: Path, mode: str, **text: Any) -> Iterator[IO[Any]]:
    try:
        with _open_aside(path, mode, **text) as file:
            yield file
    except OSError as error:
        if error.errno is None:  # not from the system: an error of ftkit's own that is an OSError too
            raise
        raise make_write_error(path, error) from error


@contextmanager
def _open_aside(path: Path, mode: str, **text: Any) -> Iterator[IO[Any]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by tempfile: that gives 0600 whatever the umask, and the folder's readers are the user's to choose.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open(mode.replace("w", "x"), **text) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def make_write_error(path: Path, error: OSError) -> RunError:
    """Say why a file or folder cannot be written."""
    remedy = "make room there, or choose" if error.errno == errno.ENOSPC else "choose"
    return RunError(f"{path}: cannot be written: {error.strerror or error}; {remedy} another place")


def check_writable(path: Path) -> None:
    """Check that a folder can be made, or written into; leaves nothing behind.

    Raises:
        RunError: it cannot, and why.
    """
    try:
        if path.exists() and not path.is_dir():
            raise RunError(f"{path}: is a file, where a folder is to be written; choose another name")
        parent = next(folder for folder in path.absolute().parents if folder.exists())
        # Tried, because neither file rights nor `os.access` know of read-only disks and the like.
        with tempfile.TemporaryDirectory(prefix=".ftkit-", dir=path if path.is_dir() else parent):
            pass
    except OSError as error:
        raise make_write_error(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with open_to_replace(path) as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file atomically, indented, with Chinese as it is."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def write_json_lines(path: Path, values: Iterable[Any]) -> None:
    """Write a JSON lines file atomically, one value a line."""
    with open_to_replace(path) as file:
        for value in values:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")


def append_json_line(path: Path, value: Any) -> None:
    """Add a line to a JSON lines file; a line is written in one piece."""
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(value, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file of a run.

    Raises:
        RunError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{path}: not there; is {path.parent} the folder of a run?") from error
    except ValueError as error:
        raise RunError(f"{path}: damaged, no JSON: {error}") from error


def read_json_lines(path: Path, *, most: int | None = None) -> list[Any]:
    """Read a JSON lines file of a run; one that is not there has no lines.

    Args:
        path: the file.
        most: how many lines to read at most; None for all.

    Raises:
        RunError: a line is damaged.
    """
    if not path.is_file():
        return []
    values = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(itertools.islice(file, most), start=1):
            try:
                values.append(json.loads(line))
            except ValueError as error:
                raise RunError(f"{path}:{number}: damaged, no JSON: {error}") from error
    return values
