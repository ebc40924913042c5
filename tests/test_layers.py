"""Imports point down or sideways without a cycle, never up."""

import ast
import graphlib
from pathlib import Path

import pytest

import ftkit

PACKAGE = Path(ftkit.__file__).parent
FLOORS = {
    "errors": 0,
    "recipe": 1,
    "runs": 1,
    "sources": 1,
    "data": 2,
    "models": 2,
    "metrics": 2,
    "tasks": 3,
    "training": 4,
    "checks": 4,
    "evaluation": 4,
    "inference": 4,
    "planning": 4,
    "export": 4,
    "reporting": 4,
    "pipeline": 5,
    "cli": 6,
    "__init__": 6,
    "__main__": 7,
}


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_rooms(path, *, with_types=True):
    """Rooms that a file imports anywhere in it, functions and type checking included."""
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        modules = []
        if isinstance(node, ast.ImportFrom) and node.module:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        for module in modules:
            parts = module.split(".")
            if parts[0] == "ftkit" and len(parts) > 1:
                rooms.add(parts[1] if parts[1] in FLOORS else "__init__")
    return rooms


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_room_has_a_floor():
    assert {room_of(path) for path in FILES} <= FLOORS.keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_import_points_up(path):
    here = room_of(path)
    if here == "__init__":
        return  # the notebook's face names everything below it
    above = {room for room in imported_rooms(path) if FLOORS[room] > FLOORS[here]}
    assert not above


def test_rooms_on_one_floor_have_no_cycle():
    graph = {}
    for path in FILES:
        here = room_of(path)
        sideways = {room for room in imported_rooms(path) if FLOORS[room] == FLOORS[here] and room != here}
        graph.setdefault(here, set()).update(sideways)
    list(graphlib.TopologicalSorter(graph).static_order())


def test_the_walk_sees_an_import(tmp_path):
    file = tmp_path / "rows.py"
    file.write_text("def read():\n    from ftkit.cli.app import main\n", encoding="utf-8")
    assert imported_rooms(file) == {"cli"}
