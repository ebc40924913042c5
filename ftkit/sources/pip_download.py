"""Have the user's own pip bring one archive, and make sure that nothing in it is run."""

import importlib.util
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

from ftkit.errors import MissingDependencyError, SourceError
from ftkit.sources import sdist_script

logger = logging.getLogger(__name__)

_OPTIONS = ["--disable-pip-version-check", "--no-input"]


def download_archive(spec: str, name: str, version: str, folder: Path) -> None:
    """Download a package's wheel, or where it has none its source archive, into a folder.

    `pip download` serves for wheels. It is not used for source archives, because it builds their
    metadata, which runs their code; a script with pip's own finder and session fetches them as files.

    Args:
        spec: what the user wrote, for the errors.
        name: of the package.
        version: of the package.
        folder: empty; holds exactly one file afterwards.

    Raises:
        SourceError: the index has no such package or version, or cannot be reached.
        MissingDependencyError: this Python has no pip.
    """
    if importlib.util.find_spec("pip") is None:
        raise MissingDependencyError(
            f"{spec}: this Python has no pip, which downloads packages; {sys.executable}; "
            "run `python -m ensurepip`, or `uv pip install pip`"
        )
    wheel = _run([*_pip_command(), "--only-binary=:all:", "--dest", str(folder), f"{name}=={version}"])
    if wheel.returncode == 0 and any(folder.iterdir()):
        return
    if _is_unreachable(wheel.stderr):
        raise SourceError(f"{spec}: the package index cannot be reached; {_say_last(wheel.stderr)}")
    logger.info("%s %s has no wheel; looking for its source archive", name, version)
    sdist = _run([sys.executable, sdist_script.__file__, name, version, str(folder)])
    if sdist.returncode != 0:
        raise SourceError(
            f"{spec}: pip finds no wheel, and its source archive cannot be fetched; "
            f"{_say_last(sdist.stderr)}; {_say_last(wheel.stderr)}"
        )
    answer = json.loads(sdist.stdout.splitlines()[-1])
    if answer["file"] is None and not answer["versions"] and answer["trouble"]:
        raise SourceError(f"{spec}: the package index cannot be reached; pip says: {answer['trouble'][0]}")
    if answer["file"] is None:
        raise SourceError(_explain_not_found(spec, name, version, answer["versions"], wheel.stderr))


def _pip_command() -> list[str]:
    # Nothing is installed or run, so what Python the package is for does not matter.
    return [sys.executable, "-m", "pip", "download", *_OPTIONS, "--no-deps", "--ignore-requires-python"]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of this Python that cannot ask questions; its progress bar goes to a terminal."""
    shows_bar = "pip" in command and sys.stderr.isatty()
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if shows_bar else subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        check=False,
        # Without it, Python 3.11 and newer would import modules from the working folder.
        env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "utf-8"},
    )


def _is_unreachable(stderr: str) -> bool:
    return any(sign in stderr for sign in ("connection broken by", "Could not fetch URL", "ProxyError"))


def _say_last(stderr: str) -> str:
    """Pick the line of pip's complaints that says most: the last error, else the last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines
    return f"pip says: {errors[-1].removeprefix('ERROR: ')}" if errors else "pip says nothing"


def _explain_not_found(spec: str, name: str, version: str, versions: list[str], stderr: str) -> str:
    if not versions:
        return f"{spec}: the package index has no package '{name}'; {_say_last(stderr)}; check its name"
    newest = ", ".join(versions[-8:])
    return f"{spec}: '{name}' has no version {version}; it has {newest}; {_say_last(stderr)}"
