"""The settings as a JSON schema, from which an editor completes and checks a recipe."""

from typing import Any

from ftkit.recipe.sections import Recipe

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SHORT_FORMS: dict[str, list[dict[str, Any]]] = {
    "model": [{"type": "string", "minLength": 1}],
    "data": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    ],
    "data.split": [{"enum": ["random", "stratified"]}],
    "data.leakage": [{"enum": ["drop", "error", "allow"]}],
    "adapter": [{"enum": ["lora", "none"]}, {"type": "null"}],
    "training": [{"type": "null"}],
    "evaluation": [{"type": "null"}],
    "checks": [{"type": "null"}],
    "parallel": [{"type": "null"}],
}
"""What the key of a section can hold besides the mapping of its settings."""

_EXTENDS = {
    "type": "string",
    "minLength": 1,
    "description": "Another recipe, relative to this one, that this one changes: mappings are merged, "
    "anything else is replaced, and null takes away what the other recipe sets.",
    "examples": ["base.yaml"],
}


def make_json_schema() -> dict[str, Any]:
    """Make the JSON schema (draft 2020-12) of a recipe file, with short forms and `extends`."""
    schema = Recipe.model_json_schema()
    sections, properties = schema["$defs"], schema["properties"]
    for name, short_forms in _SHORT_FORMS.items():
        section, _, key = name.rpartition(".")
        group = sections[f"{section.title()}Section"]["properties"] if section else properties
        reference = f"{key.title()}Section"
        group[key] = {
            "description": sections[reference]["description"],
            "anyOf": [{"$ref": f"#/$defs/{reference}"}, *short_forms],
        }
    # What a recipe lacks can come from the one that it extends.
    requirements = {
        "required": schema.pop("required"),
        "properties": {
            "data": {"if": {"type": "object"}, "then": {"required": sections["DataSection"].pop("required")}}
        },
    }
    head = {"$schema": DIALECT, "title": "ftkit recipe", "description": schema.pop("description")}
    tail = {"if": {"required": ["extends"]}, "then": True, "else": requirements}
    ordered = {
        "type": "object",
        "properties": {"extends": _EXTENDS, **properties},
        "additionalProperties": False,
    }
    tidied: dict[str, Any] = _tidy({**head, **ordered, **tail, "$defs": sections})
    return tidied


def _tidy(node: Any) -> Any:
    """Take out the titles that only repeat the keys, and the line breaks of the source in texts."""
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {key: _tidy(each) for key, each in node.items() if key != "title" or "$schema" in node}
    if isinstance(kept.get("description"), str):
        kept["description"] = " ".join(kept["description"].split())
    return kept
