"""A recipe in layers: the file that it extends, the file itself, then the command line."""

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ftkit.recipe.mistakes import COMMAND_LINE, KeyPath, Layer, Mistake, Place, make_error
from ftkit.recipe.paths import make_absolute, resolve_paths, show_path
from ftkit.recipe.settings import SECTIONS, allows_null, list_settings
from ftkit.recipe.values import show, suggest_colon
from ftkit.recipe.yaml_reader import read_yaml

MAX_BYTES = 1_000_000
"""A longer file is no recipe; most likely it is data."""

SHORT_FORMS = {
    "model": ("base", str),
    "data": ("train", object),
    "data.split": ("by", str),
    "data.leakage": ("action", str),
    "adapter": ("method", str),
}
"""What a section may be, other than a mapping, and the setting that it then stands for."""


def load_layers(path: Path) -> Layer:
    """Read a recipe file and all that it extends, each with its own paths made absolute."""
    return _load_chain(path, chain=())


def _load_chain(path: Path, chain: tuple[Path, ...]) -> Layer:
    values, layer = read_yaml(_read_text(path), name=show_path(path))
    place = Place(show_path(path))
    if not isinstance(values, dict):
        problem = f"not a recipe; it must be a mapping (task: ..., model: ...); found {show(values)}"
        problem = f"{problem}; {suggest_colon(values)}".removesuffix("; ")
        if values is None:
            problem = "empty; a recipe has at least task, model and data"
        raise make_error(*layer.mistakes, Mistake(place, "", problem))
    places = {**layer.places, (): place}
    return extend_layer(Layer(values, places, layer.mistakes), path.parent, (*chain, path.resolve()))


def extend_layer(layer: Layer, folder: Path, chain: tuple[Path, ...] = ()) -> Layer:
    """Prepare one recipe's settings, and put them on top of the recipe that it extends, if it does.

    Args:
        layer: the settings as written.
        folder: where the recipe's relative paths begin.
        chain: the files that led here, outermost first.
    """
    values = dict(layer.values)
    parent_name = values.pop("extends", None)
    own = Layer(resolve_paths(expand_short_forms(values), folder), layer.places, layer.mistakes)
    if parent_name is None:
        return own
    place = layer.find_place(("extends",))
    if not isinstance(parent_name, str):
        problem = f"must be the path of one recipe; found {show(parent_name)}"
        raise make_error(Mistake(place, "extends", problem))
    parent = Path(make_absolute(parent_name, folder))
    if not os.path.isfile(parent):
        raise make_error(Mistake(place, "extends", f"{show_path(parent)}: {_describe_absence(parent)}"))
    if parent.resolve() in chain:
        circle = " -> ".join(show_path(each) for each in (*chain, parent))
        raise make_error(Mistake(place, "extends", f"goes in a circle: {circle}; remove one of these lines"))
    return merge_layers(_load_chain(parent, chain), own)


def _read_text(path: Path) -> str:
    """Read a recipe file as text, or say why it cannot be one."""
    name = show_path(path)
    if not os.path.isfile(path):
        raise make_error(Mistake(Place(name), "", _describe_absence(path)))
    try:
        content = path.read_bytes()
        if path.suffix.lower() in (".jsonl", ".csv", ".tsv", ".parquet", ".gz"):
            raise make_error(Mistake(Place(name), "", "is data, not a recipe; a recipe names it under data"))
        if len(content) > MAX_BYTES:
            problem = f"too long for a recipe ({len(content):,} bytes); is it data? Name it under data.train"
            raise make_error(Mistake(Place(name), "", problem))
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = Place(name, content[: error.start].count(b"\n") + 1)
        problem = f"not UTF-8; found byte 0x{content[error.start]:02x}; save the file as UTF-8"
        raise make_error(Mistake(place, "", problem)) from error
    except OSError as error:
        raise make_error(Mistake(Place(name), "", f"cannot be read: {error.strerror}")) from error


