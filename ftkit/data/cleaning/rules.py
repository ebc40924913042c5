"""Rules on single rows: what a rule is, and how one is made of what the recipe says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.data.cleaning.characters import (
    make_chinese,
    make_fix_encoding,
    make_normal_form,
    remove_control_characters,
)
from ftkit.data.cleaning.languages import make_languages, make_scripts
from ftkit.data.cleaning.lengths import Judge, make_max_characters, make_min_characters, make_repetitive
from ftkit.data.cleaning.markup import count_urls, make_urls, remove_html, remove_markdown
from ftkit.data.cleaning.offsets import Edit, LostSpanError, make_move, move_positions
from ftkit.data.cleaning.personal_data import (
    describe_findings,
    make_finder,
    make_hider,
    make_personal_judge,
)
from ftkit.data.cleaning.repeated_lines import make_line_remover
from ftkit.data.cleaning.white_space import squeeze_white_space
from ftkit.data.columns import Column
from ftkit.data.texts import find_text_columns, list_texts, map_texts
from ftkit.errors import DataError
from ftkit.recipe.sections.cleaning import CleaningRule
from ftkit.sources.functions import find_function

Row = Mapping[str, Any]
Describe = Callable[[Sequence[str]], str]
"""Says what an edit finds in the texts that it changes."""


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


@dataclass(frozen=True)
class Target:
    """What a rule works on."""

    columns: tuple[str, ...]
    counted_by: Mapping[str, tuple[str, ...]]
    """Column of text -> the columns that count its characters."""


def make_rule(
    rule: CleaningRule, columns: Sequence[Column], *, repeated_lines: frozenset[int] = frozenset()
) -> RowRule:
    """Make a rule on single rows of what the recipe says.

    Args:
        rule: name and options.
        columns: the task's, which say where texts are, for a rule that names no columns.
        repeated_lines: hashes of the lines that the rule of that name takes out.

    Raises:
        RecipeError: an option that no library knows, or a function that is not there.
        MissingDependencyError: the rule needs a library that is not installed.
    """
    options: Any = rule.options
    if rule.name == "function":
        function = find_function(options.name, setting="data.clean")
        return RowRule(rule.name, lambda row: call_function(row, options.name, function))
    names = tuple(options.columns or find_text_columns(columns))
    if rule.name in JUDGES and getattr(options, "action", "drop") == "drop":
        judge = JUDGES[rule.name](options)
        return RowRule(rule.name, lambda row: judge_row(row, names, judge))
    if rule.name == "repeated_lines":
        edit = make_line_remover(repeated_lines, options.characters)
    else:
        edit = EDITS[rule.name](options)
    describe = DESCRIPTIONS.get(rule.name, _describe_nothing)(options)
    counted_by = {
        name: tuple(each.name for each in columns if each.offsets_into == name)
        for name in names
        if any(each.offsets_into == name for each in columns)
    }
    return RowRule(rule.name, lambda row: edit_row(row, Target(names, counted_by), edit, describe))


def edit_row(row: Row, target: Target, edit: Edit, describe: Describe) -> Outcome | None:
    """Put the texts of some columns through an edit; positions in them move along."""
    changed = {name: map_texts(row[name], edit) for name in target.columns if name in row}
    changed = {name: value for name, value in changed.items() if value != row[name]}
    if not changed:
        return None
    for name, value in changed.items():
        if isinstance(value, list) and _loses_item(row[name], value):
            return Outcome(None, f"nothing is left of an item of {name!r}")
    detail = describe([text for name in changed for text in list_texts(row[name])])
    try:
        return Outcome({**row, **changed, **_move_all(row, changed, target, edit)}, detail)
    except LostSpanError as error:
        return Outcome(None, f"changes a marked place: {error}")


def _loses_item(before: Any, after: Sequence[Any]) -> bool:
    """Tell whether an item of a list has become empty, so that its tag, say, would stand beside nothing."""
    pairs = zip(before, after, strict=True)
    return any(isinstance(new, str) and not new.strip() and old.strip() for old, new in pairs)


def _move_all(row: Row, changed: Row, target: Target, edit: Edit) -> dict[str, Any]:
    """Move the positions in a row that count characters of a text which has changed."""
    moved: dict[str, Any] = {}
    for name, counting in target.counted_by.items():
        old, new = row.get(name), changed.get(name)
        present = [each for each in counting if row.get(each) not in (None, [], {})]
        if not (isinstance(old, str) and isinstance(new, str) and present):
            continue
        move = make_move(old, new, edit)
        for each in present:
            moved[each] = move_positions(row[each], move, new, text=row.get("answer"))
            if each == "answer_start" and isinstance(row.get("answer"), str) and row["answer"]:
                start, length = row[each], len(row["answer"])
                end = move(start, start + length)
                moved["answer"] = new[moved[each] : end[1]] if end else row["answer"]
    return moved


def judge_row(row: Row, columns: Sequence[str], judge: Judge) -> Outcome | None:
    """Let a judge look at the texts of some columns."""
    reason = judge([text for name in columns for text in list_texts(row.get(name))])
    return None if reason is None else Outcome(None, reason)


def call_function(row: Row, name: str, function: Callable[[dict[str, Any]], Any]) -> Outcome | None:
    """Call a user's function with a copy of a row.

    Raises:
        DataError: it fails, or gives back something that is neither a row nor None.
    """
    try:
        found = function(dict(row))
    except Exception as error:
        raise DataError(
            f"data.clean: {name} failed with {type(error).__name__}: {error}; "
            f"the row was {str(dict(row))[:100]}; mend the function"
        ) from error
    if found is None:
        return Outcome(None, f"{name} returned None")
    if not isinstance(found, Mapping):
        raise DataError(
            f"data.clean: {name} returned {type(found).__name__}; return the row, a changed one, or None"
        )
    return Outcome(found, name) if found != row else None


def _describe_nothing(options: Any) -> Describe:
    return lambda texts: ""


def _find_personal(options: Any) -> Any:
    return make_finder(options.kinds, options.regions)


def _make_replace(options: Any) -> Edit:
    pattern = re.compile(options.pattern)
    return lambda text: pattern.sub(options.by, text)


def _make_drop_matching(options: Any) -> Judge:
    pattern = re.compile(options.pattern)

    def judge(texts: Sequence[str]) -> str | None:
        found = next((match for text in texts if (match := pattern.search(text))), None)
        return None if found is None else f"matches: {found[0][:60]!r}"

    return judge


def _make_url_judge(options: Any) -> Judge:
    def judge(texts: Sequence[str]) -> str | None:
        number = sum(map(count_urls, texts))
        return f"{number} addresses" if number else None

    return judge


def _make_personal_edit(options: Any) -> Edit:
    return make_hider(_find_personal(options), options.action)


def _describe_personal(options: Any) -> Describe:
    find = _find_personal(options)
    return lambda texts: describe_findings(each for text in texts for each in find(text))


EDITS: dict[str, Callable[[Any], Edit]] = {
    "normal_form": lambda options: make_normal_form(options.form),
    "fix_encoding": lambda options: make_fix_encoding(),
    "control_characters": lambda options: remove_control_characters,
    "white_space": lambda options: squeeze_white_space,
    "html": lambda options: remove_html,
    "markdown": lambda options: remove_markdown,
    "urls": lambda options: make_urls(options.action),
    "chinese": lambda options: make_chinese(options.to),
    "replace": _make_replace,
    "personal_data": _make_personal_edit,
}
"""Rules that change texts, by name: from options to the function."""

JUDGES: dict[str, Callable[[Any], Judge]] = {
    "urls": _make_url_judge,
    "min_characters": lambda options: make_min_characters(options.characters),
    "max_characters": lambda options: make_max_characters(options.characters),
    "repetitive": lambda options: make_repetitive(options.share),
    "scripts": lambda options: make_scripts(options.scripts, options.share),
    "languages": lambda options: make_languages(options.languages, options.confidence),
    "drop_matching": _make_drop_matching,
    "personal_data": lambda options: make_personal_judge(_find_personal(options)),
}
"""Rules that leave rows out, by name: from options to the function."""

DESCRIPTIONS: dict[str, Callable[[Any], Describe]] = {"personal_data": _describe_personal}
"""What the record says of a change, for rules that find different kinds of things."""

LIBRARIES: dict[str, tuple[str, ...]] = {
    "fix_encoding": ("ftfy",),
    "chinese": ("opencc",),
    "languages": ("py3langid",),
    "personal_data": ("phonenumbers", "python-stdnum"),
}
"""Packages whose version decides what a rule does, by its name."""
