"""The settings as a table in Markdown, for the README."""

from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from ftkit.recipe.dumping import to_yaml
from ftkit.recipe.schema import make_json_schema
from ftkit.recipe.sections.cleaning import RULES
from ftkit.recipe.settings import list_settings

_TYPE_NAMES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "`true` or `false`",
    "array": "list",
    "object": "mapping",
    "null": "`null`",
}
_MAX_NAMES = 12
_ADAPTER_FORMS = [{"enum": ["lora", "none"]}, {"type": "object"}]


def make_settings_table() -> str:
    """Make a Markdown table of all settings: name, type, default and meaning."""
    schema = make_json_schema()
    properties = {key: each for key, each in schema["properties"].items() if key != "extends"}
    lines = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    lines.append(_make_line("extends", schema["properties"]["extends"], ""))
    for name, field in list_settings().items():
        section, _, key = name.rpartition(".")
        if name == "adapter.method":
            lines.append(_make_line("adapter", {**properties["adapter"], "anyOf": _ADAPTER_FORMS}, "`null`"))
        key_of_section = f"{section.removesuffix('.NAME').rpartition('.')[2].title()}Section"
        group = schema["$defs"][key_of_section]["properties"] if section else properties
        default = "required" if field.is_required() else f"`{_write_inline(group[key]['default'])}`"
        lines.append(_make_line(name, group[key], default))
    return "\n".join(lines) + "\n"


def make_rules_table() -> str:
    """Make a Markdown table of the rules of `data.clean`: name, options with defaults, and meaning."""
    lines = ["| rule | options | does |", "|---|---|---|"]
    for name, rule in RULES.items():
        options = [_describe_option(key, each) for key, each in rule.model_fields.items() if key != "columns"]
        meaning = " ".join(str(rule.__doc__).split("\n\n")[0].split())
        lines.append(f"| `{name}` | {', '.join(options)} | {meaning} |")
    return "\n".join(lines) + "\n"


def _describe_option(name: str, field: FieldInfo) -> str:
    """Write an option with its default or its choices, the default one first."""
    if get_origin(field.annotation) is Literal:
        choices = list(get_args(field.annotation))
        return f"`{name}`: {', '.join(f'`{each}`' for each in choices)}"
    if field.is_required():
        return f"`{name}`"
    default = field.default
    written = f"[{', '.join(default)}]" if isinstance(default, list) else _write_inline(default)
    return f"`{name}: {written}`"


def _make_line(name: str, schema: dict[str, Any], default: str) -> str:
    cells = (f"`{name}`", _describe_type(schema), default, schema["description"])
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _write_inline(value: Any) -> str:
    """Write a default as it would stand in a recipe."""
    return to_yaml({"value": value}).removeprefix("value:").strip()


def _describe_type(schema: dict[str, Any]) -> str:
    """Put the type of one setting into words, with its names or bounds."""
    if "anyOf" in schema:
        return ", ".join(dict.fromkeys(_describe_type(each) for each in schema["anyOf"]))
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        names = [f"`{name}`" for name in schema["enum"]]
        shown = names if len(names) <= _MAX_NAMES else [*names[:4], f"... ({len(names)} names)"]
        return ", ".join(shown)
    words = _TYPE_NAMES[schema["type"]]
    if "pattern" in schema:
        words = "share (`10%`)" if "%" in schema["pattern"] else "dotted name"
    if schema["type"] == "array":
        words = "list of rules" if "$ref" in schema["items"] else "list of text"
    return " ".join([words, *_describe_bounds(schema)])


def _describe_bounds(schema: dict[str, Any]) -> list[str]:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {schema[key]}" for key, sign in signs.items() if key in schema]
    return [" and ".join(bounds)] if bounds else []
