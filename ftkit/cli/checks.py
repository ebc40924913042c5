"""`ftkit check` and `ftkit doctor`: look before the first step."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ftkit.cli.app import EXIT_ERROR, app
from ftkit.cli.commands import Allow, Overrides

if TYPE_CHECKING:
    from ftkit.checks import Check

EXIT_WARNINGS = 3
"""Exit code of a check that found something worth a look and nothing that stops the run."""


@app.command()
def check(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.", show_default=False)
    ],
    overrides: Overrides = None,
    allow: Allow = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Say in seconds whether a run is worth starting.

    Exit code 0: ready, 3: ready with warnings, 1: will not do.
    """
    from ftkit.pipeline import check as run_check

    show(run_check(recipe, overrides=overrides or (), allow=allow), as_json=as_json)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Say whether this machine can train, and what it lacks.

    Exit code 0: ready, 3: ready with warnings, 1: will not do.
    """
    from ftkit.pipeline import doctor as run_doctor

    show(run_doctor(), as_json=as_json)


def show(checked: Check, *, as_json: bool) -> NoReturn:
    """Print a check, and leave with the exit code of its verdict."""
    typer.echo(json.dumps(checked.as_dict(), ensure_ascii=False, indent=2) if as_json else str(checked))
    codes = {"ready": 0, "ready with warnings": EXIT_WARNINGS}
    raise typer.Exit(codes.get(checked.verdict, EXIT_ERROR))
