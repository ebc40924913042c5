"""One process at a time in a run folder."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ftkit.errors import RunError
from ftkit.runs.files import check_writable, make_write_error

LOCK = ".lock"


@contextlib.contextmanager
def hold_run(path: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes out of a run folder while the body runs; a crash releases it.

    The folder is made where it is missing, and vanishes again when the body leaves nothing in it.

    Raises:
        RunError: another process trains in it, or it cannot be written.
    """
    from filelock import FileLock, Timeout

    folder = Path(path)
    check_writable(folder)
    lock = FileLock(folder / LOCK)
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(
            f"{folder}: another process is working on this run; wait for it, or choose another output_dir"
        ) from error
    except OSError as error:
        raise make_write_error(folder, error) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)
        lock.release()
        for parent in missing:
            with contextlib.suppress(OSError):
                parent.rmdir()


def is_litter(path: Path) -> bool:
    """Tell whether a file in a run folder is the lock, or the half-written file of a killed process."""
    return path.name == LOCK or path.name.startswith(".run.json.")


def empty_run(folder: Path) -> None:
    """Delete all that a run left in its folder, what makes it a run last; the lock stays.

    Where the folder is not there, nothing is to be done.
    """
    paths = list(folder.iterdir()) if folder.is_dir() else []
    for path in sorted(paths, key=lambda path: path.name == "run.json"):
        if path.name == LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
