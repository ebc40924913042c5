"""The rules of `data.clean`: what each is called, its options, defaults and bounds."""

from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, get_args

from pydantic import Field, GetJsonSchemaHandler, model_serializer, model_validator
from pydantic_core import CoreSchema

from ftkit.recipe.sections.section import Section
from ftkit.recipe.values import Count, Text, refuse, show


class RuleOptions(Section):
    """What every rule can be told."""

    MAIN: ClassVar[str | None] = None
    """The option that a value stands for: `min_characters: 20` is `min_characters: {characters: 20}`."""

    columns: Annotated[list[Text] | None, Field(min_length=1)] = None
    """Columns that the rule works on, under the task's names; `null`: all that hold text for the task."""


class WhiteSpace(RuleOptions):
    """Write each run of spaces and tabs as one space, at most one empty line in a row, none at the ends."""


class MinCharacters(RuleOptions):
    """Leave out rows with fewer characters of text, white space not counted."""

    MAIN = "characters"
    characters: Count
    """Fewest characters, at least 1."""


class CleaningRule(Section):
    """One rule: its name, or its name and its options."""

    white_space: WhiteSpace | None = None
    min_characters: MinCharacters | None = None

    @model_validator(mode="before")
    @classmethod
    def _expand(cls, value: Any) -> Any:
        """Write `name` and `name: value` out as `name: {option: value}`."""
        if isinstance(value, CleaningRule):
            return value
        if isinstance(value, str):
            value = {value: None}
        if not isinstance(value, dict) or len(value) != 1:
            refuse(f"must be one rule, `name` or `name: options`; found {show(value)}")
        ((name, options),) = value.items()
        if name not in RULES:
            near = get_close_matches(str(name), RULES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the rules are {', '.join(RULES)}"
            refuse(f"unknown rule {show(name)}; {hint}")
        main = RULES[name].MAIN
        if options is None:
            options = {}
        if not isinstance(options, dict):
            if main is None:
                refuse(f"{name} has no value of its own, only options; found {show(options)}")
            options = {main: options}
        for missing in _list_required(RULES[name]):
            if missing not in options:
                refuse(f"{name} needs {missing}: `{name}: {{{missing}: ...}}`")
        return {name: options}

    @property
    def name(self) -> str:
        """The rule's name."""
        return next(iter(self.model_fields_set))

    @property
    def options(self) -> RuleOptions:
        """Its options."""
        options: RuleOptions = getattr(self, self.name)
        return options

    @model_serializer
    def _write(self) -> dict[str, Any]:
        return {self.name: self.options.model_dump()}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe the forms in which a rule can be written."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        for name, field in schema["properties"].items():
            options = handler.resolve_ref_schema(field["anyOf"][0])
            main = RULES[name].MAIN
            short = [options["properties"][main]] if main else []
            field.pop("default")
            field["description"] = options["description"]
            field["anyOf"] = [*short, *field["anyOf"]]
        schema |= {"minProperties": 1, "maxProperties": 1}
        alone = [name for name, rule in RULES.items() if not _list_required(rule)]
        return {"description": schema.pop("description"), "anyOf": [{"enum": alone}, schema]}


def _list_required(rule: type[RuleOptions]) -> list[str]:
    return [key for key, field in rule.model_fields.items() if field.is_required()]


RULES: dict[str, type[RuleOptions]] = {
    name: get_args(field.annotation)[0] for name, field in CleaningRule.model_fields.items()
}
"""The rules by name."""
