"""The commands that show runs, in a terminal."""

import json
import shutil

import pytest


@pytest.fixture
def done(here, finished):
    """A finished classifier in the working folder."""
    shutil.copytree(finished / "run", here / "run")
    return here / "run"


def test_finetune_leaves_a_page_and_says_where(run, here):
    result = run("finetune", "recipe.yaml")
    assert "\nreport: run/report.html\n" in result.out
    page = (here / "run" / "report.html").read_text(encoding="utf-8")
    assert "Cannot tell" in page or "than the base" in page or "No change" in page


def test_report_prints_verdict_and_table_and_writes_the_page_anew(run, done):
    (done / "report.html").unlink()
    result = run("report", "run")
    assert result.code == 0
    assert result.out.startswith("text-classification, test: 9 rows\n\n")
    assert "macro_f1 (more is better)" in result.out
    assert result.out.endswith("\n\npage: run/report.html\n")
    assert (done / "report.html").is_file()


def test_report_as_json_is_report_json(run, done):
    result = run("report", "run", "--json")
    assert json.loads(result.out) == json.loads((done / "evaluation" / "report.json").read_text())


def test_report_without_rows_goes_where_it_is_told(run, done, here):
    before = (done / "report.html").read_bytes()
    result = run("report", "run", "--no-rows", "--output", "public.html")
    assert result.out.endswith("page: public.html\n")
    assert "without the text of rows" in (here / "public.html").read_text(encoding="utf-8")
    assert (done / "report.html").read_bytes() == before


def test_report_of_what_is_no_run_is_one_error(run, here):
    run("report", "nothing").check_error(r"nothing: not the folder of a run: there is no such folder; .*")


def test_report_of_an_unfinished_run_is_one_error(run, done):
    info = json.loads((done / "run.json").read_text())
    (done / "run.json").write_text(json.dumps({**info, "status": "running"}))
    run("report", "run").check_error(r"run: the run is not finished \(status: running\); continue it: .*")


def test_report_of_a_damaged_run_is_one_error(run, done):
    (done / "evaluation" / "report.json").write_text("{")
    run("report", "run").check_error(r"run/evaluation/report\.json: damaged, no JSON: .*")


def test_compare_refuses_runs_on_other_rows_and_shows_them_when_told(run, finished, here):
    folders = [finished / "run", finished / "chat_run"]
    run("compare", *folders).check_error(r"compare: the runs were scored on different rows: run on .*")
    result = run("compare", *folders, "--any-rows", "--output", "both.html")
    assert result.out.split()[:2] == ["run", "chat_run"]
    assert result.err == "page: both.html\n"
    assert (here / "both.html").is_file()


def test_compare_needs_two_runs(run, finished):
    run("compare", finished / "run").check_error(r"compare: needs two runs or more; found 1; .*")


def test_compare_as_json(run, finished, here):
    run("finetune", "recipe.yaml", "training.learning_rate=1e-2")
    values = json.loads(run("compare", finished / "run", "run", "--any-rows", "--json").out)
    assert values["differences"]["training.learning_rate"] == [5e-05, 0.01]


def test_runs_lists_what_is_there_sorted_and_filtered(run, finished):
    lines = run("runs", finished).out.splitlines()
    assert lines[0].split()[:3] == ["run", "status", "verdict"]
    assert {line.split()[0] for line in lines[1:]} == {"run", "chat_run"}
    assert len(run("runs", finished, "--where", "task=chat").out.splitlines()) == 2
    listed = json.loads(run("runs", finished, "--sort", "training.batch_size", "--json").out)
    assert [one["training.batch_size"] for one in listed] == [4, 8]


def test_runs_of_a_folder_without_any_is_one_error(run, here):
    (here / "runs").mkdir()
    run("runs").check_error(r"runs: there are no runs in it; name the folder that your runs are in")
    run("runs", "nowhere").check_error(r"nowhere: cannot be searched for runs: there is no such folder; .*")
    run("runs", "--where", "x", "runs").check_error(r"runs: there are no runs in it; .*")


def test_push_shows_what_would_go(run, done):
    result = run("push", "run", "me/spam", "--dry-run")
    assert result.code == 0
    assert "model.safetensors" in result.out
    assert "predictions.jsonl" not in result.out
    assert "predictions.jsonl" in run("push", "run", "me/spam", "--dry-run", "--with-rows").out


def test_push_without_a_network_or_with_a_wrong_name_is_one_error(run, done):
    run("push", "run", "me/spam").check_error(r"push: HF_HUB_OFFLINE is set: nothing goes to the hub; .*")
    run("push", "run", "a/b/c").check_error(r"a/b/c: not a repository's name: .*; write name or org/name")
