"""The story of `ftkit report`: a run's verdict in the terminal, and its page written anew."""

from __future__ import annotations

import os
from pathlib import Path

from ftkit.inference import Run
from ftkit.reporting.page import render_page
from ftkit.runs import read_saved_run, write_text


def write_report(
    run: str | os.PathLike[str] | Run,
    *,
    output: str | os.PathLike[str] | None = None,
    with_rows: bool = True,
) -> Path:
    """Write the page of a finished run: one file that needs no network.

    Args:
        run: a run or its folder.
        output: the file; by default `report.html` in the run's folder.
        with_rows: show the text of rows (errors, samples, rejected rows); without, numbers alone.

    Returns:
        The file.

    Raises:
        RunError: the run is unfinished or damaged, or the file cannot be written.
    """
    saved = read_saved_run(run.folder.path if isinstance(run, Run) else run)
    path = saved.folder.page if output is None else Path(output)
    write_text(path, render_page(saved, with_rows=with_rows))
    return path
