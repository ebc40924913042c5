"""`ftkit plan`: what a run will cost, whether it fits, and what fits best."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ftkit.cli.app import app
from ftkit.cli.commands import Allow, Overrides


@app.command()
def plan(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.", show_default=False)
    ],
    overrides: Overrides = None,
    device: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="An accelerator, such as h100; without it, this machine."),
    ] = None,
    num_devices: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="How many of them; without it, as the recipe says."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the recipe with the best choice in it to a new file."),
    ] = None,
    allow: Allow = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Say what a run will cost, and which way to train fits best."""
    from ftkit.pipeline import plan as make_plan

    found = make_plan(
        recipe,
        device=device,
        num_devices=num_devices,
        output=output,
        overrides=overrides or (),
        allow=allow,
    )
    typer.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=2) if as_json else str(found))
    if output is not None:
        typer.echo(f"wrote {output}", err=True)
