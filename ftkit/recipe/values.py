"""The kinds of value that settings share: whole numbers, shares, rows, plain mappings."""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, NoReturn

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from ftkit.recipe.known_names import suggest_value
from ftkit.recipe.names import TASKS

MEMORY_MARK = "memory:"
"""Begins the text that stands in a written recipe for rows that a notebook gave."""

PERCENT = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*[%％]\s*")
_PERCENT_SCHEMA = {"type": "string", "pattern": r"^\s*(\d+(\.\d*)?|\.\d+)\s*[%％]\s*$"}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
_DOTTED_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def refuse(problem: str) -> NoReturn:
    """Refuse a value with a message of our own, which reaches the reader as it is."""
    raise PydanticCustomError("ftkit", "{problem}", {"problem": problem})


def make_printable(text: str) -> str:
    """Escape what would not print, or would steer the terminal."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def show(value: object) -> str:
    """Make a short text of a value that was found, for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, (bool, int, float)):
        return str(value).lower()
    if isinstance(value, str):
        text = make_printable(" ".join(value.split()))
        return f"'{text[:57]}...'" if len(text) > 60 else f"'{text}'"
    if isinstance(value, Mapping):
        keys = ", ".join(make_printable(str(key)) for key in list(value)[:4])
        return f"a mapping ({keys})" if keys else "an empty mapping"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}" if value else "an empty list"
    return f"a {type(value).__qualname__}"


def suggest_colon(found: object) -> str:
    """Say what is wrong with the colon of a text that should have been `key: value`."""
    if isinstance(found, str) and "：" in found:
        return "write ': ', not the full-width '：'"
    return "put a space after the colon" if isinstance(found, str) and re.match(r"\s*\w+:\S", found) else ""


def _accept_round_float(value: Any) -> Any:
    """Take 1e3 for 1000, and leave everything else to the check of the type."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read_percent(value: Any) -> Any:
    """Turn '10%' into 0.1, and leave everything else as it is."""
    match = PERCENT.fullmatch(value) if isinstance(value, str) else None
    return float(match.group(1)) / 100 if match else value


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_task(value: Any) -> Any:
    """Accept a task of ftkit, or a dotted name of a module outside it."""
    if value in TASKS or (isinstance(value, str) and _DOTTED_NAME.fullmatch(value)):
        return value
    hint = suggest_value(value, TASKS) or f"ftkit has {', '.join(TASKS)}; a module of yours: my_lab.my_task"
    refuse(f"unknown task; found {show(value)}; {hint}")


def _check_warmup(value: Any) -> Any:
    """Accept a number of steps from 0, or a share from 0 to below 1."""
    share = _read_percent(value)
    if (_is_whole(share) and share >= 0) or (isinstance(share, float) and 0 <= share < 1):
        return share
    refuse(f"must be a number of steps, or a share of them from 0% to below 100%; found {show(value)}")


def read_duration(value: object) -> float | None:
    """Return the seconds that a text such as `30 min` means; None for anything else."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return float(match[1]) * _SECONDS[match[2]] if match else None


def _check_interval(value: Any) -> Any:
    """Accept a number of steps from 1, a time such as `30 min`, `epoch`, or `never`."""
    value = _accept_round_float(value)
    if value in ("epoch", "never") or (_is_whole(value) and value >= 1) or read_duration(value):
        return value
    hint = suggest_value(value, ("epoch", "never"))
    refuse(
        f"must be a number of steps, a time such as 30 min or 2 h, epoch, or never; found {show(value)}"
        + (f"; {hint}" if hint else "")
    )


