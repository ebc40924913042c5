"""Commands about runs on many devices, and on whether they can be repeated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ftkit.cli.app import app
from ftkit.cli.checks import EXIT_WARNINGS
from ftkit.cli.commands import Allow, Overrides, RunArgument


@app.command()
def verify(
    run: RunArgument,
    first: Annotated[
        int | None,
        typer.Option("--from", min=0, metavar="STEP", help="Checkpoint to begin with; 0 is the start."),
    ] = None,
    num_steps: Annotated[
        int | None,
        typer.Option(
            "--steps", min=1, metavar="NUMBER", help="How many; default: up to the next checkpoint."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
    allow: Allow = False,
) -> None:
    """Repeat some steps of a run: do they come out the same?

    Exit code 0: the same, 3: not the same.
    """
    from ftkit.pipeline import verify_run

    found = verify_run(run, first=first, num_steps=num_steps, allow=allow)
    typer.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=2) if as_json else str(found))
    raise typer.Exit(0 if found.is_same else EXIT_WARNINGS)


@app.command()
def slurm(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.", show_default=False)
    ],
    overrides: Overrides = None,
    num_hosts: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Hosts of the job.")] = 1,
    num_devices: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Accelerators on each host.")] = 1,
    time: Annotated[str, typer.Option(metavar="TIME", help="Longest time of one job.")] = "24:00:00",
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The script, instead of standard output.")
    ] = None,
    allow: Allow = False,
) -> None:
    """Write a job script for Slurm, queued again when its time is up."""
    from ftkit.pipeline import make_slurm_script
    from ftkit.pipeline.slurm import write_slurm_script

    text = make_slurm_script(
        recipe, overrides or (), num_hosts=num_hosts, num_devices=num_devices, time=time, allow=allow
    )
    if output is None:
        typer.echo(text, nl=False)
        return
    write_slurm_script(output, text)
    typer.echo(f"{output}: give it to sbatch", err=True)
