"""The commands that list tasks and metrics, and the functions behind them."""

import json

import pytest
from typer.testing import CliRunner

import ftkit
from ftkit.metrics import METRICS
from ftkit.recipe import TASKS
from ftkit.reporting.lists import write_metrics, write_tasks


@pytest.fixture
def run(monkeypatch):
    from ftkit.cli.app import load_app

    app = load_app()

    def invoke(*arguments):
        finished = CliRunner().invoke(app, arguments)
        assert finished.exit_code == 0, finished.output
        return finished.stdout

    # the application sets up logging and warnings for its own process
    app.registered_callback, before = None, app.registered_callback
    yield invoke
    app.registered_callback = before


def test_all_tasks_are_listed_with_their_columns(run):
    text = run("tasks")
    for task in ftkit.describe_tasks():
        (paragraph,) = [part for part in text.split("\n\n") if part.startswith(f"{task.name}: ")]
        assert task.summary in paragraph
        for column in task.columns:
            assert f"  {column.name} " in paragraph
            assert column.meaning in paragraph


def test_tasks_as_json_are_those_of_a_notebook(run):
    listed = json.loads(run("tasks", "--json"))
    assert [task["name"] for task in listed] == list(TASKS)
    assert listed[0]["columns"][0] == {
        "name": "text",
        "kind": "text",
        "required": True,
        "meaning": "what is classified",
        "also": [],
        "compared_as": "text",
        "offsets_into": None,
    }


def test_all_metrics_are_listed_with_direction_range_and_unit(run):
    lines = run("metrics").splitlines()
    assert len(lines) == len(METRICS) + 1
    accuracy = next(line for line in lines if line.startswith("accuracy"))
    assert accuracy.split()[1:6] == ["labels", "more", "0", "to", "1"]
    loss = next(line for line in lines if line.startswith("loss"))
    assert loss.split()[1:5] == ["losses", "less", "from", "0"]
    assert "nats per token" in loss
    assert all("the model writes texts" in line for line in lines if line.startswith("rouge"))


def test_metrics_as_json_are_those_of_a_notebook(run):
    listed = json.loads(run("metrics", "--json"))
    assert [metric["name"] for metric in listed] == [info.name for info in ftkit.describe_metrics()]
    assert {"kind", "greater_is_better", "range", "unit", "meaning"} <= listed[0].keys()


def test_an_optional_column_is_marked():
    (text,) = [task for task in ftkit.describe_tasks() if task.name == "text-classification"]
    lines = write_tasks([text]).splitlines()
    assert lines[2].startswith("  text_pair  ")
    assert lines[2].endswith("(optional)")
    assert not lines[1].endswith("(optional)")


def test_columns_of_the_metric_table_are_aligned():
    lines = write_metrics(ftkit.describe_metrics()).splitlines()
    place = lines[0].index("better")
    assert {line[place : place + 4] for line in lines[1:]} == {"more", "less"}
