"""What is wrong with a recipe, and where: the pieces that one error is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ftkit.errors import RecipeError
from ftkit.recipe.values import make_printable

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """Where a setting was written: a file and its line, or the command line."""

    name: str
    line: int | None = None

    def __str__(self) -> str:
        return self.name if self.line is None else f"{self.name}:{self.line}"


COMMAND_LINE = Place("command line")


@dataclass(frozen=True)
class Mistake:
    """One thing that is wrong: `where: key: what, what was found, what to do`."""

    place: Place | None
    key: str
    problem: str

    def __str__(self) -> str:
        return ": ".join(str(part) for part in (self.place, self.key, self.problem) if part)


@dataclass(frozen=True)
class Layer:
    """Settings as one file (or one word of the command line) gives them, and where each was written."""

    values: dict[str, Any]
    places: Mapping[KeyPath, Place] = field(default_factory=dict)
    mistakes: tuple[Mistake, ...] = ()

    def find_place(self, path: KeyPath) -> Place | None:
        """Find where a setting, or else the innermost group that holds it, was written."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return None


def write_key(path: KeyPath) -> str:
    """Write the way to a setting as people do: `data.train[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) and text else f".{part}" if text else str(part)
    return make_printable(text)


def make_error(*mistakes: Mistake) -> RecipeError:
    """Make one error that lists all mistakes: by file, then by line, those of the command line last."""

    def order(mistake: Mistake) -> tuple[bool, str, int]:
        place = mistake.place or Place("")
        return place == COMMAND_LINE, place.name, place.line or 0

    return RecipeError("\n".join(dict.fromkeys(str(each) for each in sorted(mistakes, key=order))))
