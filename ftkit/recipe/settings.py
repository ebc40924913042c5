"""All settings by their full names, and the one that an unknown name may mean."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import get_args

from pydantic.fields import FieldInfo

from ftkit.recipe.known_names import FOREIGN_NAMES, OWNED_ARGUMENTS
from ftkit.recipe.mistakes import KeyPath
from ftkit.recipe.sections import (
    AdapterSection,
    AlsoSection,
    ChecksSection,
    CodeSection,
    DataSection,
    EvaluationSection,
    GenerationSection,
    HarnessSection,
    LeakageSection,
    MixingSection,
    ModelSection,
    ParallelSection,
    Recipe,
    Section,
    SplitSection,
    TrainingSection,
)
from ftkit.recipe.sections.cleaning import RULES

SECTIONS: dict[str, type[Section]] = {
    "model": ModelSection,
    "data": DataSection,
    "data.split": SplitSection,
    "data.leakage": LeakageSection,
    "data.mixing": MixingSection,
    "adapter": AdapterSection,
    "training": TrainingSection,
    "evaluation": EvaluationSection,
    "evaluation.generation": GenerationSection,
    "checks": ChecksSection,
    "parallel": ParallelSection,
    "evaluation.code": CodeSection,
    "evaluation.harness": HarnessSection,
}
"""The groups of settings, by the key that opens each in a recipe."""

NAMED_SECTIONS: dict[str, type[Section]] = {"evaluation.also": AlsoSection}
"""Groups of settings that stand under names of the user's choice, by the key above the names."""


def list_settings() -> dict[str, FieldInfo]:
    """List every setting by its full name: `task`, `model.base`, ..."""
    return dict(_list_fields(Recipe, ""))


def _list_fields(section: type[Section], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for key, field in section.model_fields.items():
        inner = SECTIONS.get(prefix + key)
        if inner is None:
            yield prefix + key, field
            if prefix + key in NAMED_SECTIONS:
                yield from _list_fields(NAMED_SECTIONS[prefix + key], f"{prefix}{key}.NAME.")
        else:
            yield from _list_fields(inner, f"{prefix}{key}.")


def find_section(path: KeyPath) -> tuple[str, type[Section]]:
    """Return the group that a setting stands in, by its key and its class; "" for the recipe itself."""
    nested = ".".join(map(str, path[:-1]))
    named = ".".join(map(str, path[:-2]))
    if named in NAMED_SECTIONS:
        return named, NAMED_SECTIONS[named]
    group = nested if nested in SECTIONS else str(path[0]) if len(path) > 1 else ""
    return group, SECTIONS[group] if group else Recipe


def allows_null(field: FieldInfo) -> bool:
    """Tell whether null is a value of a setting, and not only a way to say nothing."""
    return type(None) in get_args(field.annotation)


def suggest_setting(path: KeyPath) -> str:
    """Say which setting may have been meant by a key that does not exist."""
    if path[:2] == ("data", "clean"):
        return f"{path[3]} takes {', '.join(RULES[str(path[3])].model_fields)}"
    return _suggest_in_sections(path)


def _suggest_in_sections(path: KeyPath) -> str:
    name = re.sub(r"[\s-]+", "_", str(path[-1]).strip()).lower()
    group, section = find_section(path)
    siblings = [*section.model_fields, *(() if group else ("extends",))]
    homes = [key for key, each in SECTIONS.items() if name in each.model_fields]
    if name in siblings:
        return f"did you mean {name}?"
    if homes:
        return f"{name} belongs to {' or '.join(homes)}"
    if name in Recipe.model_fields or name == "extends":
        return f"{name} stands at the top of a recipe, not in {group}"
    if name in FOREIGN_NAMES:
        return f"ftkit calls it {FOREIGN_NAMES[name]}"
    if name in OWNED_ARGUMENTS:
        meant = OWNED_ARGUMENTS[name]
        return f"ftkit calls it {meant}" if names_setting(meant) else meant
    return _suggest_near(name, group, siblings)


def names_setting(advice: str) -> bool:
    """Tell the name of a setting (or `one or another`) from a sentence."""
    return all(each.split(".")[0] in Recipe.model_fields for each in advice.split(" or "))


def _suggest_near(name: str, group: str, siblings: list[str]) -> str:
    """Look for a slip of the pen: freely among the neighbours, strictly among all other names."""
    meanings = {key: each for key, each in (OWNED_ARGUMENTS | FOREIGN_NAMES).items() if names_setting(each)}
    meanings |= {full.split(".")[-1]: full for full in list_settings()}
    meanings |= {key: key for key in siblings}
    near = get_close_matches(name, meanings, 1, 0.8) or get_close_matches(name, siblings, 1)
    if near:
        return f"did you mean {meanings[near[0]].removeprefix(group + '.')}?"
    advice = (
        f"{group or 'a recipe'} takes {', '.join(siblings)}"
        if len(siblings) <= 12
        else "ftkit schema lists all"
    )
    other = "; what else TrainingArguments takes goes under training.arguments" if group == "training" else ""
    return advice + other