def _check_source(value: Any, info: ValidationInfo) -> Any:
    """Accept where rows come from: one text, or a list; outside a file, rows themselves."""
    context = info.context or {}
    values = value if isinstance(value, list) else [value]
    if not values:
        refuse("names no rows; found an empty list")
    was_in_memory = any(isinstance(each, str) and each.startswith(MEMORY_MARK) for each in values)
    if was_in_memory and context.get("rows_needed", True):
        refuse("the rows of this recipe were given in memory, by a notebook; name a file instead")
    if all(isinstance(each, str) and each.strip() for each in values):
        return value
    if context.get("from_file"):
        wrong = next(each for each in values if not (isinstance(each, str) and each.strip()))
        refuse(f"must be a file, glob, hub id or pypi: address, or a list of these; found {show(wrong)}")
    is_rows = isinstance(value, list) and all(isinstance(each, dict) for each in value)
    if is_rows or _is_table(value):
        return value
    refuse(
        "must be a file, glob, hub id or pypi: address, a list of these, a list of rows (dicts), "
        f"or a datasets.Dataset; found {show(value)}"
    )


def names_source(entry: object) -> bool:
    """Tell a source with its part in the mixture, `{source: ..., weight: ...}`, from a row in memory."""
    return (
        isinstance(entry, Mapping)
        and "source" in entry
        and len(entry) > 1
        and entry.keys() <= {"source", "weight", "rows"}
    )


def _check_train(value: Any, info: ValidationInfo) -> Any:
    """Accept what `_check_source` does, and a list in which sources have a weight or a number of rows."""
    from_file = (info.context or {}).get("from_file")
    if not isinstance(value, list) or not any(
        isinstance(each, Mapping) and "source" in each if from_file else names_source(each) for each in value
    ):
        return _check_source(value, info)
    return [_check_mixed(each, number, info) for number, each in enumerate(value, 1)]


def _check_mixed(entry: Any, number: int, info: ValidationInfo) -> Any:
    """Check one entry of a list of sources, some of which have a weight or a number of rows."""
    if not isinstance(entry, Mapping):
        return _check_source(entry, info)
    if not names_source(entry) or ("weight" in entry and "rows" in entry):
        refuse(
            f"a source is a file, or {{source: FILE}} with a weight or a number of rows; found {show(entry)}"
        )
    weight, rows = entry.get("weight", 1), entry.get("rows", 1)
    is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not (is_number and 0 < weight < math.inf):
        refuse(f"the weight of source {number} must be a number above 0; found {show(weight)}")
    if not (_is_whole(rows) and rows >= 1):
        refuse(f"the rows of source {number} must be a whole number from 1; found {show(rows)}")
    return {**entry, "source": _check_source(entry["source"], info)}


def _is_table(value: object) -> bool:
    """Tell whether a value is a datasets.Dataset, without importing datasets."""
    return any(
        each.__module__.startswith("datasets.") and each.__name__ == "Dataset" for each in type(value).__mro__
    )


def _check_split(value: Any, info: ValidationInfo) -> Any:
    """Accept a share or a number of the training rows, or rows of their own."""
    share = _read_percent(value)
    if _is_whole(share) or isinstance(share, float):
        if (_is_whole(share) and share >= 1) or 0 < share < 1:
            return share
        refuse(f"must be at least 1 row, or a share above 0% and below 100%; found {show(value)}")
    return _check_source(value, info)


def _check_label_names(value: Any) -> Any:
    """Write labels that are numbers or booleans in the recipe as the texts that they are in rows."""
    if isinstance(value, Mapping):
        names = {_label_text(key): _label_text(each) for key, each in value.items()}
        if len(names) < len(value):
            refuse("names a label twice, once as a number and once as text")
        return names
    if not isinstance(value, list):
        return value
    if not value:
        refuse("names no label; found an empty list")
    texts = [_label_text(each) for each in value]
    repeated = sorted({str(text) for text in texts if texts.count(text) > 1})
    if repeated:
        refuse(f"names a label twice: {', '.join(repeated)}")
    return texts


def _check_class_weights(value: Any) -> Any:
    """Accept `none`, `balanced`, or a positive weight for each label."""
    if value in ("none", "balanced"):
        return value
    if not isinstance(value, Mapping) or not value:
        refuse(f"must be none, balanced, or a weight for each label ({{spam: 2}}); found {show(value)}")
    for name, weight in value.items():
        is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not (is_number and 0 < weight < math.inf):
            refuse(f"has no number above 0 for {name}; found {show(weight)}")
    return {_label_text(name): float(weight) for name, weight in value.items()}


