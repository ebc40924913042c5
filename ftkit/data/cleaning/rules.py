"""Rules on single rows: what a rule is, and how one is made of what the recipe says."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.data.cleaning.lengths import make_min_characters
from ftkit.data.cleaning.white_space import squeeze_white_space
from ftkit.data.texts import list_texts, map_texts
from ftkit.recipe.sections.cleaning import CleaningRule

Row = Mapping[str, Any]
Edit = Callable[[str], str]
"""Makes another text of a text; the same text where there is nothing to do."""
Judge = Callable[[Sequence[str]], "str | None"]
"""Looks at the texts of a row, and says why it is to be left out; None to keep it."""


@dataclass(frozen=True)
class Outcome:
    """What a rule makes of a row."""

    row: Row | None
    """The row after the rule; None where it is left out."""
    detail: str = ""
    """Why it is left out, or what was changed."""


@dataclass(frozen=True)
class RowRule:
    """A rule that looks at one row at a time."""

    name: str
    apply: Callable[[Row], Outcome | None]
    """Returns None where there is nothing to do."""


def make_rule(rule: CleaningRule, text_columns: Sequence[str]) -> RowRule:
    """Make a rule of what the recipe says.

    Args:
        rule: name and options.
        text_columns: what it works on where the recipe names no columns.
    """
    columns = tuple(rule.options.columns or text_columns)
    if rule.name in EDITS:
        edit = EDITS[rule.name](rule.options)
        return RowRule(rule.name, lambda row: edit_row(row, columns, edit))
    judge = JUDGES[rule.name](rule.options)
    return RowRule(rule.name, lambda row: judge_row(row, columns, judge))


def edit_row(row: Row, columns: Sequence[str], edit: Edit) -> Outcome | None:
    """Put the texts of some columns through an edit."""
    changed = {name: map_texts(row[name], edit) for name in columns if name in row}
    differing = [name for name, value in changed.items() if value != row[name]]
    if not differing:
        return None
    return Outcome({**row, **{name: changed[name] for name in differing}})


def judge_row(row: Row, columns: Sequence[str], judge: Judge) -> Outcome | None:
    """Let a judge look at the texts of some columns."""
    reason = judge([text for name in columns for text in list_texts(row.get(name))])
    return None if reason is None else Outcome(None, reason)


EDITS: dict[str, Callable[[Any], Edit]] = {
    "white_space": lambda options: squeeze_white_space,
}
"""Rules that change texts, by name: from options to the function."""

JUDGES: dict[str, Callable[[Any], Judge]] = {
    "min_characters": lambda options: make_min_characters(options.characters),
}
"""Rules that leave rows out, by name: from options to the function."""
