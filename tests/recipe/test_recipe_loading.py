"""A recipe file becomes a Recipe, or one error with every mistake."""

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from ftkit.errors import FtkitError, RecipeError
from ftkit.recipe import load_recipe, make_recipe

MANY_MISTAKES = """task: text-clasification
model: {base: org/name, trust_remote_code: yes}
data:
  train: train.jsonl
  max_lenght: 512
learning_rate: 1e-4
training:
  learning_rate: 3
  num_train_epochs: 3
  optim: adamw
  epochs: 2
  epochs: 3
  early_stopping_patience: 2
  arguments: {seed: 1}
evaluation:
  every: never
"""


def test_the_shortest_recipe_has_three_lines(read):
    recipe = read()
    assert (recipe.task, recipe.model.base, recipe.training.batch_size) == (
        "text-classification",
        "org/name",
        16,
    )


def test_every_mistake_comes_in_one_error_with_its_line_in_order(refusal):
    lines = refusal(MANY_MISTAKES, whole=True).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["spam.yaml:1", "task"],
        ["spam.yaml:2", "model.trust_remote_code"],
        ["spam.yaml:5", "data.max_lenght"],
        ["spam.yaml:6", "learning_rate"],
        ["spam.yaml:8", "training.learning_rate"],
        ["spam.yaml:9", "training.num_train_epochs"],
        ["spam.yaml:10", "training.optim"],
        ["spam.yaml:12", "training.epochs"],
        ["spam.yaml:13", "training.early_stopping_patience"],
        ["spam.yaml:14", "training.arguments.seed"],
    ]


def test_a_message_says_where_what_and_what_to_do(refusal):
    text = "task: chat\nmodel: a/b\ndata:\n  train: x.jsonl\n\n\n  max_lenght: 9\n"
    assert (
        refusal(text, whole=True) == "spam.yaml:7: data.max_lenght: unknown setting; did you mean max_tokens?"
    )


def test_an_error_is_a_value_error_too(refusal, folder):
    with pytest.raises(ValueError, match="no such recipe"):
        load_recipe("nothing.yaml")
    assert issubclass(RecipeError, FtkitError)


def test_a_missing_recipe_names_the_nearest_file(read, folder):
    read()
    with pytest.raises(RecipeError, match=r"^spm\.yaml: no such recipe; did you mean spam\.yaml\?$"):
        load_recipe("spm.yaml")


def test_a_missing_recipe_in_a_missing_folder_is_one_error(folder):
    with pytest.raises(RecipeError, match="^nowhere/spam.yaml: no such recipe; there is no folder nowhere$"):
        load_recipe("nowhere/spam.yaml")


def test_a_folder_is_no_recipe(folder):
    with pytest.raises(RecipeError, match="is a folder; name a recipe, a YAML file$"):
        load_recipe(folder)
    (folder / "spam.yaml").write_text("task: chat\n")
    with pytest.raises(RecipeError, match="is a folder; name a recipe in it: spam.yaml$"):
        load_recipe(folder)


def test_data_given_as_a_recipe_is_told_where_it_belongs(folder):
    (folder / "train.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
    with pytest.raises(
        RecipeError, match="^train.jsonl: is data, not a recipe; a recipe names it under data$"
    ):
        load_recipe("train.jsonl")


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "~\n"])
def test_an_empty_recipe_says_what_it_needs(refusal, text):
    assert refusal(text, whole=True) == "spam.yaml: empty; a recipe has at least task, model and data"


@pytest.mark.parametrize(
    ("text", "found"), [("- a\n- b\n", "a list of 2"), ("hello\n", "'hello'"), ("3\n", "3")]
)
def test_a_recipe_that_is_no_mapping_says_what_it_is(refusal, text, found):
    message = refusal(text, whole=True)
    assert message == f"spam.yaml: not a recipe; it must be a mapping (task: ..., model: ...); found {found}"


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("task：chat\nmodel：a/b\n", "write ': ', not the full-width '：'"),
        ("task:chat\n", "put a space after the colon"),
        ("task: chat\ntraining:\n  epochs：3\n", "write ': ', not the full-width '：'"),
        ("task: chat\ntraining:\n  epochs:3\n", "put a space after the colon"),
    ],
)
def test_a_colon_that_is_none_is_explained(refusal, text, advice):
    assert advice in refusal(text, whole=True)


