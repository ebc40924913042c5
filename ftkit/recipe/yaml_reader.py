"""Read YAML the way people mean it, and remember on which line each setting stands.

PyYAML reads YAML 1.1, where `1e-4` is text and `no` is false. Here the rules are those of the core
schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), and a key that is given twice, an
alias that never ends and a tag that would make an object are refused.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from ftkit.recipe.mistakes import KeyPath, Layer, Mistake, Place, make_error, write_key
from ftkit.recipe.values import make_printable, show, suggest_colon

MAX_VALUES = 50_000
"""A recipe that expands to more values is no recipe: aliases of aliases can reach billions."""

MAX_DEPTH = 50
"""Lists and mappings within each other, at most."""

_TOO_DEEP = f"more than {MAX_DEPTH} lists or mappings within each other"

CORE_SCHEMA = (
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
)
_TAG = "tag:yaml.org,2002:"

_YAML_PROBLEMS = (
    ("'\\t' that cannot start", "a tab; YAML wants spaces, here and for indentation"),
    ("scanning an alias", "'*' begins an alias; put a value that starts with * in quotes"),
    ("undefined alias", "'*' begins an alias; put a value that starts with * in quotes"),
    ("scanning an anchor", "'&' begins an anchor; put a value that starts with & in quotes"),
    (" tag", "'!' begins a tag; put a value that starts with ! in quotes"),
    ("cannot start any token", "a value cannot begin with this character; put it in quotes"),
    ("mapping values are not", "': ' where no key can stand; mind the indentation, or quote the value"),
    ("expected <block end>", "the indentation does not fit the lines above"),
    ("expected ':'", "a key without a ': ' after it"),
    ("expected ',' or", "a bracket that is not closed"),
    ("expected the node content", "a bracket that is not closed, or a value that is missing"),
    ("unexpected end of stream", "a quote that is never closed"),
    ("special characters are not allowed", "a control character; is this a text file"),
    ("but found another document", "a second document ('---'); a recipe is one"),
)


class CoreLoader(yaml.SafeLoader):
    """PyYAML's scanner, parser and composer with the scalars of YAML 1.2; builds no objects."""

    yaml_implicit_resolvers: dict[Any, Any] = {}


for _name, _pattern, _first in CORE_SCHEMA:
    CoreLoader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), _first)


@dataclass
class _Reading:
    """What accumulates while one text is read."""

    name: str
    first_line: int | None
    places: dict[KeyPath, Place] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)
    num_values: int = 0
    open_nodes: set[int] = field(default_factory=set)

    def find_place(self, node: yaml.Node) -> Place:
        return Place(self.name, None if self.first_line is None else self.first_line + node.start_mark.line)

    def add_mistake(self, node: yaml.Node, path: KeyPath, problem: str) -> None:
        self.mistakes.append(Mistake(self.find_place(node), write_key(path), problem))


def read_yaml(text: str, *, name: str, first_line: int | None = 1, path: KeyPath = ()) -> tuple[Any, Layer]:
    """Read one YAML text.

    Args:
        text: the whole text.
        name: what to call it in messages: a file, or the command line.
        first_line: number of its first line; None: its lines have no numbers.
        path: where in the recipe the text stands.

    Returns:
        The value, and a layer that has its places and mistakes but no values yet.

    Raises:
        RecipeError: the text is not YAML.
    """
    reading = _Reading(name, first_line)
    try:
        node = CoreLoader(text).get_single_node()
        value = None if node is None else _read_node(node, path, reading)
    except yaml.YAMLError as error:
        raise make_error(_explain_yaml_error(error, text, reading, path)) from error
    except RecursionError as error:
        raise make_error(Mistake(Place(name), "", _TOO_DEEP)) from error
    return value, Layer({}, reading.places, tuple(reading.mistakes))


