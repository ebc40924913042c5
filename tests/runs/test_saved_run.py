import pytest

from ftkit.errors import RunError
from ftkit.runs import find_runs, read_json_lines, read_saved_run, write_json, write_text

REPORT = dict.fromkeys(("task", "split", "rows", "metrics", "scores", "comparisons", "notes"), "x")


@pytest.fixture
def folder(tmp_path):
    write_json(tmp_path / "run" / "run.json", {"status": "finished"})
    write_text(
        tmp_path / "run" / "recipe.yaml", "task: chat\ntraining: {learning_rate: 0.1, arguments: {}}\n"
    )
    write_text(tmp_path / "run" / "metrics.jsonl", '{"step": 1}\n7\n{"step": 2}\n')
    write_json(tmp_path / "run" / "evaluation" / "report.json", REPORT)
    return tmp_path / "run"


def test_a_run_is_read_back_whole(folder):
    run = read_saved_run(folder)
    assert run.is_finished
    assert run.name == "run"
    assert run.settings == {"task": "chat", "training.learning_rate": 0.1, "training.arguments": {}}
    assert run.report == REPORT
    assert run.log == [{"step": 1}, {"step": 2}]


def test_a_run_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RunError, match="not the folder of a run: there is no such folder"):
        read_saved_run(tmp_path / "no")


def test_an_unfinished_run_is_refused_unless_it_may_be(folder):
    write_json(folder / "run.json", {"status": "running"})
    with pytest.raises(RunError, match=r"not finished \(status: running\); continue it: ftkit finetune"):
        read_saved_run(folder)
    assert not read_saved_run(folder, finished=False).is_finished


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("run.json", "[1]", "damaged: found list"),
        ("run.json", "{", "damaged, no JSON"),
        ("recipe.yaml", "a: [", "damaged, no YAML"),
        ("recipe.yaml", "", "damaged: found no settings"),
    ],
)
def test_a_damaged_file_is_named(folder, file, text, message):
    (folder / file).write_text(text)
    with pytest.raises(RunError, match=f"{file}: {message}"):
        read_saved_run(folder)


def test_a_run_without_its_recipe_is_damaged(folder):
    (folder / "recipe.yaml").unlink()
    with pytest.raises(RunError, match=r"recipe\.yaml: cannot be read: No such file"):
        read_saved_run(folder)


@pytest.mark.parametrize(
    ("report", "message"), [({"task": "chat"}, "split, rows, metrics, scores"), ([], "all missing")]
)
def test_a_report_of_another_kind_is_named(folder, report, message):
    write_json(folder / "evaluation" / "report.json", report)
    with pytest.raises(RunError, match=message):
        _ = read_saved_run(folder).report


def test_a_line_that_is_cut_off_is_named_with_its_number(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n{"a"')
    with pytest.raises(RunError, match=r"x\.jsonl:2: damaged"):
        read_json_lines(tmp_path / "x.jsonl")
    assert read_json_lines(tmp_path / "x.jsonl", most=1) == [{"a": 1}]
    assert read_json_lines(tmp_path / "none.jsonl") == []


def test_runs_are_found_at_any_depth_but_not_within_runs(tmp_path):
    for name in ("b", "a", "deep/er/c", "a/evaluation/run", ".hidden/d"):
        write_json(tmp_path / name / "run.json", {})
    (tmp_path / "loop").symlink_to(tmp_path)
    found = [str(path.relative_to(tmp_path)) for path in find_runs(tmp_path)]
    assert found == ["a", "b", "deep/er/c"]
    assert find_runs(tmp_path / "a") == [tmp_path / "a"]


@pytest.mark.parametrize(("name", "what"), [("no", "there is no such folder"), ("file", "it is a file")])
def test_runs_are_not_sought_where_there_is_no_folder(tmp_path, name, what):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=f"cannot be searched for runs: {what}"):
        find_runs(tmp_path / name)
