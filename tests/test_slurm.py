"""The job script for Slurm, run by bash with commands that stand in for Slurm's."""

import os
import shlex
import signal
import subprocess
import sys
import time

import pytest

import ftkit
from ftkit.errors import RecipeError
from ftkit.pipeline.slurm import write_slurm_script

SRUN = """#!/bin/bash
printf '%s\\n' "$@" > words
trap 'echo warned > signal; exit 138' USR1
touch started
{body}
"""
SCONTROL = """#!/bin/bash
if [ "$1 $2" = "show hostnames" ]; then printf 'node-7\\nnode-8\\n'; else echo "$@" > requeued; fi
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "我的 recipe.yaml"
    path.write_text("task: causal-lm\nmodel: org/name\ndata: {train: rows.jsonl}\n", encoding="utf-8")
    return path


@pytest.fixture
def start(tmp_path):
    """Start a script as Slurm would, with a run that does `body`."""

    def run(text, body):
        (tmp_path / "bin").mkdir()
        for name, script in (("srun", SRUN.format(body=body)), ("scontrol", SCONTROL)):
            (tmp_path / "bin" / name).write_text(script, encoding="utf-8")
            (tmp_path / "bin" / name).chmod(0o755)
        write_slurm_script(tmp_path / "job.sh", text)
        environment = {
            **os.environ,
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "SLURM_JOB_ID": "40123",
            "SLURM_JOB_NODELIST": "node-[7-8]",
        }
        return subprocess.Popen([tmp_path / "job.sh"], cwd=tmp_path, env=environment)

    return run


def test_a_script_is_bash_and_asks_for_hosts_devices_and_a_warning(recipe):
    text = ftkit.make_slurm_script(recipe, num_hosts=4, num_devices=8, time="1:00:00")
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    asked = {line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH")}
    assert asked >= {
        "--nodes=4",
        "--ntasks-per-node=1",
        "--gpus-per-node=8",
        "--time=1:00:00",
        "--signal=B:USR1@300",
        "--requeue",
    }
    assert all(" " not in each for each in asked)


def test_every_host_gets_the_command_and_the_address_of_the_first(recipe, start, tmp_path):
    settings = ["training.epochs=2", "output_dir=a b"]
    text = ftkit.make_slurm_script(recipe, settings, num_hosts=2, num_devices=8)
    assert start(text, "exit 0").wait(20) == 0
    words = (tmp_path / "words").read_text().splitlines()
    assert words[:4] == [sys.executable, "-m", "ftkit", "finetune"]
    assert words[4:7] == [str(recipe), *settings]
    assert words[7:] == ["--num-devices", "8", "--num-hosts", "2", "--rendezvous", "node-7:20123"]
    assert not (tmp_path / "requeued").exists()


def test_a_run_that_fails_is_not_queued_again(recipe, start, tmp_path):
    assert start(ftkit.make_slurm_script(recipe), "exit 1").wait(20) == 1
    assert not (tmp_path / "requeued").exists()


def wait_for_file(path):
    for _ in range(400):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not come")


def test_a_warned_run_writes_its_checkpoint_and_is_queued_again(recipe, start, tmp_path):
    job = start(ftkit.make_slurm_script(recipe), "for i in $(seq 400); do sleep 0.05; done")
    wait_for_file(tmp_path / "started")
    job.send_signal(signal.SIGUSR1)
    assert job.wait(30) == 0
    assert (tmp_path / "signal").exists()
    assert (tmp_path / "requeued").read_text() == "requeue 40123\n"


def test_a_recipe_that_does_not_hold_together_gets_no_script(recipe):
    with pytest.raises(RecipeError, match="batch_sise"):
        ftkit.make_slurm_script(recipe, ["training.batch_sise=3"])


def test_the_command_prints_or_writes_the_script(recipe, tmp_path):
    command = [sys.executable, "-m", "ftkit", "slurm", recipe, "--num-devices", "2"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True)
    assert shown.stdout == ftkit.make_slurm_script(recipe, num_devices=2)
    assert shlex.quote(str(recipe)) in shown.stdout
    subprocess.run([*command, "--output", tmp_path / "job.sh"], capture_output=True, check=True)
    assert (tmp_path / "job.sh").read_text() == shown.stdout
    assert os.access(tmp_path / "job.sh", os.X_OK)
