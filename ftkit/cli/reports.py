"""The commands that show runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from ftkit.cli.app import app
from ftkit.cli.commands import RunArgument

AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


@app.command()
def report(
    run: RunArgument,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the page goes; default: report.html in the run."),
    ] = None,
    rows: Annotated[bool, typer.Option(help="Show the text of rows on the page.")] = True,
    as_json: AsJson = False,
) -> None:
    """Show a run's verdict and scores, and write its page anew."""
    from ftkit.runs import read_saved_run

    saved = read_saved_run(run)
    if as_json:
        typer.echo(json.dumps(saved.report, ensure_ascii=False, indent=2))
        return
    from ftkit.evaluation.report import Evaluation
    from ftkit.pipeline import write_report

    path = write_report(run, output=output, with_rows=rows)
    typer.echo(f"{Evaluation(saved.report)}\n\npage: {path}")
