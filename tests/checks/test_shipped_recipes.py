"""Every recipe that ships is ready, and a check of it takes seconds."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

import ftkit

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", RECIPES, ids=[path.name for path in RECIPES])
def test_a_shipped_recipe_is_ready(path, tmp_path):
    recipe = ftkit.load_recipe(path, [f"output_dir={tmp_path / 'run'}"])
    found = ftkit.check(recipe)
    assert found.select("warning", "error") == []
    assert found.verdict == "ready"


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["quickstart", "summaries"]
)  # a small encoder; the longest rows of a decoder
def test_a_check_takes_less_than_ten_seconds_from_a_warm_cache(name, tmp_path):
    words = ["check", f"recipes/{name}.yaml", f"output_dir={tmp_path / 'run'}"]
    command = [sys.executable, "-m", "ftkit", *words]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=300)
    start = time.perf_counter()
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=100)
    seconds = time.perf_counter() - start
    assert finished.stdout.endswith("verdict: ready\n")
    # The aim is 10 s on an idle machine with two cores; the rest is for whatever else runs here.
    assert seconds < 20