def _describe_absence(path: Path) -> str:
    """Say that there is no such recipe, and which file may have been meant.

    By `os.path`, which takes names that no disk can hold for names of nothing.
    """
    if os.path.isdir(path):
        inside = ", ".join(sorted(each.name for each in path.glob("*.y*ml"))[:5])
        return "is a folder; " + (
            f"name a recipe in it: {inside}" if inside else "name a recipe, a YAML file"
        )
    if os.path.exists(path):
        return "is no file; name a recipe, a YAML file"
    if not os.path.isdir(path.parent):
        return f"no such recipe; there is no folder {show_path(path.parent)}"
    near = get_close_matches(path.name, [each.name for each in path.parent.glob("*.y*ml")], 1, 0.4)
    return "no such recipe; " + (f"did you mean {near[0]}?" if near else "ftkit init TASK writes one")


def expand_short_forms(values: Mapping[str, Any], group: str = "") -> dict[str, Any]:
    """Write `model: NAME`, `data: FILE` and `adapter: lora` out in full; `adapter: none` is null.

    Args:
        values: the settings of a recipe, or of one of its sections.
        group: the name of that section.
    """
    expanded = dict(values)
    for name, (key, kind) in SHORT_FORMS.items():
        outer, _, section = name.rpartition(".")
        if outer != group:
            continue
        value = expanded.get(section)
        if section == "adapter" and isinstance(value, str) and value.lower() == "none":
            expanded[section] = None
        elif isinstance(value, kind) and value is not None and not isinstance(value, Mapping):
            expanded[section] = {key: value}
        elif isinstance(value, Mapping):
            expanded[section] = expand_short_forms(value, name)
    return expanded


def merge_layers(lower: Layer, upper: Layer) -> Layer:
    """Put one layer on top of another: mappings are merged, anything else is replaced."""
    values = _merge_values(lower.values, upper.values, ())
    return Layer(values, {**lower.places, **upper.places}, (*lower.mistakes, *upper.mistakes))


def _merge_values(lower: Mapping[Any, Any], upper: Mapping[Any, Any], path: KeyPath) -> dict[Any, Any]:
    """Merge two mappings; null on top removes what is below, where null is no value of its own."""
    merged = dict(lower)
    for key, value in upper.items():
        here = (*path, key)
        below = merged.get(key)
        if value is None and key in merged and not _keeps_null(here):
            del merged[key]
        elif isinstance(value, Mapping) and isinstance(below, Mapping):
            merged[key] = _merge_values(below, value, here)
        else:
            merged[key] = value
    return merged


def _keeps_null(path: KeyPath) -> bool:
    """Tell whether null is a value of this setting; inside a free mapping it never is."""
    field = list_settings().get(".".join(map(str, path)))
    return path == ("adapter",) or (field is not None and allows_null(field))


def read_override(text: str, folder: Path) -> Layer:
    """Read `section.key=value` from the command line; the value is YAML.

    Args:
        text: the word as typed.
        folder: where a relative path begins.

    Raises:
        RecipeError: it has no `=`, or the value is not YAML.
    """
    key, equals, value_text = text.partition("=")
    path = tuple(key.strip().split("."))
    if not equals or not all(path):
        problem = f"must be key=value, such as training.epochs=2; found {show(text)}"
        raise make_error(Mistake(COMMAND_LINE, "", problem))
    if path[0] == "extends":
        raise make_error(Mistake(COMMAND_LINE, "extends", "belongs into the recipe file"))
    value, places, mistakes = _read_override_value(value_text.strip(), path)
    for part in reversed(path):
        value = {part: value}
    layer = Layer(value, {**places, path: COMMAND_LINE}, mistakes)
    return extend_layer(layer, folder)


def _read_override_value(
    text: str, path: Sequence[str]
) -> tuple[Any, Mapping[KeyPath, Place], tuple[Mistake, ...]]:
    """Read a value; one that begins with a sign which has a meaning in YAML files is plain text here."""
    if text[:1] in ("*", "&", "!", "@", "%", "`"):
        return text, {}, ()
    value, layer = read_yaml(text, name=COMMAND_LINE.name, first_line=None, path=tuple(path))
    return value, layer.places, layer.mistakes


def drop_empty_sections(values: Mapping[str, Any]) -> dict[str, Any]:
    """Take a section with nothing under it (all lines commented out, say) for one that is not there."""
    return {
        key: value
        for key, value in values.items()
        if value is not None or key not in SECTIONS or key == "adapter"
    }
