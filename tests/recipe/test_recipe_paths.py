"""A relative path is relative to the recipe that names it; what is no path is left alone."""

import glob
import os
from pathlib import Path

import pytest

from ftkit.recipe import make_recipe
from ftkit.recipe.paths import make_absolute, names_path, show_path


@pytest.mark.parametrize(
    "text",
    [
        "train.jsonl",
        "data/train.jsonl.gz",
        "DATA.CSV",
        "part-*.csv",
        "part-?.parquet",
        "part-[0-9].txt",
        "./name",
        "../org/name",
        "/somewhere/name",
        "~/name",
        "a/b/c",
        "model.gguf",
        "weights/model.safetensors",
        "数据/train",
        "my rows",
        "data/",
        "C:\\rows",
        ".hidden",
    ],
)
def test_what_looks_like_a_path_is_one(text, tmp_path):
    assert names_path(text, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "gpt2",
        "org/name",
        "Qwen/Qwen3-0.6B",
        "org/name?config=en&split=train&revision=v1.0",
        "imdb?split=train",
        "org/name/model-Q4_1.gguf",
        "pypi:name==1.0/inside/model",
        "pypi:name==1.0/train.jsonl#sha256=ab",
        "s3://bucket/train.jsonl",
        "https://example.org/train.csv",
        "hf://org/name",
        "10%",
        "0.5 %",
        "10％",
        "",
        " ",
        "memory: 3 rows",
    ],
)
def test_addresses_hub_ids_and_shares_are_no_paths(text, tmp_path):
    assert not names_path(text, tmp_path)


def test_a_bare_name_is_a_path_where_something_lies_there(tmp_path):
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert names_path("org/name", tmp_path)
    assert names_path("org", tmp_path)
    assert not names_path("other/name", tmp_path)


def test_a_name_in_a_folder_that_is_there_is_a_mistyped_path(tmp_path):
    (tmp_path / "data").mkdir()
    assert names_path("data/trian", tmp_path)


def test_a_name_that_no_disk_can_hold_is_not_looked_up(tmp_path):
    assert not names_path("a" * 5000, tmp_path)
    assert names_path("a\0b", tmp_path)


def test_sources_agree_on_what_is_of_the_hub(tmp_path, monkeypatch):
    from ftkit.sources import locate

    monkeypatch.chdir(tmp_path)
    for text in ("gpt2", "org/name", "org/name?split=train", "org/name/model.gguf"):
        assert locate(text).kind == "hub"
        assert not names_path(text, tmp_path)


def test_every_path_of_a_recipe_becomes_absolute(tmp_path):
    (tmp_path / "mine").mkdir()
    mapping = {
        "task": "chat",
        "model": {"base": "mine", "tokenizer": "./tokenizer"},
        "data": {
            "train": ["a.jsonl", "org/name", "pypi:x==1/y.csv"],
            "validation": "v.csv",
            "test": "../t.csv",
        },
        "output_dir": "out",
    }
    recipe = make_recipe(mapping, folder=tmp_path)
    assert (recipe.model.base, recipe.model.tokenizer) == (
        str(tmp_path / "mine"),
        str(tmp_path / "tokenizer"),
    )
    assert recipe.data.train == [str(tmp_path / "a.jsonl"), "org/name", "pypi:x==1/y.csv"]
    assert recipe.data.validation == str(tmp_path / "v.csv")
    assert recipe.data.test == str(tmp_path.parent / "t.csv")
    assert recipe.output_dir == str(tmp_path / "out")


def test_a_run_folder_is_a_path_whatever_it_looks_like(tmp_path):
    recipe = make_recipe(
        {"task": "chat", "model": "a/b", "data": "x.csv", "output_dir": "runs/spam"}, folder=tmp_path
    )
    assert recipe.output_dir == str(tmp_path / "runs" / "spam")


def test_texts_that_are_no_places_are_left_alone(tmp_path):
    recipe = make_recipe(
        {"task": "chat", "model": "a/b", "data": {"train": "x.csv", "columns": {"text": "body.txt"}}},
        folder=tmp_path,
    )
    assert recipe.data.columns == {"text": "body.txt"}


def test_a_home_folder_is_filled_in(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert make_absolute("~/rows.csv", Path("/elsewhere")) == str(tmp_path / "rows.csv")


def test_a_glob_still_finds_its_files_in_a_folder_with_brackets(tmp_path):
    folder = tmp_path / "run [1]"
    folder.mkdir()
    (folder / "a.csv").touch()
    assert glob.glob(make_absolute("*.csv", folder)) == [str(folder / "a.csv")]
    assert make_absolute("a.csv", folder) == str(folder / "a.csv")


def test_a_path_below_the_current_directory_is_shown_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert show_path(tmp_path / "recipes" / "spam.yaml") == os.path.join("recipes", "spam.yaml")
    assert show_path(tmp_path.parent / "spam.yaml") == str(tmp_path.parent / "spam.yaml")
    assert show_path(Path(f"{tmp_path}-other") / "spam.yaml") == f"{tmp_path}-other/spam.yaml"


def test_benchmarks_are_relative_to_the_recipe_too(tmp_path):
    section = {"train": "a.jsonl", "leakage": {"against": ["基准/b.jsonl", "org/name", "s3://x/y.csv"]}}
    recipe = make_recipe({"task": "chat", "model": "m/n", "data": section}, folder=tmp_path)
    against = [str(tmp_path / "基准" / "b.jsonl"), "org/name", "s3://x/y.csv"]
    assert recipe.data.leakage.against == against
    assert recipe.data.train == str(tmp_path / "a.jsonl")


def test_weighted_sources_are_relative_to_the_recipe_too(tmp_path):
    train = ["a.jsonl", {"source": ["b.jsonl", "org/name"], "weight": 2}]
    recipe = make_recipe({"task": "chat", "model": "m/n", "data": train}, folder=tmp_path)
    a, b = (str(tmp_path / name) for name in ("a.jsonl", "b.jsonl"))
    assert recipe.data.train == [a, {"source": [b, "org/name"], "weight": 2}]
