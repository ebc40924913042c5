"""Scores of texts that a program reads: JSON, and calls of functions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.errors import MetricError, MissingDependencyError
from ftkit.metrics.inputs import read_texts

if TYPE_CHECKING:
    from ftkit.metrics.inputs import Floats

_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*\Z", re.DOTALL)
_OPENING = re.compile(r"[{\[]")
_NOTHING = object()


def measure_json_validity(predictions: Any, references: Any) -> Floats:
    """Tell which texts are JSON and conform to their schemas: columns right and 1.

    A text may stand in a fence of Markdown; anything else before or behind it makes it invalid. NaN and
    Infinity, which Python reads and JSON does not have, are invalid.

    Args:
        predictions: a text per row.
        references: a JSON schema per row, read or as text; None to take any JSON.
    """
    texts, _ = read_texts("json_validity", predictions, [""] * len(references))
    validators: dict[int, Any] = {}
    right = []
    for text, schema in zip(texts, references, strict=True):
        value = read_json_text(text)
        if value is not _NOTHING and schema is not None:
            if id(schema) not in validators:  # nearly always one schema for all rows
                validators[id(schema)] = make_validator(
                    json.loads(schema) if isinstance(schema, str) else schema
                )
            right.append(validators[id(schema)](value))
        else:
            right.append(value is not _NOTHING)
    return _count_right(right)


def measure_json_match(predictions: Any, references: Any) -> Floats:
    """Tell which texts are the JSON of one of their references, whatever its layout: columns right and 1."""
    texts, accepted = read_texts("json_match", predictions, references)
    right = []
    for row, (text, wanted) in enumerate(zip(texts, accepted, strict=True)):
        values = [read_json_text(each) for each in wanted]
        if any(value is _NOTHING for value in values):
            raise MetricError(
                f"json_match: references[{row}] is no JSON; found {wanted[0][:80]!r}; take exact_match"
            )
        found = read_json_text(text)
        right.append(any(is_equal(found, value) for value in values))
    return _count_right(right)


def measure_function_calls(predictions: Any, references: Any, *, names_only: bool = False) -> Floats:
    """Tell which texts call the functions that their reference calls: columns right and 1.

    The order of calls does not count, nor does that of arguments; a text that calls where its reference
    does not, or does not call where it does, is wrong.

    Args:
        predictions: a text per row.
        references: a text per row, or a list of acceptable ones.
        names_only: whether arguments do not count.
    """
    texts, accepted = read_texts("function_calls", predictions, references)
    right = []
    for text, wanted in zip(texts, accepted, strict=True):
        found = find_calls(text)
        right.append(any(_call_alike(found, find_calls(each), names_only) for each in wanted))
    return _count_right(right)


def read_json_text(text: str) -> Any:
    """Read a text that is JSON as a whole; `_NOTHING` for one that is not."""
    match = _FENCE.match(text)
    try:
        return json.loads(match[1] if match else text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return _NOTHING


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def find_calls(text: str) -> list[tuple[str, Any]]:
    """Find the calls of functions in what a model wrote, in their order: names and arguments.

    A call is a JSON object with `name` and `arguments` (or `parameters`), by itself or under `function`,
    wherever it stands in the text: alone, in a list, under `tool_calls`, between marks such as
    `<tool_call>`. Arguments may be JSON or a text of JSON.
    """
    calls: list[tuple[str, Any]] = []
    for value in _find_objects(text):
        calls += _list_calls(value)
    return calls


def _find_objects(text: str) -> Iterator[Any]:
    """Yield the JSON objects and lists of a text, the outermost ones."""
    decoder, place = json.JSONDecoder(), 0
    while match := _OPENING.search(text, place):
        try:
            value, place = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            place = match.start() + 1
            continue
        yield value


def _list_calls(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, list):
        return [call for each in value for call in _list_calls(each)]
    if not isinstance(value, Mapping):
        return []
    if "tool_calls" in value:
        return _list_calls(value["tool_calls"])
    if isinstance(value.get("function"), Mapping):
        return _list_calls(value["function"])
    given = value.get("arguments", value.get("parameters", _NOTHING))
    if not isinstance(value.get("name"), str) or given is _NOTHING:
        return []
    if isinstance(given, str):
        read = read_json_text(given)
        given = given if read is _NOTHING else read
    return [(value["name"], given)]


def _call_alike(
    found: Sequence[tuple[str, Any]], wanted: Sequence[tuple[str, Any]], names_only: bool
) -> bool:
    if names_only:
        return sorted(name for name, _ in found) == sorted(name for name, _ in wanted)
    left = list(wanted)
    for name, given in found:
        place = next(
            (place for place, (other, value) in enumerate(left) if name == other and is_equal(given, value)),
            None,
        )
        if place is None:
            return False
        del left[place]
    return not left


def is_equal(one: Any, other: Any) -> bool:
    """Compare JSON values; 1 and 1.0 are equal, and true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_equal, one, other))
    return bool(one == other)


def make_validator(schema: Any) -> Any:
    """Return a function that says whether a value conforms to a JSON schema.

    Raises:
        MissingDependencyError: jsonschema is not installed.
        MetricError: the schema is none, or needs something from elsewhere.
    """
    try:
        import jsonschema
        from jsonschema_specifications import REGISTRY
    except ImportError as error:
        raise MissingDependencyError(
            "evaluation.json_schema: needs jsonschema; install it: pip install 'ftkit[json]'"
        ) from error
    kind = jsonschema.validators.validator_for(schema)
    try:
        kind.check_schema(schema)
    except jsonschema.SchemaError as error:
        raise MetricError(f"evaluation.json_schema: is no JSON schema; {error.message}") from error
    validator = kind(schema, registry=REGISTRY)  # nothing is fetched: another document is an error

    def conforms(value: Any) -> bool:
        try:
            return bool(validator.is_valid(value))
        except Exception as error:  # references that cannot be resolved raise types of another library
            raise MetricError(f"evaluation.json_schema: cannot be used; {error}") from error

    return conforms


def _count_right(right: Sequence[bool]) -> Floats:
    import numpy as np

    return np.array([[float(holds), 1.0] for holds in right])