def test_a_recipe_in_another_encoding_names_the_line(folder):
    (folder / "gbk.yaml").write_bytes("task: chat\n# 你好\n".encode("gbk"))
    with pytest.raises(
        RecipeError, match=r"^gbk\.yaml:2: not UTF-8; found byte 0xc4; save the file as UTF-8$"
    ):
        load_recipe("gbk.yaml")


def test_a_byte_order_mark_is_no_mistake(folder):
    text = "task: chat\nmodel: a/b\ndata: train.jsonl\n"
    (folder / "bom.yaml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert load_recipe("bom.yaml").task == "chat"


def test_windows_line_ends_keep_the_line_numbers(folder):
    text = "task: chat\r\nmodel: a/b\r\ndata: train.jsonl\r\ncolour: red\r\n"
    (folder / "windows.yaml").write_bytes(text.encode())
    with pytest.raises(RecipeError, match=r"^windows\.yaml:4: colour: unknown setting"):
        load_recipe("windows.yaml")


def test_a_data_file_given_as_recipe_is_refused_by_its_size(folder):
    (folder / "train.txt").write_bytes(b'{"text": "a"}\n' * 80_000)
    with pytest.raises(RecipeError, match="too long for a recipe.*data.train"):
        load_recipe("train.txt")


def test_an_unreadable_recipe_says_why(folder, monkeypatch):
    (folder / "spam.yaml").write_text("task: chat\n")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(RecipeError, match=r"^spam\.yaml: cannot be read: Permission denied$"):
        load_recipe("spam.yaml")


def test_a_recipe_elsewhere_is_named_by_its_whole_path(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "spam.yaml").write_text("task: chat\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe("../spam.yaml")
    assert str(caught.value).startswith(f"{tmp_path / 'spam.yaml'}: model: missing")


def test_missing_keys_say_what_to_add(refusal):
    assert refusal("data: {validation: 10%}\n", whole=True).splitlines() == [
        "spam.yaml: task: missing; add it, such as task: text-classification",
        "spam.yaml: model: missing; add it, such as model: HuggingFaceTB/SmolLM2-135M",
        "spam.yaml:1: data.train: missing; add it, such as train: train.jsonl",
    ]


def test_a_section_with_everything_commented_out_counts_as_absent(read):
    assert read("training:\n  # epochs: 5\nevaluation:\n").training.epochs == 3


def test_a_setting_without_a_value_is_refused(refusal):
    problem = "must be a number; found nothing; leave the line out for the default"
    assert refusal("training:\n  learning_rate:\n") == f"spam.yaml:5: training.learning_rate: {problem}"


def test_null_is_a_value_where_it_means_something(read):
    recipe = read("training: {max_steps: null}\nadapter: null\n")
    assert (recipe.training.max_steps, recipe.adapter) == (None, None)


def test_the_run_folder_is_named_after_the_recipe_and_lies_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "spam.yaml").write_text("task: chat\nmodel: a/b\ndata: x.jsonl\n")
    assert load_recipe("recipes/spam.yaml").output_dir == str(tmp_path / "recipes" / "runs" / "spam")


def test_a_recipe_cannot_be_changed(read):
    recipe = read()
    with pytest.raises(ValidationError, match="frozen"):
        recipe.training.epochs = 2


def test_a_recipe_from_a_notebook_is_checked_alike_without_lines(folder):
    with pytest.raises(RecipeError) as caught:
        make_recipe(
            {"task": "chat", "model": "a/b", "data": "x.jsonl", "training": {"learning_rate": 3}}, folder="."
        )
    assert str(caught.value) == "training.learning_rate: must be below 1; found 3"


def test_a_recipe_from_a_notebook_lists_every_mistake_too(folder):
    with pytest.raises(RecipeError) as caught:
        make_recipe({"task": "chat", "lr": 3, "data": {"train": 1, "max_tokens": 0}}, folder=".")
    assert sorted(line.split(":")[0] for line in str(caught.value).splitlines()) == [
        "data.max_tokens",
        "data.train",
        "lr",
        "model",
    ]


def test_a_notebook_can_give_paths_tuples_enums_and_numpy_numbers(folder):
    import numpy as np
    from transformers import SchedulerType

    recipe = make_recipe(
        {
            "task": "chat",
            "model": Path("here/model"),
            "data": {"train": (Path("a.jsonl"), "b.jsonl")},
            "training": {
                "lr_scheduler_type": SchedulerType.COSINE,
                "learning_rate": np.float64(1e-4),
                "max_steps": np.int64(5),
                "arguments": {"adam_beta1": np.float64(0.8)},
            },
        },
        folder=folder,
    )
    assert recipe.model.base == str(folder / "here" / "model")
    assert recipe.data.train == [str(folder / "a.jsonl"), str(folder / "b.jsonl")]
    assert (recipe.training.lr_scheduler_type, recipe.training.max_steps) == ("cosine", 5)
    assert type(recipe.training.arguments["adam_beta1"]) is float


def test_a_notebook_can_give_sections_of_another_recipe(read, folder):
    recipe = read("training: {epochs: 7}\n")
    again = make_recipe(
        {"task": "chat", "model": recipe.model, "data": recipe.data, "training": recipe.training}, folder="."
    )
    assert again.training == recipe.training


def test_a_recipe_from_a_notebook_is_named_after_its_task(folder):
    recipe = make_recipe({"task": "my_lab.my_task", "model": "a/b", "data": "x.jsonl"}, folder=folder)
    assert recipe.output_dir == str(folder / "runs" / "my_task")


def test_rows_in_memory_are_kept_as_they_are(folder):
    rows = [{"text": "早上好", "label": "ham"}]
    recipe = make_recipe(
        {"task": "chat", "model": "a/b", "data": {"train": rows, "validation": rows}}, folder="."
    )
    assert (recipe.data.train, recipe.data.validation) == (rows, rows)


def test_rows_in_memory_have_a_short_form(folder):
    assert make_recipe({"task": "chat", "model": "a/b", "data": [{"text": "a"}]}, folder=".").data.train == [
        {"text": "a"}
    ]


def test_a_data_set_in_memory_is_kept_as_it_is(folder):
    import datasets

    table = datasets.Dataset.from_list([{"text": "a"}])
    recipe = make_recipe({"task": "chat", "model": "a/b", "data": table}, folder=".")
    assert recipe.data.train is table


def test_a_dict_of_data_sets_is_refused_with_its_names(folder):
    import datasets

    table = datasets.DatasetDict({"train": datasets.Dataset.from_list([{"text": "a"}])})
    with pytest.raises(RecipeError, match=r"^data\.train: must be .* found a mapping \(train\)"):
        make_recipe({"task": "chat", "model": "a/b", "data": {"train": table}}, folder=".")


def test_rows_inside_a_recipe_file_are_refused(refusal):
    message = refusal("task: chat\nmodel: a/b\ndata:\n  train: [{text: a}]\n", whole=True)
    assert message.startswith("spam.yaml:4: data.train: must be a file, glob, hub id or pypi: address")


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{source: b.jsonl}", "a source is a file, or {source: FILE} with a weight or a number of rows"),
        ("{source: b.jsonl, share: 2}", "a source is a file, or {source: FILE} with a weight or a number"),
        ("{source: b.jsonl, weight: 1, rows: 2}", "a source is a file, or {source: FILE} with a weight or a"),
        ("{source: b.jsonl, weight: 0}", "the weight of source 2 must be a number above 0; found 0"),
        ("{source: b.jsonl, weight: -2}", "the weight of source 2 must be a number above 0; found -2"),
        ("{source: b.jsonl, weight: .inf}", "the weight of source 2 must be a number above 0; found inf"),
        ("{source: b.jsonl, weight: 二}", "the weight of source 2 must be a number above 0; found '二'"),
        ("{source: b.jsonl, rows: 10%}", "the rows of source 2 must be a whole number from 1; found '10%'"),
        ("{source: b.jsonl, rows: 0}", "the rows of source 2 must be a whole number from 1; found 0"),
        ("{source: [], weight: 1}", "names no rows; found an empty list"),
    ],
)
def test_a_source_in_a_mixture_has_one_way_to_say_its_part(refusal, entry, problem):
    message = refusal(f"task: chat\nmodel: a/b\ndata:\n  train: [a.jsonl, {entry}]\n", whole=True)
    assert message.startswith("spam.yaml:4: data.train: ")
    assert problem in message


def test_importing_the_room_loads_nothing_heavy():
    heavy = "torch transformers datasets accelerate peft evaluate sklearn sacrebleu pyarrow pandas numpy"
    code = f"import sys, ftkit.recipe; print([name for name in '{heavy}'.split() if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
