import os
import signal
import subprocess
import sys

import pytest

from ftkit.errors import RunError
from ftkit.runs import hold_run
from ftkit.runs.lock import empty_run

HOLD = """
import sys, time
from ftkit.runs import hold_run
with hold_run(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that works in the folder `run`."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_refused(tmp_path, holder):
    found = r"run: another process is working on this run; wait for it"
    with pytest.raises(RunError, match=found), hold_run(tmp_path / "run"):
        pytest.fail("held twice")


def test_a_crash_releases_the_folder(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with hold_run(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()


def test_a_body_that_leaves_nothing_leaves_no_folder(tmp_path):
    with hold_run(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert not (tmp_path / "a").exists()


def test_what_the_body_wrote_stays_without_the_lock(tmp_path):
    with hold_run(tmp_path / "run"):
        (tmp_path / "run" / "run.json").write_text("{}")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


def test_a_run_is_emptied_but_for_its_lock_and_keeps_its_mark_to_the_last(tmp_path, monkeypatch):
    for name in ("a.txt", "run.json", "z.txt", ".lock"):
        (tmp_path / name).write_text("")
    (tmp_path / "model").mkdir()
    order = []
    monkeypatch.setattr("pathlib.Path.unlink", lambda path: order.append(path.name))
    empty_run(tmp_path)
    assert (sorted(order[:2]), order[2:]) == (["a.txt", "z.txt"], ["run.json"])
    assert not (tmp_path / "model").exists()
    empty_run(tmp_path / "nowhere")
