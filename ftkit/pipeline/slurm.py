"""A job script for Slurm: a run on several hosts that goes on when its time is up."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ftkit.recipe import load_recipe
from ftkit.runs import check_writable, write_text

TEMPLATE = """\
#!/bin/bash
# Made by: ftkit slurm. Give it to sbatch; add what your cluster wants (--partition, --account, modules).
#SBATCH --job-name={name}
#SBATCH --nodes={num_hosts}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={num_devices}
#SBATCH --time={time}
#SBATCH --signal=B:USR1@{seconds}
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output={name}-%j.log

# {seconds} s before its time is up, Slurm sends SIGUSR1. The run finishes its step and writes a checkpoint;
# then the job is queued again, and goes on from there.
warned=no
trap 'warned=yes; kill -USR1 "$run"' USR1
{meeting}srun {command} &
run=$!
while true; do
  wait "$run"
  code=$?
  kill -0 "$run" 2> /dev/null || break  # a signal ends `wait` before the run has ended
done
if [ "$warned" = yes ] && [ "$code" != 0 ]; then
  exec scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""

MEETING = """\
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 20000))
"""


def make_slurm_script(
    recipe: str | Path,
    overrides: Sequence[str] = (),
    *,
    num_hosts: int = 1,
    num_devices: int = 1,
    time: str = "24:00:00",
    seconds: int = 300,
    allow: bool = False,
) -> str:
    """Write a job script that runs a recipe.

    Args:
        recipe: its file, which every host can read; so can they the folder of the run.
        overrides: settings to change, as on the command line.
        num_hosts: hosts of the job.
        num_devices: accelerators on each.
        time: longest time of one job, as Slurm writes it.
        seconds: how long before its end the run is warned; a step and a checkpoint take less.
        allow: whether the recipe may name code to run.

    Raises:
        RecipeError: the recipe does not hold together.
    """
    path = Path(recipe).absolute()
    load_recipe(path, overrides, allow=allow)
    words = [sys.executable, "-m", "ftkit", "finetune", str(path), *overrides]
    words += ["--num-devices", str(num_devices)] * (num_devices > 1)
    command = shlex.join([*words, *["--allow"] * allow])
    if num_hosts > 1:
        command += f' --num-hosts {num_hosts} --rendezvous "$first:$port"'
    return TEMPLATE.format(
        name=path.stem.replace(" ", "-"),
        num_hosts=num_hosts,
        num_devices=num_devices,
        time=time,
        seconds=seconds,
        meeting=MEETING if num_hosts > 1 else "",
        command=command,
    )


def write_slurm_script(output: str | Path, text: str) -> None:
    """Write a job script to a file that may be run.

    Raises:
        RunError: it cannot be written.
    """
    path = Path(output)
    check_writable(path.parent)
    write_text(path, text)
    path.chmod(0o755)
