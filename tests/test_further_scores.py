"""Further data sets, benchmarks and programs, from a recipe to its report."""

import json

import pytest
from report_contents import check_report
from test_pipeline import chat_recipe, make_chats, make_mails, spam_recipe, write_recipe, write_rows

import ftkit
from ftkit.errors import DataError, MetricError, RecipeError, SourceError

BENCHMARK = """
task: sayings
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""


@pytest.fixture
def chats(tmp_path):
    write_rows(tmp_path / "chat.jsonl", make_chats(40, 1))
    write_rows(tmp_path / "chat_test.jsonl", make_chats(12, 2))
    write_rows(
        tmp_path / "poems.jsonl", [{"body": "床前明月光疑是地上霜" * number} for number in range(2, 30)]
    )
    return tmp_path


@pytest.fixture
def benchmark(tmp_path):
    rows = [
        {"question": f"the cat sat {number}", "choices": ["on the mat", "霜举头望"], "answer": number % 2}
        for number in range(12)
    ]
    write_rows(tmp_path / "sayings.jsonl", rows)
    (tmp_path / "sayings.yaml").write_text(BENCHMARK.format(rows=tmp_path / "sayings.jsonl"))
    return tmp_path / "sayings.yaml"


def run_with(folder, model, evaluation, adapter="none"):
    recipe = chat_recipe(folder, model, adapter)
    return write_recipe(folder, recipe.read_text() + f"evaluation: {json.dumps(evaluation)}\n")


POEMS = {"poems": {"task": "causal-lm", "data": "poems.jsonl", "columns": {"text": "body"}}}


def test_a_chat_model_that_forgets_poems_is_said_to(chats, tiny_llama):
    run = ftkit.finetune(run_with(chats, tiny_llama, {"also": POEMS}))
    check_report(run.report)
    (poems,) = run.report["also"]
    assert (poems["name"], poems["task"], poems["rows"]["number"]) == ("poems", "causal-lm", 28)
    assert list(poems["scores"]) == ["base", "tuned"]
    assert poems["scores"]["base"]["perplexity"] != poems["scores"]["tuned"]["perplexity"]
    verdicts = {one["metric"]: one["verdict"] for one in poems["comparisons"]}
    warned = [
        warning for warning in run.report["warnings"] if warning.startswith("forgot something, on poems")
    ]
    assert len(warned) == sum(verdict == "worse" for verdict in verdicts.values())
    again = ftkit.evaluate(run).report["also"]
    for who in ("base", "tuned"):
        assert again[0]["scores"][who] == pytest.approx(poems["scores"][who], rel=1e-4)
    assert [one["verdict"] for one in again[0]["comparisons"]] == [
        one["verdict"] for one in poems["comparisons"]
    ]


def test_a_further_data_set_is_asked_for_when_a_run_is_evaluated_too(chats, tiny_llama):
    run = ftkit.finetune(chat_recipe(chats, tiny_llama, "none"))
    also = {"poems": {**POEMS["poems"], "data": str(chats / "poems.jsonl"), "max_rows": 5}}
    report = ftkit.evaluate(run, baseline=False, evaluation={"also": also}).report
    check_report(report)
    assert "also poems, 5 rows: perplexity" in str(ftkit.Evaluation(report))
    assert report["also"][0]["rows"]["number"] == 5
    assert report["also"][0]["comparisons"] == []
    first, second = (ftkit.evaluate(run, baseline=False, evaluation={"also": also}).report for _ in range(2))
    assert first["also"] == second["also"]


@pytest.mark.parametrize(
    ("also", "error", "message"),
    [
        ({"x": {"data": "gone.jsonl"}}, SourceError, "gone.jsonl"),
        ({"x": {"data": "poems.jsonl", "task": "causal-lm"}}, DataError, "column 'text' .* is missing"),
        (
            {"x": {"data": "poems.jsonl", "task": "masked-lm"}},
            RecipeError,
            r"evaluation.also.x.task: masked-lm needs a model of AutoModelForMaskedLM, and chat makes one of",
        ),
        (
            {"x": {"dta": "poems.jsonl"}},
            RecipeError,
            r"evaluation.also.x.dta: unknown setting; did you mean data",
        ),
        ({"x": {}}, RecipeError, "evaluation.also.x.data: missing; add it, such as data: general.jsonl"),
    ],
)
def test_a_further_data_set_that_does_not_fit_stops_the_run_before_it_trains(
    chats, tiny_llama, also, error, message
):
    with pytest.raises(error, match=message):
        ftkit.finetune(run_with(chats, tiny_llama, {"also": also}))
    assert not (chats / "run").exists()


def test_labels_of_a_further_data_set_have_to_be_those_of_the_run(tmp_path, tiny_bert):
    write_rows(tmp_path / "train.jsonl", make_mails(60, 1))
    write_rows(tmp_path / "test.jsonl", make_mails(21, 2))
    write_rows(tmp_path / "more.jsonl", [{"text": "x", "label": "eggs"}])
    extra = "evaluation: {also: {more: {data: more.jsonl}}}"
    with pytest.raises(
        DataError, match="more.jsonl:1: column 'label' is 'eggs'; the labels are 'ham', 'spam'"
    ):
        ftkit.finetune(spam_recipe(tmp_path, tiny_bert, extra))
    write_rows(tmp_path / "more.jsonl", make_mails(30, 3))
    report = ftkit.finetune(spam_recipe(tmp_path, tiny_bert, extra)).report
    assert report["also"][0]["verdict"]["verdict"] == "better"


def test_a_benchmark_of_ones_own_is_answered_by_base_and_tuned(chats, tiny_llama, benchmark):
    run = ftkit.finetune(chat_recipe(chats, tiny_llama, "none"))
    report = ftkit.evaluate(run, evaluation={"harness": {"tasks": [str(benchmark)], "limit": 10}}).report
    check_report(report)
    (line,) = report["harness"]["scores"]
    assert (line["task"], line["metric"], line["num_rows"]) == ("sayings", "acc", 10)
    assert line["comparison"]["test"] == "McNemar"
    assert set(line["scores"]) == {"base", "tuned"}
    assert f"benchmark: {line['comparison']['sentence']}" in str(ftkit.Evaluation(report))
    assert line["scores"]["tuned"]["low"] < line["scores"]["tuned"]["score"] < line["scores"]["tuned"]["high"]


def test_a_benchmark_does_not_change_what_is_learned(chats, tiny_llama, benchmark):
    evaluation = {"harness": {"tasks": ["sayings.yaml"]}}
    with_it = ftkit.finetune(run_with(chats, tiny_llama, evaluation), allow=True).report
    assert with_it["harness"]["scores"]
    without = ftkit.finetune(chat_recipe(chats, tiny_llama, "none"), fresh=True).report
    assert without["scores"] == with_it["scores"]


def test_a_benchmark_that_does_not_exist_is_one_clear_error(chats, tiny_llama, benchmark):
    with pytest.raises(RecipeError, match=r"evaluation.harness.tasks: .*gone.yaml: no such file"):
        ftkit.finetune(run_with(chats, tiny_llama, {"harness": {"tasks": ["gone.yaml"]}}), allow=True)
    benchmark.write_text(benchmark.read_text().replace("sayings.jsonl", "gone.jsonl"))
    run = ftkit.finetune(chat_recipe(chats, tiny_llama, "none"))
    before = sorted(path.name for path in run.folder.evaluation.iterdir())
    with pytest.raises(MetricError, match=r"evaluation.harness: .*sayings.yaml cannot be run: "):
        ftkit.evaluate(run, evaluation={"harness": {"tasks": [str(benchmark)]}})
    assert sorted(path.name for path in run.folder.evaluation.iterdir()) == before


@pytest.mark.slow
def test_a_benchmark_that_the_harness_does_not_have_names_the_nearest(chats, tiny_llama):
    with pytest.raises(RecipeError, match=r"no task 'arc_eazy'; did you mean .*arc_easy"):
        ftkit.finetune(run_with(chats, tiny_llama, {"harness": {"tasks": ["arc_eazy"]}}))


def test_an_encoder_has_no_benchmarks(tmp_path, tiny_bert, benchmark):
    write_rows(tmp_path / "train.jsonl", make_mails(60, 1))
    write_rows(tmp_path / "test.jsonl", make_mails(21, 2))
    extra = "evaluation: {harness: {tasks: [sayings.yaml]}}"
    with pytest.raises(RecipeError, match="evaluation.harness: asks models that write text"):
        ftkit.finetune(spam_recipe(tmp_path, tiny_bert, extra), allow=True)


def test_programs_and_json_are_scored_from_a_recipe(chats, tiny_llama):
    rows = [{"prompt": "give x", "answer": '{"x": 1}', "tests": "assert x == 1"}] * 8
    write_rows(chats / "chat_test.jsonl", rows)
    (chats / "answer.schema.json").write_text('{"type": "object"}')
    evaluation = {
        "metrics": ["loss", "json_validity", "json_match", "function_call_match", "pass@1"],
        "every": "never",
        "generation": {"max_new_tokens": 4},
        "json_schema": "answer.schema.json",
        "code": {"allow": True, "time_limit_seconds": 5},
    }
    run = ftkit.finetune(run_with(chats, tiny_llama, evaluation), allow=True)
    check_report(run.report)
    assert run.report["scores"]["tuned"]["pass@1"] == 0
    assert run.report["code"]["outcomes"]["tuned"] == {"failed": 8}
    lines = (run.folder.evaluation / "predictions.jsonl").read_text().splitlines()
    assert "schema" not in json.loads(lines[0])
    assert json.loads(lines[0])["outcomes"] == ["failed"]


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "cannot be read"), ("{", "is no JSON"), ('{"type": "strng"}', "is no JSON schema")],
)
def test_a_schema_that_is_none_stops_the_run_before_it_trains(chats, tiny_llama, text, message):
    if text is not None:
        (chats / "answer.schema.json").write_text(text)
    evaluation = {"metrics": ["json_validity"], "json_schema": "answer.schema.json"}
    with pytest.raises(MetricError, match=f"evaluation.json_schema: .*{message}"):
        ftkit.finetune(run_with(chats, tiny_llama, evaluation), allow=True)
    assert not (chats / "run").exists()


def test_settings_of_an_evaluation_change_on_the_command_line_and_no_others(chats, tiny_llama):
    from typer.testing import CliRunner

    from ftkit.cli.app import load_app

    run = ftkit.finetune(chat_recipe(chats, tiny_llama, "none"))
    words = ["eval", str(run.folder.path), "evaluation.errors=2", "--no-baseline", "--json"]
    shown = CliRunner().invoke(load_app(), words)
    assert len(json.loads(shown.stdout)["errors"]["worst"]) == 2
    refused = CliRunner().invoke(load_app(), ["eval", str(run.folder.path), "training.epochs=2"])
    assert refused.exit_code != 0
    assert "only settings of evaluation can be changed here; found 'training.epochs=2'" in refused.output
    with pytest.raises(RecipeError, match="evaluation.erors: unknown setting; did you mean errors"):
        ftkit.evaluate(run, evaluation={"erors": 2})
    with pytest.raises(RecipeError, match="evaluation.errors: must be at least 0; found -1"):
        ftkit.evaluate(run, evaluation={"errors": -1})
