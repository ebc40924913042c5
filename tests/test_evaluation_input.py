"""What users get wrong when they evaluate: one clear error, and nothing that was there is lost."""

import json
import shutil

import pytest
from report_contents import check_report
from test_pipeline import chat_recipe, make_chats, make_mails, spam_recipe, write_rows

import ftkit
from ftkit.errors import DataError, MetricError, ModelError, RunError, SourceError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluated")


@pytest.fixture(scope="module")
def run(folder, tiny_bert):
    write_rows(folder / "train.jsonl", make_mails(60, 1))
    write_rows(folder / "test.jsonl", make_mails(21, 2))
    return ftkit.finetune(spam_recipe(folder, tiny_bert))


@pytest.fixture(autouse=True)
def _nothing_is_lost(request):
    """What lay in the run before the test lies there after it, unchanged."""
    run = request.getfixturevalue("run")
    kept = {path: path.read_bytes() for path in run.folder.evaluation.rglob("*.json*")}
    yield
    assert {path: path.read_bytes() for path in kept} == kept


def evaluate(run, rows, **settings):
    return ftkit.evaluate(run, data=rows, **settings).report


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"text": "x", "label": "eggs"}\n',
            r"rows.jsonl:1: column 'label' is 'eggs'; the labels are 'ham', 'spam'",
        ),
        (
            '{"body": "x", "label": "ham"}\n',
            r"rows.jsonl: column 'text' .*is missing; the columns are 'body', 'label'",
        ),
        ('{"text": "x"}\n', r"rows.jsonl: column 'label' .*is missing"),
        ("", r"rows.jsonl"),
        ('{"text": "x", "label":\n', r"rows.jsonl:1"),
    ],
    ids=["other labels", "other columns", "no labels", "no rows", "broken"],
)
def test_rows_that_do_not_fit_are_one_error_with_their_place(run, tmp_path, content, message):
    (tmp_path / "rows.jsonl").write_text(content, encoding="utf-8")
    before = sorted(run.folder.evaluation.iterdir())
    with pytest.raises(DataError, match=message) as caught:
        evaluate(run, str(tmp_path / "rows.jsonl"))
    assert len(str(caught.value).splitlines()) < 6
    assert sorted(run.folder.evaluation.iterdir()) == before


def test_a_file_that_is_not_there_is_named(run, tmp_path):
    with pytest.raises(SourceError, match="gone.jsonl"):
        evaluate(run, str(tmp_path / "gone.jsonl"))


def test_one_row_has_scores_without_intervals_that_say_why(run):
    report = evaluate(run, [{"text": "free money", "label": "spam"}])
    check_report(report)
    assert report["intervals"]["tuned"]["accuracy"]["low"] is None
    assert "no interval from so few rows" in report["intervals"]["tuned"]["accuracy"]["sentence"]
    assert report["verdict"]["verdict"] == "cannot tell"
    assert report["verdict"]["sentence"].startswith("cannot tell with this 1 row")


def test_rows_of_one_class_are_scored(run):
    report = evaluate(run, [{"text": f"free money {number}", "label": "spam"} for number in range(9)])
    check_report(report)
    assert [one for one in report["slices"] if one["by"] == "label"] == []
    assert report["confusion"]["counts"]["tuned"][0] == [0, 0]
    assert report["scores"]["tuned"]["accuracy"] == 1


def test_a_metric_that_does_not_fit_is_refused_with_those_that_do(run):
    for name in ("rougeL", "rmse", "entity_f1"):
        with pytest.raises(MetricError, match=f"metric '{name}': it scores .*metrics that fit: accuracy"):
            evaluate(run, [{"text": "x", "label": "ham"}], evaluation={"metrics": [name]})
    with pytest.raises(MetricError, match="acuracy"):
        evaluate(run, [{"text": "x", "label": "ham"}], evaluation={"metrics": ["acuracy"]})


@pytest.fixture
def broken(run, tmp_path):
    """A copy of the run, to be damaged."""
    shutil.copytree(run.folder.path, tmp_path / "run")
    return tmp_path / "run"


def test_a_run_without_its_model_says_so(broken):
    shutil.rmtree(broken / "model")
    with pytest.raises(RunError, match="run: has no model yet"):
        ftkit.evaluate(broken)


def test_a_run_with_a_damaged_model_names_the_file(broken):
    weights = broken / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    with pytest.raises(ModelError, match="model"):
        ftkit.evaluate(broken, baseline=False)
    (broken / "model" / "config.json").unlink()
    with pytest.raises(ModelError, match=r"no saved model here; it has no config.json"):
        ftkit.evaluate(broken, baseline=False)


def test_a_run_whose_base_is_gone_says_so_and_is_scored_without_it(broken, folder):
    recipe = broken / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("tiny-bert", "tiny-gone"))
    with pytest.raises(SourceError, match="tiny-gone"):
        ftkit.evaluate(broken)
    assert list(ftkit.evaluate(broken, baseline=False).report["scores"]) == ["tuned"]


def test_a_run_whose_info_is_damaged_says_so(broken):
    (broken / "run.json").write_text("{")
    with pytest.raises(RunError, match="run.json: damaged, no JSON"):
        ftkit.evaluate(broken)


def test_answers_that_are_all_empty_are_scored_as_that(tmp_path, tiny_llama, monkeypatch):
    from ftkit.models.generation import Written

    write_rows(tmp_path / "chat.jsonl", make_chats(30, 1))
    write_rows(tmp_path / "chat_test.jsonl", make_chats(12, 2))
    chat_run = ftkit.finetune(chat_recipe(tmp_path, tiny_llama, "none"))
    monkeypatch.setattr(
        "ftkit.evaluation.texts.generate_many",
        lambda model, tokenizer, prompts, options: [Written("", True)] * len(prompts),
    )
    names = ["rougeL", "chrf", "bleu", "exact_match", "json_validity", "function_call_match"]
    report = ftkit.evaluate(chat_run, evaluation={"metrics": names}).report
    check_report(report)
    scores = report["scores"]["tuned"]
    assert [scores[name] for name in names[:5]] == [0, 0, 0, 0, 0]
    assert report["errors"]["worst"][0]["outputs"]["tuned"]["output"] == ""
    assert report["verdict"]["verdict"] == "no change"
    json.dumps(report, allow_nan=False)
