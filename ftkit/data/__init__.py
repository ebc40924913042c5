"""Rows: where they come from, how they are cleaned and split, what was dropped, and encoded rows on disk."""

from ftkit.data.changes import ChangeFile, Changes, ChangeWriter, Stage
from ftkit.data.columns import Column, RowProblem, check_columns, raise_row_problems
from ftkit.data.examples import Prepared, prepare_examples
from ftkit.data.findings import remember
from ftkit.data.leakage import Leakage
from ftkit.data.loading import load_rows
from ftkit.data.mixing import Mixture, make_mixture
from ftkit.data.preparation import (
    PreparedRows,
    check_rejected,
    load_sources,
    prepare_held_out,
    prepare_rows,
)
from ftkit.data.problems import Problems
from ftkit.data.rows import Rows
from ftkit.data.splitting import split_rows

__all__ = [
    "ChangeFile",
    "ChangeWriter",
    "Changes",
    "Column",
    "Leakage",
    "Mixture",
    "Prepared",
    "PreparedRows",
    "Problems",
    "RowProblem",
    "Rows",
    "Stage",
    "check_columns",
    "check_rejected",
    "load_rows",
    "load_sources",
    "make_mixture",
    "prepare_examples",
    "prepare_held_out",
    "prepare_rows",
    "raise_row_problems",
    "remember",
    "split_rows",
]
