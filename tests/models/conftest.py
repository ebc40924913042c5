"""Sections of a recipe, and copies of the tiny models that a test may damage."""

import json
import shutil
from pathlib import Path

import pytest

from ftkit.recipe import ModelSection


@pytest.fixture
def make_section():
    """Make a model section from a folder and further settings."""

    def make(base=None, **settings):
        return ModelSection(base=None if base is None else str(base), **settings)

    return make


@pytest.fixture
def bert_copy(tiny_bert, tmp_path):
    """The tiny BERT in a folder of its own."""
    return Path(shutil.copytree(tiny_bert, tmp_path / "bert"))


@pytest.fixture
def llama_copy(tiny_llama, tmp_path):
    """The tiny Llama in a folder of its own."""
    return Path(shutil.copytree(tiny_llama, tmp_path / "llama"))


@pytest.fixture
def edit_json():
    """Change keys of a JSON file; None deletes one."""

    def edit(path, **changes):
        content = json.loads(path.read_text(encoding="utf-8")) | changes
        content = {key: value for key, value in content.items() if value is not None}
        path.write_text(json.dumps(content), encoding="utf-8")

    return edit
