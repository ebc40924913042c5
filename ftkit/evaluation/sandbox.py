"""Run programs that a model wrote, held by what the system offers.

What it protects against: programs that loop, eat memory, write much, start many processes, read the
environment, litter, or phone home by accident. What it does not: it is no virtual machine. A program
runs as the same user and can read what that user can read; where no namespace can be made (see
`find_isolation`), it is a hook in Python that refuses the network, which a determined program gets
around. Run code of a model that you do not trust in a container or a virtual machine of its own.
"""

from __future__ import annotations

import contextlib
import functools
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ftkit.errors import MetricError

KEPT_CHARACTERS = 2_000
_WRITTEN_BYTES = 16 * 2**20
"""The longest file that a program may write, its output included."""
_NAMESPACES = (
    "--user",
    "--map-root-user",
    "--net",
    "--ipc",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)

_RUNNER = """
import sys
token = sys.stdin.readline().strip()
with open("program.py", encoding="utf-8") as file:
    source = file.read()
if {hooked}:
    def refuse(event, arguments):
        if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork")):
            raise PermissionError(event + " is not allowed here")
    sys.addaudithook(refuse)
exec(compile(source, "program.py", "exec"), {{"__name__": "__main__"}})
sys.stdout.flush()
with open("passed", "w") as file:
    file.write(token)
"""


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    kind: str
    """"passed", "failed" (an error, or an end before the end), "out of time" or "out of memory"."""
    detail: str
    """The end of what it wrote as errors."""


def run_program(source: str, *, time_limit_seconds: float, memory_limit_mb: int) -> Outcome:
    """Run a Python program to its end in a process of its own.

    It passes when it comes to its last line without an error; leaving early, by `sys.exit(0)` too, is a
    failure. It has an empty environment, a folder of its own that is deleted afterwards, and no network.

    Args:
        source: the program.
        time_limit_seconds: of wall-clock time; as much of CPU time, rounded up.
        memory_limit_mb: address space, in MiB.

    Raises:
        MetricError: the system cannot limit a process.
    """
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="ftkit-run-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "program.py").write_text(source, encoding="utf-8", errors="replace")
        (folder / "run.py").write_text(_RUNNER.format(hooked=not _has_namespaces()), encoding="utf-8")
        limit = _make_limiter(time_limit_seconds, memory_limit_mb)
        timed_out, status = _run(folder, token, limit, time_limit_seconds)
        errors = _read_end(folder / "errors.txt")
        passed = folder / "passed"
        if status == 0 and passed.is_file() and passed.read_text(errors="replace") == token:
            return Outcome("passed", "")
    if timed_out or status in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        return Outcome("out of time", errors)
    return Outcome("out of memory" if "MemoryError" in errors else "failed", errors)


def _run(
    folder: Path, token: str, limit: Callable[[], None], time_limit_seconds: float
) -> tuple[bool, int | None]:
    """Run the program's folder; returns whether it ran out of time, and its exit status."""
    command = [*_list_wrapper(), sys.executable, "-I", "-S", "-B", "run.py"]
    with (folder / "output.txt").open("wb") as output, (folder / "errors.txt").open("wb") as errors:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(folder), "TMPDIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
            start_new_session=True,
            preexec_fn=limit,  # noqa: PLW1509 - it only sets limits, and takes no lock
        )
        try:
            process.communicate(token.encode() + b"\n", timeout=time_limit_seconds)
        except subprocess.TimeoutExpired:
            return True, None
        finally:
            _kill_session(process)
    return False, process.returncode


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and whatever it started and left behind."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all of it is gone
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _make_limiter(time_limit_seconds: float, memory_limit_mb: int) -> Callable[[], None]:
    """Make what sets the limits of the new process, between its birth and its program."""
    try:
        import resource
    except ImportError as error:
        raise MetricError(
            "evaluation.code: this system cannot limit a process; run the evaluation on Linux or macOS"
        ) from error
    seconds = int(time_limit_seconds) + 1
    limits = [
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory_limit_mb * 2**20),
        (resource.RLIMIT_FSIZE, _WRITTEN_BYTES),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ]

    def limit() -> None:
        for what, most in limits:
            hard = resource.getrlimit(what)[1]
            allowed = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (allowed, allowed))

    return limit


def find_isolation() -> list[str]:
    """Say what holds a program here, for the report."""
    network = (
        "no network and no other processes in sight: namespaces of its own"
        if _has_namespaces()
        else "no network: refused by a hook in Python, which hostile code can get around"
    )
    return [
        network,
        "limits of time, memory, open files and size of files",
        "an empty environment and a temporary folder",
        "files that the user can read are readable",
    ]


def _list_wrapper() -> list[str]:
    return ["unshare", *_NAMESPACES, "--"] if _has_namespaces() else []


@functools.cache
def _has_namespaces() -> bool:
    """Try whether a process may have namespaces of its own here; containers often forbid it."""
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", *_NAMESPACES, "--", sys.executable, "-I", "-S", "-c", ""]
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _read_end(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - KEPT_CHARACTERS))
        return file.read().decode("utf-8", errors="replace").strip()