def _read_node(node: yaml.Node, path: KeyPath, reading: _Reading) -> Any:
    """Turn a node of the YAML graph into plain data, bounded however often aliases repeat it."""
    _check_size(path, reading)
    reading.places.setdefault(path, reading.find_place(node))
    if isinstance(node, yaml.ScalarNode):
        return _read_scalar(node, path, reading)
    if id(node) in reading.open_nodes:
        reading.add_mistake(node, path, "contains itself, through an alias (*); write it out")
        return None
    reading.open_nodes.add(id(node))
    if isinstance(node, yaml.MappingNode):
        value: Any = _read_mapping(node, path, reading)
    else:
        _check_tag(node, path, reading, ("seq",))
        value = [_read_node(each, (*path, index), reading) for index, each in enumerate(node.value)]
    reading.open_nodes.discard(id(node))
    return value


def _check_size(path: KeyPath, reading: _Reading) -> None:
    """Stop at a text that is too large or too deep to be a recipe."""
    reading.num_values += 1
    problem = ""
    if reading.num_values > MAX_VALUES:
        problem = (
            f"more than {MAX_VALUES:,} values, counting what aliases (*) repeat; a recipe has a few dozen"
        )
    if len(path) > MAX_DEPTH:
        problem = _TOO_DEEP
    if problem:
        raise make_error(Mistake(Place(reading.name), "", problem))


def _read_mapping(node: yaml.MappingNode, path: KeyPath, reading: _Reading) -> dict[Any, Any]:
    """Read a mapping; a key given twice is a mistake, and the first one stands."""
    _check_tag(node, path, reading, ("map",))
    values: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            reading.add_mistake(key_node, path, "a key must be text, not a list or mapping")
            continue
        key = _read_scalar(key_node, path, reading)
        here = (*path, key)
        if key in values:
            line = reading.places[here].line
            first = "" if line is None else f" the first is on line {line};"
            reading.add_mistake(key_node, here, f"given twice;{first} remove one")
            continue
        reading.places[here] = reading.find_place(key_node)
        values[key] = _read_node(value_node, here, reading)
    return values


def _check_tag(node: yaml.Node, path: KeyPath, reading: _Reading, known: tuple[str, ...]) -> str:
    """Take the name of the tag; one that would make an object is a mistake."""
    tag = node.tag.removeprefix(_TAG)
    if tag not in known:
        reading.add_mistake(
            node, path, f"tags are not for recipes; found '!{tag.lstrip('!')}'; write a plain value"
        )
    return tag


def _read_scalar(node: yaml.ScalarNode, path: KeyPath, reading: _Reading) -> Any:
    """Read a text, number, boolean or nothing by the core schema."""
    tag = _check_tag(node, path, reading, ("str", "null", "bool", "int", "float"))
    text: str = node.value
    try:
        if tag == "null":
            return None
        if tag == "bool":
            return {"true": True, "false": False}[text.lower()]
        if tag == "int":
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        if tag == "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        text.encode()
    except (KeyError, ValueError):
        kind = {"int": "a whole number", "float": "a number", "bool": "true or false"}.get(tag, "text")
        reading.add_mistake(node, path, f"cannot be read as {kind}; found {show(text)}")
        return None
    return text


def _explain_yaml_error(error: yaml.YAMLError, text: str, reading: _Reading, path: KeyPath) -> Mistake:
    """Say in plain words why a text is not YAML, with the line that it stumbled over."""
    lines = text.splitlines() or [""]
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        index = min(mark.line, len(lines) - 1) if mark else 0
        problem = f"{error.context or ''} {error.problem or ''}".strip()
    else:
        index = text.count("\n", 0, getattr(error, "position", 0))
        problem = str(error).split("\n")[0]
    explained = next((plain for part, plain in _YAML_PROBLEMS if part in problem), problem)
    indentation = lines[index][: len(lines[index]) - len(lines[index].lstrip())]
    if "\t" in indentation:
        explained = _YAML_PROBLEMS[0][1]
    explained = suggest_colon(lines[index]) or explained
    line = None if reading.first_line is None else reading.first_line + index
    found = make_printable(lines[index].strip(" ")[:60])
    return Mistake(Place(reading.name, line), write_key(path), f"not YAML: {explained}; found {found}")
