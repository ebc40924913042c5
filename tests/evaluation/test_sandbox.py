"""Programs that a model wrote, held."""

import os
import time
from pathlib import Path

import pytest

from ftkit.evaluation import sandbox
from ftkit.evaluation.sandbox import find_isolation, run_program

LIMITS = {"time_limit_seconds": 10.0, "memory_limit_mb": 256}


def run(source, **limits):
    return run_program(source, **{**LIMITS, **limits})


@pytest.fixture(params=[True, False], ids=["namespaces", "hook"])
def isolation(request, monkeypatch):
    """Both ways of holding a program, where the system has both."""
    if request.param and not sandbox._has_namespaces():
        pytest.skip("this system gives no namespaces")
    monkeypatch.setattr(sandbox, "_has_namespaces", lambda: request.param)
    return request.param


def test_a_program_that_comes_to_its_end_passes(isolation):
    assert run("print('你好')\nassert sum(range(4)) == 6").kind == "passed"


@pytest.mark.parametrize(
    "source",
    [
        "assert 1 == 2",
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "raise SystemExit",
        "def broken(:",
        "1 / 0",
        "import numpy",  # the standard library alone
        "\ud800 = 1",
    ],
)
def test_one_that_fails_or_leaves_early_does_not(source):
    assert run(source).kind == "failed"


def test_what_it_said_last_is_kept_and_no_more():
    outcome = run("import sys\nsys.stderr.write('x' * 100_000)\nraise ValueError('月')")
    assert outcome.detail.endswith("ValueError: 月")
    assert len(outcome.detail) <= sandbox.KEPT_CHARACTERS


def test_a_program_that_loops_is_stopped(isolation):
    start = time.monotonic()
    assert run("while True: pass", time_limit_seconds=1.0).kind == "out of time"
    assert run("import time; time.sleep(60)", time_limit_seconds=1.0).kind == "out of time"
    assert time.monotonic() - start < 8


def test_a_program_that_wants_too_much_memory_is_stopped(isolation):
    assert run("x = bytearray(10**9)").kind == "out of memory"


def test_a_program_cannot_fill_the_disk():
    assert run("open('big', 'wb').write(b'x' * 10**8)").kind == "failed"


def test_a_program_has_no_network(isolation):
    source = "import socket\nsocket.create_connection(('{}', {}), timeout=3)"
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert run(source.format(*server.getsockname())).kind == "failed"
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


def test_what_a_program_started_does_not_outlive_it():
    if not sandbox._has_namespaces():
        pytest.skip("this system gives no namespaces, and the hook lets nothing be started")
    mark = f"ftkit-left-{os.getpid()}"
    sleeper = f"[sys.executable, '-c', 'import time; time.sleep(30)', '{mark}']"
    assert run(f"import subprocess, sys\nsubprocess.Popen({sleeper})").kind == "passed"
    for _ in range(20):
        if mark.encode() not in b"".join(map(read_command, Path("/proc").glob("[0-9]*/cmdline"))):
            return
        time.sleep(0.1)
    pytest.fail("a process outlived its program")


def read_command(path):
    try:
        return path.read_bytes()
    except OSError:  # it is gone already
        return b""


def test_a_program_sees_nothing_of_the_environment_and_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "abc")
    monkeypatch.setattr(sandbox.tempfile, "tempdir", str(tmp_path))
    source = "import os\nassert 'SECRET_TOKEN' not in os.environ\nopen('left', 'w').write('x')"
    assert run(source).kind == "passed"
    assert list(tmp_path.iterdir()) == []


def test_the_report_says_what_held_it(monkeypatch):
    monkeypatch.setattr(sandbox, "_has_namespaces", lambda: False)
    assert "hostile code can get around" in find_isolation()[0]
    monkeypatch.setattr(sandbox, "_has_namespaces", lambda: True)
    assert "namespaces" in find_isolation()[0]
    assert any("readable" in line for line in find_isolation())
