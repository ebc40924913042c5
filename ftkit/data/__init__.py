"""Rows: where they come from, what is wrong with them, how they are split, and encoded rows on disk."""

from ftkit.data.columns import Column, RowProblem, check_columns, raise_row_problems
from ftkit.data.examples import Prepared, prepare_examples
from ftkit.data.findings import remember
from ftkit.data.loading import load_rows
from ftkit.data.problems import Problems
from ftkit.data.rows import Rows
from ftkit.data.splitting import load_splits, split_rows

__all__ = [
    "Column",
    "Prepared",
    "Problems",
    "RowProblem",
    "Rows",
    "check_columns",
    "load_rows",
    "load_splits",
    "prepare_examples",
    "raise_row_problems",
    "remember",
    "split_rows",
]
