"""A folder with recipes, and short ways to read them or to see how they are refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ftkit.errors import RecipeError
from ftkit.recipe import Recipe, load_recipe

SHORTEST = "task: text-classification\nmodel: org/name\ndata: train.jsonl\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def read(folder: Path) -> Callable[..., Recipe]:
    """Write a text (after the shortest recipe, unless whole) to spam.yaml and load it."""

    def write_and_load(text: str = "", *overrides: str, whole: bool = False) -> Recipe:
        (folder / "spam.yaml").write_text(text if whole else SHORTEST + text, encoding="utf-8")
        return load_recipe("spam.yaml", overrides)

    return write_and_load


@pytest.fixture
def refusal(read: Callable[..., Recipe]) -> Callable[..., str]:
    """Load a text that must be refused, and give the message."""

    def load_and_catch(text: str = "", *overrides: str, whole: bool = False) -> str:
        with pytest.raises(RecipeError) as caught:
            read(text, *overrides, whole=whole)
        return str(caught.value)

    return load_and_catch
