"""Cleaning: rules on rows, declared in the recipe, and what they did to each row."""

from ftkit.data.cleaning.cleaned_rows import check_rule_columns, clean_rows, count_repeated_lines
from ftkit.data.cleaning.duplicates import drop_repetitions
from ftkit.data.cleaning.rules import Outcome, RowRule, make_rule

__all__ = [
    "Outcome",
    "RowRule",
    "check_rule_columns",
    "clean_rows",
    "count_repeated_lines",
    "drop_repetitions",
    "make_rule",
]
