"""Every recipe that ships loads, says how it is run and how it did, and runs."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

import ftkit
from ftkit.data import load_rows
from ftkit.recipe import TASKS, make_json_schema
from ftkit.recipe.yaml_reader import CoreLoader
from ftkit.runs import write_json_lines
from ftkit.tasks import get_task
from ftkit.tasks.encoding import check_settings

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
NAMES = [path.name for path in RECIPES]


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_a_recipe_loads_and_its_task_reads_its_settings(path):
    recipe = ftkit.load_recipe(path)
    check_settings(recipe.task, get_task(recipe.task), recipe.data)
    assert Path(recipe.output_dir).parent == ROOT / "runs"


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_an_editor_finds_nothing_wrong_with_a_recipe(path):
    assert path.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=schema.json\n")
    jsonschema.validate(yaml.load(path.read_text(encoding="utf-8"), CoreLoader), make_json_schema())


@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_a_recipe_is_headed_by_its_command_and_by_its_score_or_that_there_is_none(path):
    header = path.read_text(encoding="utf-8").partition("\ntask:")[0]
    assert f"ftkit finetune recipes/{path.name}" in header
    assert "held-out" in header or "Not measured yet." in header


def test_every_task_has_a_recipe():
    assert {ftkit.load_recipe(path).task for path in RECIPES} == set(TASKS)


@pytest.mark.slow
@pytest.mark.usefixtures("gate")
@pytest.mark.parametrize("path", RECIPES, ids=NAMES)
def test_a_recipe_takes_two_steps(path, tmp_path):
    overrides = ["training.max_steps=2", "training.batch_size=2", "data.test=3", "data.validation=null"]
    recipe = ftkit.load_recipe(path)
    if recipe.data.streaming:  # nothing can be split off
        write_json_lines(tmp_path / "test.jsonl", load_rows(recipe.data.test)[:3])
        overrides[2] = f"data.test={tmp_path / 'test.jsonl'}"
    run = ftkit.finetune(ftkit.load_recipe(path, [*overrides, f"output_dir={tmp_path / 'run'}"]))
    assert run.report["training"]["num_steps"] == 2
    assert {"base", "tuned"} <= run.report["scores"].keys()


@pytest.mark.slow
@pytest.mark.usefixtures("gate")
@pytest.mark.parametrize("task", TASKS)
def test_a_starter_runs_as_it_is_written(task, tmp_path):
    from ftkit.recipe import write_starter

    recipe = ftkit.load_recipe(write_starter(task, tmp_path)[0], ["training.max_steps=2"])
    assert ftkit.finetune(recipe).report["training"]["num_steps"] == 2


def run_notebook(name, folder):
    """Run a notebook with two steps instead of 25 and runs in a folder; returns what it showed."""
    import nbclient
    import nbformat

    path = ROOT / "recipes" / "notebooks" / name
    notebook = nbformat.read(path, as_version=4)
    source = "".join(cell.source for cell in notebook.cells)
    assert "../../runs/" in source
    assert '"max_steps": 25' in source
    for cell in notebook.cells:
        cell.source = cell.source.replace("../../runs", str(folder)).replace(
            '"max_steps": 25', '"max_steps": 2'
        )
    nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    return json.dumps([cell.get("outputs", []) for cell in notebook.cells])


@pytest.mark.slow
def test_the_notebook_of_a_first_run_runs(tmp_path):
    shown = run_notebook("quickstart.ipynb", tmp_path)
    assert "<table>" in shown
    assert "tuned" in shown


@pytest.mark.slow
def test_the_notebook_that_compares_four_runs_runs(tmp_path):
    shown = run_notebook("experiments.ipynb", tmp_path)
    assert "training.learning_rate" in shown
    assert all(name in shown for name in ("slow", "usual", "faster", "me/spam-filter", "report.html"))
    assert len(list(tmp_path.glob("experiments/*/tensorboard"))) == 4
