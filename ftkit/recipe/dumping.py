"""Write a recipe as YAML that reads back as the same recipe."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from ftkit.recipe.sections import Recipe
from ftkit.recipe.values import MEMORY_MARK, names_source
from ftkit.recipe.yaml_reader import CORE_SCHEMA

_HEADER = (
    "# The resolved recipe: every setting, with absolute paths. Run it again: ftkit finetune recipe.yaml\n"
)


class CoreDumper(yaml.SafeDumper):
    """Quotes each text that YAML 1.1 or YAML 1.2 would read as something else."""

    def ignore_aliases(self, data: Any) -> bool:
        """Write a value that stands in two places twice, not as an alias."""
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Write a text; line breaks that are not of ASCII get escaped, since PyYAML reads them as spaces."""
    style = '"' if any(sign in text for sign in "\x85\u2028\u2029") else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


CoreDumper.add_representer(str, _represent_text)
for _name, _pattern, _first in CORE_SCHEMA:
    CoreDumper.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), _first)


def dump_recipe(recipe: Recipe) -> str:
    """Write a recipe as YAML; `load_recipe` reads it back equal.

    Rows that were given in memory cannot be written: a short text stands for them, and the header says so.
    """
    values = recipe.model_dump(exclude={"data": {"train", "validation", "test"}})
    sources = {key: getattr(recipe.data, key) for key in ("train", "validation", "test")}
    values["data"] = {**{key: _write_source(source) for key, source in sources.items()}, **values["data"]}
    for name, also in recipe.evaluation.also.items():
        values["evaluation"]["also"][name]["data"] = _write_source(also.data)
    header = _HEADER
    if names := ", ".join(list_rows_in_memory(recipe)):
        header += f"# The rows of {names} were given in memory, by a notebook: name a file to run it again.\n"
    return header + to_yaml(values)


def list_rows_in_memory(recipe: Recipe) -> list[str]:
    """Name the settings whose rows were given in memory, so that no file can hold them."""
    sources = {f"data.{key}": getattr(recipe.data, key) for key in ("train", "validation", "test")}
    sources |= {f"evaluation.also.{name}.data": also.data for name, also in recipe.evaluation.also.items()}
    return [name for name, source in sources.items() if _write_source(source) is not source]


def to_yaml(values: Mapping[str, Any]) -> str:
    """Write plain values as YAML, in their order, with Chinese as Chinese."""
    text: str = yaml.dump(dict(values), Dumper=CoreDumper, sort_keys=False, allow_unicode=True, width=10_000)
    return text


def _write_source(source: Any) -> Any:
    """Keep what names rows; put a short text in place of rows themselves."""
    is_rows = isinstance(source, list) and not any(
        isinstance(each, str) or names_source(each) for each in source
    )
    if source is None or (isinstance(source, (str, int, float, list)) and not is_rows):
        return source
    return f"{MEMORY_MARK} {len(source):,} rows"
