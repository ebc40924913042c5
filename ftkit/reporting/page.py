"""`report.html`: a run at a glance, in one file that needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ftkit.errors import FtkitError, RunError
from ftkit.reporting.rendering import render
from ftkit.reporting.report_view import make_view, view_summary
from ftkit.runs import SavedRun, write_text

BROKEN = (KeyError, TypeError, AttributeError, IndexError, ValueError)
"""What the views raise on a report that is not as ftkit writes it."""


def render_page(run: SavedRun, *, with_rows: bool = True) -> str:
    """Write the page of a run.

    Args:
        run: a finished run.
        with_rows: whether the text of rows may be shown.

    Raises:
        RunError: its files are damaged or of another version.
    """
    with _explaining(run):
        return render("report.html", make_view(run, with_rows=with_rows))


def render_summary(report: Mapping[str, Any], log: Sequence[Mapping[str, Any]] = ()) -> str:
    """Write verdict, scores and curves for a notebook.

    Args:
        report: as in report.json.
        log: the lines of metrics.jsonl; none where nothing was trained.
    """
    return render("summary.html", view_summary(report, log))


def write_page(run: SavedRun) -> Path:
    """Write the page into the run's folder."""
    write_text(run.folder.page, render_page(run))
    return run.folder.page


@contextmanager
def _explaining(run: SavedRun) -> Iterator[None]:
    """Turn what a damaged report makes the views raise into an error that says so."""
    from jinja2 import UndefinedError

    try:
        yield
    except (*BROKEN, UndefinedError) as error:
        if isinstance(error, FtkitError):
            raise
        raise RunError(
            f"{run.folder.evaluation / 'report.json'}: cannot be shown: damaged, or of another ftkit "
            f"({error!r}); show it with the ftkit that run.json names, or run it again"
        ) from error
