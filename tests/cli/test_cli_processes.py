"""Commands as processes of their own: signals, pipes, exit codes."""

import json
import os
import signal
import subprocess
import sys

import pytest
from cli_folder import write_rows

FTKIT = [sys.executable, "-m", "ftkit"]
SLOW_STEPS = """\
extends: recipe.yaml
training: {max_steps: 300, epochs: null, checkpoint_every: never, log_every: 5}
evaluation: {baseline: false}
"""


@pytest.fixture
def environment(shared_cache):
    """One thread, so that tests beside this one are not held up; UTF-8 whatever the machine says."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", "FTKIT_CACHE": str(shared_cache)}


def finish(command, folder, environment):
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def start(words, folder, environment):
    return subprocess.Popen(
        [*FTKIT, *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def wait_for(process, text):
    """Read what a process says until it says something."""
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            return
    raise AssertionError("".join(said))


def test_ctrl_c_saves_a_checkpoint_and_the_same_command_goes_on(here, environment):
    (here / "long.yaml").write_text(SLOW_STEPS, encoding="utf-8")
    words = ["finetune", "long.yaml"]
    process = start(words, here, environment)
    wait_for(process, "step 5/300")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert "stopping after this step" in err
    assert "of 300; the checkpoint is in" in err.splitlines()[-1]
    assert err.splitlines()[-1].endswith("The same command continues from there")
    (checkpoint,) = (here / "run" / "checkpoints").iterdir()
    step = int(checkpoint.name.removeprefix("checkpoint-"))
    assert 5 <= step < 300
    done = finish([*FTKIT, *words], here, environment)
    assert done.returncode == 0
    assert f"continuing after step {step}\n" in done.stderr
    lines = (here / "run" / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in lines]
    assert steps == sorted(set(steps))
    assert json.loads((here / "run" / "run.json").read_text())["status"] == "finished"


@pytest.mark.parametrize("command", ["--version | true", "schema | head -c 5", "init --help | head -1"])
def test_a_reader_that_has_seen_enough_is_no_error(here, environment, command):
    done = finish(["bash", "-c", f"{sys.executable} -m ftkit {command}"], here, environment)
    assert (done.returncode, done.stderr) == (0, "")


def test_predictions_can_be_cut_off(finished, here, environment):
    write_rows(here / "many.jsonl", [{"text": "free money"}] * 1000)
    predict = f"{sys.executable} -m ftkit predict {finished / 'run'} --data many.jsonl"
    done = finish(["bash", "-c", f"{predict} | head -1"], here, environment)
    assert json.loads(done.stdout)["row"] == 0
    assert done.stderr == "reading many.jsonl\n"


def test_errors_end_a_process_with_their_exit_codes(here, environment):
    assert finish([*FTKIT, "finetune", "none.yaml"], here, environment).returncode == 1
    assert finish([*FTKIT, "finetune"], here, environment).returncode == 2