def _label_text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


def _check_plain(value: Any) -> Any:
    """Accept what YAML can hold, however deep."""
    if isinstance(value, float) and math.isnan(value):
        refuse("must not be .nan (not a number)")
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, list):
        return [_check_plain(each) for each in value]
    if isinstance(value, dict):
        return {key: _check_plain(each) for key, each in value.items()}
    refuse(f"must be plain values (text, numbers, lists, mappings); found {show(value)}")


_SOURCE_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    ]
}
_MIXED_SCHEMA = {
    "type": "object",
    "properties": {
        "source": _SOURCE_SCHEMA,
        "weight": {"type": "number", "exclusiveMinimum": 0},
        "rows": {"type": "integer", "minimum": 1},
    },
    "oneOf": [{"required": ["source", "weight"]}, {"required": ["source", "rows"]}],
    "additionalProperties": False,
}
_TRAIN_SCHEMA = {
    "anyOf": [
        _SOURCE_SCHEMA["anyOf"][0],
        {"type": "array", "items": {"anyOf": [_SOURCE_SCHEMA["anyOf"][0], _MIXED_SCHEMA]}, "minItems": 1},
    ]
}
_SPLIT_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 1},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        *_SOURCE_SCHEMA["anyOf"],
    ]
}
_WARMUP_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "number", "minimum": 0, "exclusiveMaximum": 1},
        _PERCENT_SCHEMA,
    ]
}
_LABEL_SCHEMA = {"type": ["string", "number", "boolean"]}

TaskName = Annotated[
    str,
    BeforeValidator(_check_task),
    WithJsonSchema(
        {"anyOf": [{"enum": list(TASKS)}, {"type": "string", "pattern": f"^{_DOTTED_NAME.pattern}$"}]}
    ),
]
Count = Annotated[int, Field(ge=1), BeforeValidator(_accept_round_float)]
Seed = Annotated[int, Field(ge=0, lt=2**32), BeforeValidator(_accept_round_float)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]
Plain = Annotated[dict[str, Any], BeforeValidator(_check_plain)]
Source = Annotated[Any, BeforeValidator(_check_source), WithJsonSchema(_SOURCE_SCHEMA)]
TrainSource = Annotated[Any, BeforeValidator(_check_train), WithJsonSchema(_TRAIN_SCHEMA)]
Split = Annotated[Any, BeforeValidator(_check_split), WithJsonSchema(_SPLIT_SCHEMA)]
Warmup = Annotated[int | float, BeforeValidator(_check_warmup), WithJsonSchema(_WARMUP_SCHEMA)]
Share = Annotated[
    float,
    Field(ge=0, le=1),
    BeforeValidator(_read_percent),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, _PERCENT_SCHEMA]}),
]
InnerShare = Annotated[
    float,
    BeforeValidator(_read_percent),
    Field(gt=0, lt=1, allow_inf_nan=False),
    WithJsonSchema(
        {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, _PERCENT_SCHEMA]}
    ),
]
Interval = Annotated[
    int | str,
    BeforeValidator(_check_interval),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"enum": ["epoch", "never"]},
                {"type": "string", "pattern": f"^{_DURATION.pattern}$"},
            ]
        }
    ),
]
ClassWeights = Annotated[
    str | dict[str, float],
    BeforeValidator(_check_class_weights),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": ["none", "balanced"]},
                {
                    "type": "object",
                    "additionalProperties": {"type": "number", "exclusiveMinimum": 0},
                    "minProperties": 1,
                },
            ]
        }
    ),
]
LabelNames = Annotated[
    list[str] | dict[str, str] | None,
    BeforeValidator(_check_label_names),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": _LABEL_SCHEMA, "minItems": 1},
                {"type": "object", "additionalProperties": _LABEL_SCHEMA, "minProperties": 1},
                {"type": "null"},
            ]
        }
    ),
]
