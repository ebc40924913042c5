"""`ftkit data cache` in a terminal."""

import json

import pytest

from ftkit.cli.cache_commands import read_bytes
from ftkit.data import load_rows


@pytest.fixture
def filled(cache, here):
    load_rows("train.jsonl")
    return cache


def test_the_cache_is_listed_and_pruned(filled, run):
    listed = run("data", "cache")
    assert listed.code == 0
    assert " rows: " in listed.out
    assert json.loads(run("data", "cache", "--json").out)["entries"][0]["kind"] == "rows"
    assert run("data", "cache", "--older-than", "1").out == "removed 0 entries, 0 B\n"
    assert run("data", "cache", "--keep", "0MB").out.startswith("removed 1 entry, ")
    assert json.loads(run("data", "cache", "--json").out)["entries"] == []


@pytest.mark.parametrize(("text", "number"), [("10GB", 10**10), ("1.5 mb", 1_500_000), ("7B", 7)])
def test_sizes_are_read(text, number):
    assert read_bytes(text) == number


@pytest.mark.parametrize("text", ["much", "10", "-1GB", ""])
def test_what_is_no_size_is_refused(run, text):
    result = run("data", "cache", "--keep", text)
    assert result.code == 2
    assert "write a number and a unit: 500MB, 10GB" in " ".join(result.err.replace("│", " ").split())


def test_a_recipe_is_told_what_its_run_would_find(cache, run):
    missing = run("data", "cache", "recipe.yaml")
    assert missing.code == 0
    assert "made anew: the source is new, or its content has changed" in missing.out
    assert run("finetune", "recipe.yaml").code == 0
    found = json.loads(run("data", "cache", "recipe.yaml", "--json").out)
    assert found["is_complete"]
    changed = run("data", "cache", "recipe.yaml", "data.max_tokens=8").out
    assert "since last time changed: max_tokens: " in changed


def test_pruning_is_not_of_a_recipe(run):
    result = run("data", "cache", "recipe.yaml", "--keep", "1GB")
    assert result.code == 2
    assert "leave RECIPE out" in result.err
