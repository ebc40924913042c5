"""The commands on the rows of a recipe, before any training: `ftkit data ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ftkit.cli.app import app
from ftkit.cli.commands import Overrides

data = typer.Typer(help="Look at the rows of a recipe, and clean them.", no_args_is_help=True)
app.add_typer(data, name="data")

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="The recipe, a YAML file.", show_default=False)
]


@data.command()
def clean(
    recipe: RecipeArgument,
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="The .jsonl file for the rows.", show_default=False)
    ],
    overrides: Overrides = None,
    split: Annotated[str, typer.Option(metavar="SPLIT", help="train, validation or test.")] = "train",
) -> None:
    """Write rows as the recipe cleans them, and every dropped or changed row with its reason."""
    from ftkit.recipe import load_recipe

    loaded = load_recipe(recipe, overrides or ())
    from ftkit.pipeline import clean_data

    typer.echo(str(clean_data(loaded, output=output, split=split)))
