"""The commands on the rows of a recipe, before any training: `ftkit data ...`."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from ftkit.cli.app import app
from ftkit.cli.commands import Allow, Overrides

data = typer.Typer(help="Look at the rows of a recipe, and clean them.", no_args_is_help=True)
app.add_typer(data, name="data")

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.", show_default=False)
]


@data.command()
def preview(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    rows: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="How many rows.")] = 3,
    rule: Annotated[
        str | None, typer.Option(metavar="RULE", help="Rows that this rule of data.clean dropped or changed.")
    ] = None,
    allow: Allow = False,
) -> None:
    """Show rows as they came, as cleaned, and as encoded, with what carries loss."""
    from ftkit.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or (), allow=allow)
    from ftkit.pipeline import preview_data

    shown = preview_data(loaded, num_rows=rows, rule=rule)
    in_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    typer.echo(shown.write(width=shutil.get_terminal_size((100, 24)).columns, in_colour=in_colour))


@data.command()
def stats(
    recipe: RecipeArgument,
    overrides: Overrides = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
    allow: Allow = False,
) -> None:
    """Count rows, labels, lengths, repetitions and languages, and what each rule did."""
    from ftkit.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or (), allow=allow)
    from ftkit.pipeline import describe_data

    found = describe_data(loaded)
    typer.echo(json.dumps(found.as_dict(), ensure_ascii=False, indent=2) if as_json else str(found))


@data.command()
def clean(
    recipe: RecipeArgument,
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="The .jsonl file for the rows.", show_default=False)
    ],
    overrides: Overrides = None,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="train, validation or test.")] = "train",
    allow: Allow = False,
) -> None:
    """Write rows as the recipe cleans them, and every dropped or changed row with its reason."""
    from ftkit.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or (), allow=allow)
    from ftkit.pipeline import clean_data

    typer.echo(str(clean_data(loaded, output=output, split=split)))
