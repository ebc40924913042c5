"""Cleaning: rules on rows, declared in the recipe, and what they did to each row."""

from ftkit.data.cleaning.cleaned_rows import clean_rows
from ftkit.data.cleaning.rules import Outcome, RowRule, make_rule

__all__ = ["Outcome", "RowRule", "clean_rows", "make_rule"]
