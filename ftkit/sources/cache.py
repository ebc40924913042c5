"""ftkit's own cache on disk: where it is, and how a thing gets into it whole or not at all."""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftkit.errors import SourceError

_CHUNK_BYTES = 1 << 20


def cache_folder() -> Path:
    """Tell where ftkit keeps what it downloaded or converted.

    Returns:
        `$FTKIT_CACHE`, else the `ftkit` folder in the platform's cache; it need not exist yet.
    """
    if chosen := os.environ.get("FTKIT_CACHE"):
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        platform_cache = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        platform_cache = Path.home() / "Library" / "Caches"
    else:
        platform_cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(platform_cache) / "ftkit"


def hash_file(path: str | Path) -> str:
    """Compute the SHA-256 of a file, read in pieces.

    Returns:
        64 lower-case hexadecimal digits.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def hold_lock(folder: Path) -> Iterator[None]:
    """Keep other processes out of a cache folder while the body runs; a crash releases the lock.

    Args:
        folder: created when it is missing; the lock is a file named `.lock` in it.

    Raises:
        SourceError: the folder cannot be written to.
    """
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire()
    except OSError as error:
        raise SourceError(
            f"{folder}: ftkit cannot write to its cache; {error.strerror or error}; "
            "set FTKIT_CACHE to a folder that you can write to"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def write_aside(target: Path) -> Iterator[Path]:
    """Make a folder whole or not at all: the body fills a new folder beside it, renamed at the end.

    Args:
        target: the folder to make; what was there before is replaced once the new one is complete.

    Yields:
        The empty folder to write into; it vanishes when the body raises.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield aside
        _open_to_colleagues(aside)
        if target.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
            os.replace(target, old / target.name)
            os.replace(aside, target)
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _open_to_colleagues(folder: Path) -> None:
    """Give a folder and its files the usual rights: temporary folders and safetensors are private."""
    mask = os.umask(0o022)  # can only be read by setting it
    os.umask(mask)
    for path in (folder, *folder.rglob("*")):
        path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)
