"""What a recipe must not bring in by itself: code that runs, and secrets that would be stored.

Everything else in a recipe is data, and ftkit writes into its `output_dir` and ftkit's cache alone. Code can
do whatever its user can; so a file from a stranger may name code, and cannot have it run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ftkit.recipe.mistakes import KeyPath, write_key
from ftkit.recipe.sections import Recipe
from ftkit.recipe.values import names_source, show

SWITCHES = {
    ("model", "trust_remote_code"): "runs code that comes with the checkpoint",
    ("model", "allow_pickle"): "loads weights that can run any code",
    ("evaluation", "code", "allow"): "runs the programs that the model writes, and the tests in the rows",
}
"""Settings that open a door when they are true."""

ARGUMENTS = dict.fromkeys(
    ("trackio_space_id", "trackio_static_space_id", "trackio_bucket_id"),
    "uploads what is logged to a place on the hub",
)
"""Settings of `training.arguments` that lead out of the `output_dir`."""

_SECRETS = (
    (re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s@]*:[^/\s@]+@"), "an address with a password"),
    (re.compile(r"\bhf_[A-Za-z0-9]{20,}"), "a token of the hub"),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"), "an access key of S3"),
)
"""What is secret by its looks."""
_REMEDY = "put it into the environment or the configuration of the library that needs it"


def find_secrets(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Find passwords and tokens in settings; they would be stored with the run and printed in its report.

    Args:
        value: the settings of a recipe as written; rows in memory are not looked at.
        path: where they stand.
    """
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from find_secrets(each, (*path, key))
    elif isinstance(value, list) and not any(
        isinstance(each, Mapping) and path[:1] == ("data",) and not names_source(each) for each in value
    ):
        for index, each in enumerate(value):
            yield from find_secrets(each, (*path, index))
    elif isinstance(value, str):
        for pattern, what in _SECRETS:
            if pattern.search(value):
                yield path, f"holds {what}, and a recipe is stored with its run; {_REMEDY}"


def find_code(values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Find the settings that name code to run, or places to write to, each with what it does.

    Args:
        values: the settings of a recipe as written, short forms written out.
    """
    for path, does in SWITCHES.items():
        if _find(values, path) is True:
            yield path, does
    for name, does in ARGUMENTS.items():
        if _find(values, ("training", "arguments", name)) is not None:
            yield ("training", "arguments", name), does
    functions: list[tuple[KeyPath, Any]] = [(("data", "segmenter"), _find(values, ("data", "segmenter")))]
    rules = _find(values, ("data", "clean"))
    functions += [
        (("data", "clean", index, "function"), rule["function"])
        for index, rule in enumerate(rules if isinstance(rules, list) else [])
        if isinstance(rule, Mapping) and "function" in rule
    ]
    for key, function in functions:
        if function is not None:
            yield key, f"calls the function {show(_take_name(function))}"
    if isinstance(task := values.get("task"), str) and "." in task:
        yield ("task",), f"runs the module {show(task)}"
    yield from _find_scripts(values)


def describe_code(recipe: Recipe) -> list[str]:
    """List the code that a recipe has run, a line for each setting that names some."""
    named = {
        "data": {"clean", "segmenter"},
        "evaluation": {"code", "metrics", "harness"},
        "training": {"arguments"},
    }
    values = recipe.model_dump(include={"task": True, "model": True, **named})
    return [f"{write_key(path)}: {does}" for path, does in find_code(values)]


def _find_scripts(values: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Find scripts of metrics, and files of benchmarks, which can call functions."""
    for path in (("evaluation", "metrics"), ("evaluation", "harness", "tasks")):
        names = _find(values, path)
        for index, name in enumerate(names if isinstance(names, list) else []):
            if isinstance(name, str) and (
                "/" in name or name.endswith((".py", ".yaml", ".yml")) or os.path.isdir(name)
            ):
                yield (*path, index), f"runs what {show(name)} says"


def _take_name(function: Any) -> Any:
    return function.get("name") if isinstance(function, Mapping) else function


def _find(values: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = values
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value
