import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_runs import make_report, write_run

import ftkit
from ftkit.errors import RunError
from ftkit.reporting.run_list import RunList, list_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for name, rate, tuned in (("slow", 1e-5, 0.7), ("middle", 1e-4, 0.97), ("fast", 1e-3, 0.45)):
        write_run(folder / "sweep" / name, rate=rate, report=make_report(0.51, tuned))
    write_run(folder / "going", status="running")
    write_run(folder / "中文")
    damaged = write_run(folder / "damaged")
    (damaged / "evaluation" / "report.json").write_text("{")
    return folder


def names(found):
    return [run["run"].rpartition("/")[2] for run in found.runs]


def test_every_run_is_listed_with_settings_and_scores(runs):
    found = list_runs(runs)
    assert sorted(names(found)) == sorted(["slow", "middle", "fast", "going", "中文", "damaged"])
    middle = next(run for run in found.runs if run["run"] == "sweep/middle")
    assert middle["training.learning_rate"] == 1e-4
    assert middle["macro_f1"] == middle["tuned"] == 0.97
    assert middle["base.macro_f1"] == 0.51
    assert middle["verdict"] == "better"
    assert middle["num_tokens"] == 150_000


def test_a_damaged_run_says_so_and_hides_no_other(runs):
    damaged = list_runs(runs, where="status=damaged")
    assert names(damaged) == ["damaged"]
    assert "report.json: damaged, no JSON" in damaged[0]["damage"]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("training.learning_rate<2e-4", ["slow", "middle"]),
        ("training.learning_rate = 1e-4", ["middle"]),
        ("macro_f1>=0.7", ["slow", "middle", "中文"]),
        (["macro_f1>=0.7", "training.learning_rate!=0.0002"], ["slow", "middle"]),
        ("verdict=worse", ["fast"]),
        ("run~SWEEP", ["slow", "middle", "fast"]),
        ("run~中", ["中文"]),
        ("adapter=null", ["slow", "middle", "fast", "going", "中文"]),
        ("verdict<3", []),
        ("status!=finished", ["going", "damaged"]),
    ],
)  # fmt: skip
def test_conditions_keep_the_runs_that_meet_them(runs, where, expected):
    found = names(list_runs(runs, where=where))
    without = [name for name in found if where != "adapter=null" or name != "damaged"]
    assert sorted(without) == sorted(expected)


def test_runs_are_sorted_by_a_score_and_those_without_it_come_last(runs):
    assert names(list_runs(runs, sort="macro_f1"))[:3] == ["fast", "slow", "middle"]
    descending = names(list_runs(runs, sort="macro_f1", descending=True))
    assert descending[-3:-2] == ["fast"]
    assert set(descending[-2:]) == {"going", "damaged"}


def test_what_is_filtered_or_sorted_by_is_shown(runs):
    table = str(list_runs(runs, where="training.learning_rate<1", sort="loss", show=["model.base"]))
    assert {"training.learning_rate", "loss", "model.base"} <= set(table.splitlines()[0].split())
    assert "some/model" in table


def test_a_notebook_shows_a_table_with_names_as_text(tmp_path):
    write_run(tmp_path / "<b>x")
    shown = ftkit.list_runs(tmp_path)._repr_html_()
    assert "<td>&lt;b&gt;x</td>" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"where": "learning_rate<1"}, "no run here has .* did you mean training.learning_rate"),
        ({"sort": "macro_f"}, "did you mean macro_f1"),
        ({"show": ["zzzzzz"]}, "ftkit runs --json prints all names"),
        ({"where": "macro_f1"}, "not a condition; write NAME"),
    ],
)
def test_a_name_or_condition_that_is_none_is_explained(runs, options, message):
    with pytest.raises(RunError, match=message):
        list_runs(runs, **options)


def test_a_folder_without_runs_is_named(tmp_path):
    with pytest.raises(RunError, match="there are no runs in it"):
        list_runs(tmp_path)


@given(st.lists(st.none() | st.floats(-1e9, 1e9) | st.text(max_size=3), max_size=8), st.booleans())
def test_any_values_can_be_sorted(values, descending):
    from ftkit.reporting.run_list import _sort

    ordered = [run["x"] for run in _sort([{"x": value} for value in values], "x", descending=descending)]
    numbers = [value for value in ordered if isinstance(value, float)]
    assert numbers == sorted(numbers, reverse=descending)
    assert all(value is None for value in ordered[len(values) - values.count(None) :])


def test_a_list_of_runs_is_a_sequence():
    found = RunList(({"run": "a"}, {"run": "b"}))
    assert len(found) == 2
    assert [run["run"] for run in found] == ["a", "b"]
