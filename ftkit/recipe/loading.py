"""Make a Recipe from a file, from the command line or from a notebook, or list every mistake in it."""

import os
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import reduce
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ftkit.recipe.conflicts import find_conflicts
from ftkit.recipe.layers import drop_empty_sections, extend_layer, load_layers, merge_layers, read_override
from ftkit.recipe.messages import explain_errors
from ftkit.recipe.mistakes import COMMAND_LINE, Layer, Mistake, make_error, write_key
from ftkit.recipe.paths import is_address, make_absolute
from ftkit.recipe.sections import Recipe, Section
from ftkit.recipe.trust import find_code
from ftkit.recipe.values import show


def load_recipe(
    path: str | Path, overrides: Sequence[str] = (), *, allow: bool = False, rows_needed: bool = True
) -> Recipe:
    """Read a recipe file, and check all of it.

    Args:
        path: the recipe file, YAML in UTF-8.
        overrides: changes from the command line, such as `training.epochs=2`; their relative paths
            begin at the current directory, those in a file at the file's folder.
        allow: whether the files may name code to run (`ftkit.recipe.trust`); overrides always may.
        rows_needed: whether to refuse the recipe of a run whose rows a notebook gave in memory; False
            to look at such a run and not to repeat it.

    Returns:
        The recipe with all defaults filled in and all paths absolute.

    Raises:
        RecipeError: lists every mistake, each with its file and line.
    """
    file = Path(os.path.expanduser(path))
    layers = [load_layers(file), *(read_override(each, Path.cwd()) for each in overrides)]
    layer = reduce(merge_layers, layers)
    if not allow:
        layer = Layer(layer.values, layer.places, (*layer.mistakes, *_find_untrusted_code(layer)))
    output = Path(os.path.abspath(file.parent)) / "runs" / file.stem
    return _check_layer(layer, output, context={"from_file": True, "rows_needed": rows_needed})


def make_recipe(mapping: Mapping[str, Any], *, folder: str | Path) -> Recipe:
    """Make a recipe from a dict, as a notebook gives it.

    Args:
        mapping: what a recipe file would hold. `data.train`, `validation` and `test` can also be
            rows in memory: a list of dicts or a `datasets.Dataset`.
        folder: where relative paths begin.

    Raises:
        RecipeError: lists every mistake.
    """
    start = Path(os.path.abspath(folder))
    layer = extend_layer(Layer(_make_plain(mapping, start)), start)
    name = str(layer.values.get("task")).rsplit(".", 1)[-1]
    return _check_layer(layer, start / "runs" / name, context={})


def read_evaluation_words(words: Sequence[str]) -> dict[str, Any]:
    """Read words of the command line such as `evaluation.slices=[genre]` into the settings of that section.

    Raises:
        RecipeError: a word of another section: an evaluation changes how a model is measured, not what it is.
    """
    layers = [read_override(word, Path.cwd()) for word in words]
    for word, layer in zip(words, layers, strict=True):
        if list(layer.values) != ["evaluation"]:
            problem = f"only settings of evaluation can be changed here; found {show(word)}"
            raise make_error(Mistake(COMMAND_LINE, "", problem))
    merged = reduce(merge_layers, layers, Layer({"evaluation": {}}))
    return dict(merged.values["evaluation"] or {})


def change_evaluation(recipe: Recipe, values: Mapping[str, Any]) -> Recipe:
    """Change how a recipe's model is measured.

    Args:
        recipe: a resolved recipe.
        values: settings of its section `evaluation`; relative paths begin at the current directory.

    Raises:
        RecipeError: lists every mistake.
    """
    layer = extend_layer(Layer({"evaluation": dict(values)}), Path.cwd())
    below = Layer({"evaluation": recipe.evaluation.model_dump()})
    merged = merge_layers(below, layer)
    others = {name: getattr(recipe, name) for name in Recipe.model_fields}
    try:
        return Recipe.model_validate({**others, **merged.values}, context={})
    except ValidationError as error:
        raise make_error(*explain_errors(error, merged)) from error


def _check_layer(layer: Layer, default_output: Path, *, context: Mapping[str, bool]) -> Recipe:
    """Turn merged layers into a recipe, or raise everything that is wrong with them at once."""
    values = drop_empty_sections(layer.values)
    layer = Layer(values, layer.places, layer.mistakes)
    mistakes = [*layer.mistakes, *_find_conflicts(layer)]
    if values.get("output_dir") is None:
        values = {**values, "output_dir": str(default_output)}
    try:
        recipe = Recipe.model_validate(values, context=dict(context))
    except ValidationError as error:
        raise make_error(*mistakes, *explain_errors(error, layer)) from error
    if mistakes:
        raise make_error(*mistakes)
    return recipe


def _find_untrusted_code(layer: Layer) -> list[Mistake]:
    """Refuse code that a file names; what stands on the command line was typed by the one who runs it."""
    remedy = "read it, and if you trust it, add --allow (allow=True in a notebook)"
    found = [(layer.find_place(path), path, does) for path, does in find_code(layer.values)]
    return [
        Mistake(place, write_key(path), f"{does}; {remedy}")
        for place, path, does in found
        if place != COMMAND_LINE
    ]


def _find_conflicts(layer: Layer) -> list[Mistake]:
    output = layer.values.get("output_dir")
    found = find_conflicts(layer.values)
    if isinstance(output, str) and is_address(output):
        found.append((("output_dir",), f"must be a folder on this machine; found {show(output)}"))
    return [Mistake(layer.find_place(path), write_key(path), problem) for path, problem in found]


def _make_plain(value: Any, folder: Path) -> Any:
    """Turn what a notebook may hold into what YAML holds; leave rows and unknown things as they are."""
    if isinstance(value, Section):
        value = dict(value)
    if isinstance(value, Mapping):
        return {key: _make_plain(each, folder) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [each if isinstance(each, Mapping) else _make_plain(each, folder) for each in value]
    if type(value).__module__ == "numpy":
        return value.tolist()
    if isinstance(value, Enum):
        return value.value
    return make_absolute(os.fspath(value), folder) if isinstance(value, Path) else value
