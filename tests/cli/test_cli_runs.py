"""Run folders: what may be written where, and what can be done with a run, finished or not."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch
from cli_folder import write_rows

from ftkit.tasks import text_classification


def test_a_run_writes_its_report_to_standard_output_and_the_rest_to_standard_error(run, here):
    result = run("finetune", "recipe.yaml")
    assert result.code == 0
    assert result.out.startswith("text-classification, test: 9 rows\n")
    assert result.out.endswith(
        "run:    run\nmodel:  run/model\nreport: run/report.html\nuse it: ftkit predict run --data FILE\n"
    )
    assert "step 1/2" in result.err
    assert "macro_f1" not in result.err
    assert "Warning" not in result.err


def test_a_profile_of_a_run_is_said_and_written(run, here):
    result = run("finetune", "recipe.yaml", "--profile", "1", "training.max_steps=4")
    assert result.code == 0
    assert "where 1 steps went" in result.err
    assert {path.name for path in (here / "run" / "profile").iterdir()} == {"steps.json", "trace.json.gz"}
    report = json.loads((here / "run" / "evaluation" / "report.json").read_text())
    assert report["training"]["profile"]["steps"] == 1
    assert 0 < report["training"]["utilisation"] < 1
    assert "FLOPs utilisation" in (here / "run" / "report.html").read_text()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("train.jsonl", r"\S+/train\.jsonl: is a file, where a folder is to be written; choose another name"),
        (
            "train.jsonl/run",
            r"\S+/train\.jsonl/run: cannot be written: Not a directory; choose another place",
        ),
        ("x" * 300, r"\S+: cannot be written: File name too long; choose another place"),
    ],
)
def test_an_output_dir_that_cannot_be_written_is_refused_before_anything_else(refuse, output, message):
    assert refuse(message, f"output_dir={output}").err.count("\n") == 1


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that even root cannot write into")
def test_an_output_dir_on_a_disk_that_takes_nothing_is_refused(refuse):
    refuse(r"/proc/run: cannot be written: .*; choose another place", "output_dir=/proc/run")


def test_a_folder_with_other_files_is_refused_even_with_fresh(run, here):
    (here / "run").mkdir()
    (here / "run" / "thesis.txt").write_text("years of work")
    for words in ([], ["--fresh"]):
        result = run("finetune", "recipe.yaml", *words)
        result.check_error(r"\S+/run: has files that are not of a run; choose another output_dir")
    assert (here / "run" / "thesis.txt").read_text() == "years of work"


@pytest.fixture
def old_run(here, finished):
    """A finished run in the folder of the recipe."""
    shutil.copytree(finished / "run", here / "run")
    recipe = here / "run" / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(finished), str(here)))
    return here / "run"


def test_a_finished_run_is_kept_unless_told_otherwise(run, old_run):
    run("finetune", "recipe.yaml").check_error(
        r"\S+/run: holds the finished run of this recipe\. Add --fresh to replace it.* another output_dir"
    )
    run("finetune", "recipe.yaml", "training.max_steps=3").check_error(
        r"\S+/run: holds a run of another recipe \(training\.max_steps: 2 -> 3\)\. Add --fresh .*"
    )
    assert run("finetune", "recipe.yaml", "training.max_steps=3", "--fresh").code == 0


def test_a_mistake_does_not_cost_the_run_that_was_to_be_replaced(run, old_run):
    before = sorted(old_run.rglob("*"))
    result = run("finetune", "recipe.yaml", "--fresh", "data.max_tokens=4000")
    result.check_error(r"data\.max_tokens: is 4000, .*")
    assert sorted(old_run.rglob("*")) == before


@pytest.fixture
def no_memory(monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(text_classification, "compute_loss", fail)


def test_out_of_memory_says_what_to_lower_and_by_how_much(run, no_memory):
    result = run("finetune", "recipe.yaml", "training.micro_batch_size=8")
    result.check_error(
        r"out of memory with a micro-batch of 8 examples of up to \d+ tokens; in this order: "
        r"set training\.micro_batch_size: 4 .*; set training\.gradient_checkpointing: true .*"
    )


def test_the_advice_for_too_little_memory_can_be_followed_with_the_same_command(
    run, no_memory, here, monkeypatch
):
    run("finetune", "recipe.yaml")
    assert not (here / "run").exists()
    monkeypatch.undo()
    monkeypatch.chdir(here)
    assert run("finetune", "recipe.yaml", "data.max_tokens=8").code == 0


@pytest.mark.parametrize("words", [["predict", "--data", "test.jsonl"], ["eval"], ["generate", "hello"]])
@pytest.mark.parametrize(
    ("folder", "message"),
    [
        (
            "nothing",
            r"nothing: not the folder of a run: there is no such folder; name the output_dir of a run",
        ),
        (".", r"\.: not the folder of a run: there is no run\.json in it; name the output_dir of a run"),
        ("recipe.yaml", r"recipe\.yaml: not the folder of a run: it is a file; name the output_dir of a run"),
    ],
)
def test_what_is_no_run_is_refused(run, words, folder, message):
    command, *rest = words
    run(command, folder, *rest).check_error(message)


def test_the_run_that_was_meant_is_named(run, finished, monkeypatch):
    monkeypatch.chdir(finished)
    message = r"\.: not the folder .*; runs here: chat_run, run"
    run("predict", ".", "--data", "test.jsonl").check_error(message)


@pytest.mark.parametrize("words", [["predict", "--data", "test.jsonl"], ["eval"], ["generate", "hello"]])
def test_an_unfinished_run_says_how_to_finish_it(run, finished, here, words):
    shutil.copytree(finished / "chat_run", here / "run one")
    shutil.rmtree(here / "run one" / "model")
    info = here / "run one" / "run.json"
    info.write_text(json.dumps({**json.loads(info.read_text()), "status": "running"}))
    command, *rest = words
    data = ["--data", "chat.jsonl"] if command == "eval" else []
    message = (
        r"run one: has no model yet \(status: running\); finish it: ftkit finetune 'run one/recipe\.yaml'"
    )
    run(command, "run one", *rest, *data).check_error(message)


def test_a_damaged_run_file_is_named(run, finished, here):
    shutil.copytree(finished / "run", here / "run")
    (here / "run" / "run.json").write_text("{")
    run("predict", "run", "--data", "test.jsonl").check_error(r"run/run\.json: damaged, no JSON: .*")


@pytest.fixture
def in_finished(finished, monkeypatch):
    """Work in the folder with the finished runs, and write rows elsewhere."""
    monkeypatch.chdir(finished)


def test_predictions_are_lines_of_json_on_standard_output(run, in_finished):
    result = run("predict", "run", "--data", "test.jsonl")
    assert result.code == 0
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert [line["row"] for line in lines] == list(range(9))
    assert {line["prediction"] for line in lines} <= {"ham", "spam"}


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_any_kind_of_table_is_read_and_written_in_its_order(run, in_finished, here, suffix):
    import pyarrow as pa
    import pyarrow.parquet

    mails = [{"text": text} for text in ("free money win now", "cat", "the cat sat on the mat " * 3, "月光")]
    data, output = here / f"new.{suffix}", here / f"found.{suffix}"
    if suffix == "jsonl":
        write_rows(data, mails)
    elif suffix == "csv":
        data.write_text("\n".join(["text", *(mail["text"] for mail in mails)]), encoding="utf-8")
    else:
        pa.parquet.write_table(pa.Table.from_pylist(mails), data)
    assert run("predict", "run", "--data", data, "--output", output).code == 0
    expected = [json.loads(line) for line in run("predict", "run", "--data", data).out.splitlines()]
    assert [line["row"] for line in expected] == [0, 1, 2, 3]
    if suffix == "jsonl":
        found = [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]
    elif suffix == "csv":
        with output.open(encoding="utf-8", newline="") as file:
            found = [
                {**line, "row": int(line["row"]), "probabilities": json.loads(line["probabilities"])}
                for line in csv.DictReader(file)
            ]
    else:
        found = pa.parquet.read_table(output).to_pylist()
    assert found == expected


def test_predictions_go_to_a_file_and_leave_standard_output_empty(run, in_finished, here):
    result = run("predict", "run", "--data", "test.jsonl", "--output", here / "made" / "p.jsonl")
    assert (result.code, result.out) == (0, "")
    assert result.err.endswith(f"9 predictions in {here}/made/p.jsonl\n")
    assert len((here / "made" / "p.jsonl").read_text().splitlines()) == 9


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            "recipe.yaml/p.jsonl",
            r"recipe\.yaml: is a file, where a folder is to be written; choose another name",
        ),
        ("run", r"run: predictions are written by the name's suffix, \.jsonl, .*; choose another name"),
    ],
)
def test_a_file_for_predictions_that_cannot_be_written_is_refused(run, in_finished, output, message):
    run("predict", "run", "--data", "test.jsonl", "--output", output).check_error(message)


def test_a_folder_is_not_taken_for_a_file_of_predictions(run, in_finished, here):
    (here / "folder.csv").mkdir()
    run("predict", "run", "--data", "test.jsonl", "--output", here / "folder.csv").check_error(
        r"\S+/folder\.csv: cannot be written: Is a directory; choose another place"
    )


def test_rows_without_the_column_are_refused_and_rows_without_labels_are_predicted(run, in_finished, here):
    write_rows(here / "odd.jsonl", [{"body": "x"}])
    message = r"\S+/odd\.jsonl: column 'text' .* is missing; the columns are 'body'\. Map it: .*"
    run("predict", "run", "--data", here / "odd.jsonl").check_error(message)
    write_rows(here / "new.jsonl", [{"text": "free money"}])
    assert run("predict", "run", "--data", here / "new.jsonl").code == 0
    message = r"\S+/new\.jsonl: column 'label' .* is missing; the columns are 'text'\. Map it: .*"
    run("eval", "run", "--data", here / "new.jsonl").check_error(message)


def test_rows_that_are_not_there_are_refused(run, in_finished):
    for command in ("predict", "eval"):
        run(command, "run", "--data", "tset.jsonl").check_error(
            r"tset\.jsonl: no such file .* has test\.jsonl.*"
        )


def test_an_evaluation_is_json_when_asked(run, in_finished, here):
    result = run("eval", "run", "--json", "--no-baseline", "--output", here / "scores")
    assert result.code == 0
    assert json.loads(result.out) == json.loads((here / "scores" / "report.json").read_text())
    assert list(json.loads(result.out)["scores"]) == ["tuned"]


def test_an_evaluation_writes_over_nothing(run, in_finished, here):
    (here / "scores").mkdir()
    (here / "scores" / "report.json").write_text("{}")
    result = run("eval", "run", "--output", here / "scores")
    result.check_error(r"\S+/scores: has a report already; choose another folder")
    result = run("eval", "run", "--output", here / "recipe.yaml")
    result.check_error(r"\S+/recipe\.yaml: is a file, where a folder is to be written; choose another name")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--task", "chta", "--data", "chat.jsonl"],
            r"task: unknown task; found 'chta'; did you mean chat\?",
        ),
        (["--task", "chat", "--data", "gone.jsonl"], r"gone\.jsonl: no such file or folder; .*"),
    ],
)
def test_a_model_alone_is_scored_on_what_fits(run, tiny_llama, words, message):
    run("eval", "--model", tiny_llama, *words).check_error(message)


def test_a_model_alone_is_scored(run, tiny_llama):
    result = run("eval", "--model", tiny_llama, "--task", "chat", "--data", "chat.jsonl")
    assert result.code == 0
    assert "perplexity" in result.out


def test_text_is_generated_streamed_or_whole(run, in_finished):
    streamed = run("generate", "chat_run", "月光", "--max-new-tokens", 6)
    whole = run("generate", "chat_run", "月光", "--max-new-tokens", 6, "--no-stream")
    assert (streamed.code, whole.code) == (0, 0)
    assert streamed.out == whole.out
    assert streamed.out.endswith("\n")


def test_a_classifier_does_not_generate(run, in_finished):
    message = r"run: the task text-classification does not generate text; use ftkit predict"
    run("generate", "run", "hello").check_error(message)


def test_a_systems_turn_where_there_are_no_turns_is_refused(run, here, tiny_gpt2):
    write_rows("text.jsonl", [{"text": "hello world, this is a good day"}] * 4)
    words = ["task=causal-lm", f"model={tiny_gpt2}", "data.train=text.jsonl"]
    assert run("finetune", "chat.yaml", *words).code == 0
    message = r"system: the task causal-lm has no system's turn; leave it out"
    run("generate", "chat_run", "hello", "--system", "Be brief.").check_error(message)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--temperature", "0", r"temperature: must be above 0; found 0\.0\. Leave it out for greedy"),
        ("--top-p", "2", r"top_p: must be above 0 and at most 1; found 2\.0"),
        ("--top-k", "0", r"top_k: must be 1 or more; found 0"),
        ("--repetition-penalty", "-1", r"repetition_penalty: must be above 0; found -1\.0"),
    ],
)
def test_a_way_to_generate_that_cannot_be_is_refused_at_once(run, in_finished, option, value, message):
    run("generate", "chat_run", "hello", option, value).check_error(message)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("finetune", "stopped; the same command goes on from the last checkpoint, if there is one\n"),
        ("predict", "stopped\n"),
    ],
)
def test_ctrl_c_outside_of_training_is_one_line(run, monkeypatch, command, message):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("ftkit.recipe.load_recipe", interrupt)
    monkeypatch.setattr("ftkit.inference.open_run", interrupt)
    result = run(command, "recipe.yaml", *(["--data", "x"] if command == "predict" else []))
    assert result == type(result)(130, "", message)


def test_chinese_folders_rows_and_labels_work_throughout(run, here, monkeypatch):
    folder = here / "唐诗 三百首"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write_rows("诗.jsonl", [{"文": "床前明月光", "类": "诗"}, {"文": "你好世界", "类": "话"}] * 8)
    Path("诗.yaml").write_text(
        "extends: ../recipe.yaml\noutput_dir: 结 果\n"
        "data: {train: 诗.jsonl, test: 诗.jsonl, columns: {text: 文, label: 类}}\n",
        encoding="utf-8",
    )
    result = run("finetune", "诗.yaml")
    assert result.code == 0
    assert "run:    结 果\n" in result.out
    assert result.out.endswith("use it: ftkit predict '结 果' --data FILE\n")
    result = run("predict", "结 果", "--data", "诗.jsonl")
    assert set(json.loads(result.out.splitlines()[0])["probabilities"]) == {"诗", "话"}
    assert '"诗"' in result.out
    write_rows("坏.jsonl", [{"文": "床前", "类": "诗"}, {"文": "", "类": "诗"}])
    message = r"坏\.jsonl:2: column 'text' is empty\. Fix this row, or delete it\."
    run("predict", "结 果", "--data", "坏.jsonl").check_error(message)
