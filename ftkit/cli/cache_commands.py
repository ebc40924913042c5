"""`ftkit data cache`: what was prepared, what it takes on the disk, and pruning it."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import typer

from ftkit.cli.commands import Allow, Overrides
from ftkit.cli.data_commands import data

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@data.command()
def cache(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE", help="Say what a run of this recipe would find.", show_default=False
        ),
    ] = None,
    overrides: Overrides = None,
    older_than: Annotated[
        float | None,
        typer.Option(metavar="DAYS", min=0, help="Prune what was not used for so many days."),
    ] = None,
    keep: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Prune what was not used for longest, down to this: 10GB, 500MB."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    allow: Allow = False,
) -> None:
    """List prepared rows and examples, and why they were made anew; or prune them.

    With a recipe: what a run would find, and what changed where it would not. Nothing that is in use is
    pruned, and no models or packages.
    """
    from ftkit.data.cache_listing import list_cache, prune_cache

    result: Any
    if recipe is not None:
        if older_than is not None or keep is not None:
            raise typer.BadParameter("the cache is pruned as a whole; leave RECIPE out")
        from ftkit.pipeline import foresee_cache
        from ftkit.recipe import load_recipe

        result = foresee_cache(load_recipe(recipe, overrides or (), allow=allow))
    elif older_than is None and keep is None:
        result = list_cache()
    else:
        result = prune_cache(
            older_than_days=older_than, keep_bytes=None if keep is None else read_bytes(keep)
        )
    typer.echo(json.dumps(result.as_dict(), ensure_ascii=False, indent=1) if as_json else str(result))


def read_bytes(text: str) -> int:
    """Read a size such as `10GB` or `1.5 MB`."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B)\s*", text.upper())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no size; write a number and a unit: 500MB, 10GB")
    return int(float(match[1]) * _UNITS[match[2]])
