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


@app.command()
def compare(
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN RUN ...", help="Folders of finished runs.", show_default=False)
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page too, such as comparison.html.")
    ] = None,
    any_rows: Annotated[
        bool, typer.Option("--any-rows", help="Also runs that were scored on different rows.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare runs: settings that differ, scores, cost."""
    from ftkit.pipeline import compare_runs

    comparison = compare_runs(*runs, any_rows=any_rows)
    shown = json.dumps(comparison.as_dict(), ensure_ascii=False, indent=2) if as_json else str(comparison)
    typer.echo(shown)
    if output is not None:
        typer.echo(f"page: {comparison.write_page(output)}", err=True)


@app.command()
def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What is searched.")] = Path("runs"),
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="Such as 'macro_f1>=0.9' or model.base~minilm; repeatable."),
    ] = None,
    sort: Annotated[str | None, typer.Option(metavar="NAME", help="A setting or score to sort by.")] = None,
    descending: Annotated[bool, typer.Option("--descending", help="The largest first.")] = False,
    show: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A further column; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs in a folder, by any setting or score."""
    from ftkit.reporting.run_list import list_runs

    found = list_runs(folder, where=where or (), sort=sort, descending=descending, show=show or ())
    typer.echo(json.dumps(list(found.runs), ensure_ascii=False, indent=2) if as_json else str(found))


@app.command()
def push(
    run: RunArgument,
    repo: Annotated[str, typer.Argument(metavar="REPO", help="name or org/name.", show_default=False)],
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public.")] = False,
    with_rows: Annotated[
        bool, typer.Option("--with-rows", help="Also what has texts of rows: predictions, rejected rows.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and send nothing.")] = False,
) -> None:
    """Upload a run to the hub, private by default: model, card, page."""
    from ftkit.pipeline import push_run

    typer.echo(str(push_run(run, repo, private=not public, with_rows=with_rows, dry_run=dry_run)))
