"""Turn what pydantic says about a recipe into short plain messages: what must be, what was found."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ftkit.recipe.known_names import suggest_value
from ftkit.recipe.mistakes import KeyPath, Layer, Mistake, write_key
from ftkit.recipe.settings import find_section, list_settings, suggest_setting
from ftkit.recipe.values import PERCENT, show, suggest_colon

_REQUIREMENTS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "string_too_short": "text that is not empty",
    "bool_type": "true or false",
    "list_type": "a list",
    "too_short": "a list that is not empty",
    "dict_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}
_YES_AND_NO = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def explain_errors(error: ValidationError, layer: Layer) -> list[Mistake]:
    """Turn all that pydantic found into mistakes, one for each setting, at the place it was written."""
    groups: dict[KeyPath, list[ErrorDetails]] = {}
    for each in error.errors(include_url=False):
        groups.setdefault(_find_path(each, layer.values), []).append(each)
    return [
        Mistake(layer.find_place(path), write_key(path), _explain(path, group))
        for path, group in groups.items()
        if not any(len(other) > len(path) and other[: len(path)] == path for other in groups)
    ]


def _find_path(error: ErrorDetails, values: Any) -> KeyPath:
    """Find the setting that an error is about; pydantic mixes names of types into the way to it."""
    path: list[str | int] = []
    for part in error["loc"]:
        inside = (
            part in values
            if isinstance(values, Mapping)
            else isinstance(values, list) and part in range(len(values))
        )
        if inside:
            path.append(part)
            values = values[part]
    return (*path, error["loc"][-1]) if error["type"] == "missing" else tuple(path)


def _explain(path: KeyPath, errors: Sequence[ErrorDetails]) -> str:
    """Say what one setting must be and what was found."""
    first = errors[0]
    kinds = {each["type"] for each in errors}
    if "missing" in kinds:
        return _explain_missing(path)
    if kinds & {"extra_forbidden", "invalid_key"}:
        return f"unknown setting; {suggest_setting(path)}"
    if first["type"] not in _REQUIREMENTS | _BOUNDS.keys() | {"literal_error"}:
        return first["msg"]
    if "[key]" in first["loc"]:
        return f"a key must be text; found {show(path[-1])}; put it in quotes"
    wanted = list(dict.fromkeys(name for each in errors for name in _list_requirements(each)))
    listed = f"{', '.join(wanted[:-1])} or {wanted[-1]}" if len(wanted) > 1 else wanted[0]
    hint = _find_hint(path, kinds, wanted, first["input"])
    start = "unknown name" if len(wanted) > 8 and hint else f"must be {listed}"
    return f"{start}; found {show(first['input'])}" + (f"; {hint}" if hint else "")


def _list_requirements(error: ErrorDetails) -> list[str]:
    """Put into words what one check asks for."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "literal_error":
        return re.findall(r"'([^']*)'", context["expected"])
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        limit = float(context[bound])
        return [f"{words} {int(limit) if limit.is_integer() else limit}"]
    return [_REQUIREMENTS[kind]]


def _find_hint(path: KeyPath, kinds: set[str], wanted: Sequence[str], found: Any) -> str:
    """Say what to write instead, where that is plain from what was found."""
    if isinstance(found, str):
        return _find_text_hint(kinds, wanted, found)
    if found is None:
        field = list_settings().get(write_key(path))
        return "" if field is None or field.is_required() else "leave the line out for the default"
    return "put it in quotes" if "string_type" in kinds and isinstance(found, (int, float)) else ""


def _find_text_hint(kinds: set[str], wanted: Sequence[str], found: str) -> str:
    """Say what to write in place of a text that was found."""
    if kinds & {"model_type", "dict_type"} and (advice := suggest_colon(found)):
        return advice
    if "bool_type" in kinds and found.lower() in _YES_AND_NO:
        return f"write {_YES_AND_NO[found.lower()]}"
    if kinds & {"int_type", "float_type"} and (number := _read_number(found)) is not None:
        plain = int(number) if number.is_integer() else number
        return f"write {plain}" + ("" if PERCENT.fullmatch(found) else ", without quotes")
    near = suggest_value(found, wanted) if "literal_error" in kinds else ""
    return near or (f"write [{found}]" if "list_type" in kinds else "")


def _read_number(text: str) -> float | None:
    """Read a number out of a text that a setting wanted as a number."""
    match = PERCENT.fullmatch(text)
    try:
        return float(match.group(1)) / 100 if match else float(text)
    except ValueError:
        return None


def _explain_missing(path: KeyPath) -> str:
    section = find_section(path)[1]
    example = (section.model_fields[str(path[-1])].examples or ["..."])[0]
    return f"missing; add it, such as {path[-1]}: {example}"
