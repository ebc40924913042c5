"""A recipe's file names code, and the person who runs it says whether it may run."""

import pytest

from ftkit.errors import RecipeError
from ftkit.recipe import describe_code, load_recipe, make_recipe
from ftkit.recipe.trust import ARGUMENTS

SHORTEST = "model: org/name\ndata: {train: train.jsonl%s}\n"
DOORS = {
    "task: my_lab.my_task\n" + SHORTEST % "": "recipe.yaml:1: task: runs the module 'my_lab.my_task'",
    "task: masked-lm\n" + SHORTEST % ", segmenter: 'os:system'": "recipe.yaml:3: data.segmenter: calls the "
    "function 'os:system'",
    "task: causal-lm\n"
    + SHORTEST % ", clean: [html, {function: 'a:b'}]": "recipe.yaml:3: data.clean[1].function: calls the "
    "function 'a:b'",
    "task: causal-lm\n"
    + SHORTEST % ", clean: [{function: {name: 'a:b'}}]": "recipe.yaml:3: data.clean[0].function: calls the "
    "function 'a:b'",
    "task: causal-lm\nmodel: {base: org/name, trust_remote_code: true}\ndata: a.jsonl\n": "recipe.yaml:2: "
    "model.trust_remote_code: runs code",
    "task: causal-lm\nmodel: {base: org/name, allow_pickle: true}\ndata: a.jsonl\n": "recipe.yaml:2: "
    "model.allow_pickle: loads weights",
    "task: chat\n" + SHORTEST % "" + "evaluation: {code: {allow: true}}\n": "recipe.yaml:4: "
    "evaluation.code.allow: runs the programs",
    "task: chat\n" + SHORTEST % "" + "evaluation: {metrics: [perplexity, them/script]}\n": "recipe.yaml:4: "
    "evaluation.metrics[1]: runs what 'them/script' says",
    "task: chat\n" + SHORTEST % "" + "evaluation: {harness: {tasks: [own.yaml]}}\n": "recipe.yaml:4: "
    "evaluation.harness.tasks[0]: runs what '",
}
DOORS |= {
    f"task: chat\n{SHORTEST % ''}training: {{arguments: {{{name}: x}}}}\n": f"recipe.yaml:4: "
    f"training.arguments.{name}: {does}"
    for name, does in ARGUMENTS.items()
}
SECRETS = {
    "data: 'https://me:pass@example.org/a.jsonl'": "data.train: holds an address with a password",
    "data: {train: [{source: 's3://key:secret@bucket/a.jsonl', weight: 2}]}": "data.train[0].source: "
    "holds an address with a password",
    "data: a.jsonl\ntraining: {arguments: {project: hf_abcdefghijklmnopqrstuvwxyzABCDEFGH}}": "training."
    "arguments.project: holds a token of the hub",
    "data: a.jsonl\nadapter: {method: lora, target_modules: [AKIAABCDEFGHIJKLMNOP]}": "adapter."
    "target_modules[0]: holds an access key of S3",
}


@pytest.mark.parametrize("text", DOORS, ids=lambda text: DOORS[text].split(": ")[1])
def test_code_that_a_file_names_runs_only_when_allowed(folder, text):
    (folder / "recipe.yaml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe("recipe.yaml")
    assert str(caught.value).startswith(DOORS[text])
    assert str(caught.value).endswith("add --allow (allow=True in a notebook)")
    assert len(str(caught.value).splitlines()) == 1
    allowed = load_recipe("recipe.yaml", allow=True)
    assert describe_code(allowed) == [
        line.split(": ", 1)[1].split("; read it")[0] for line in str(caught.value).splitlines()
    ]


def test_code_in_a_file_that_is_extended_is_named_where_it_stands(folder):
    (folder / "below.yaml").write_text("data: {segmenter: 'os:system'}\n")
    (folder / "recipe.yaml").write_text("extends: below.yaml\ntask: masked-lm\nmodel: a/b\ndata: a.jsonl\n")
    with pytest.raises(RecipeError, match="^below.yaml:1: data.segmenter: calls"):
        load_recipe("recipe.yaml")


def test_what_is_typed_on_the_command_line_or_written_in_python_is_the_persons_own(folder):
    (folder / "recipe.yaml").write_text("task: masked-lm\n" + SHORTEST % "")
    recipe = load_recipe("recipe.yaml", ["data.segmenter=jieba:lcut"])
    assert describe_code(recipe) == ["data.segmenter: calls the function 'jieba:lcut'"]
    make_recipe(
        {"task": "masked-lm", "model": "a/b", "data": {"train": "x", "segmenter": "jieba:lcut"}}, folder="."
    )


def test_a_plain_recipe_names_no_code(folder):
    (folder / "recipe.yaml").write_text("task: text-classification\n" + SHORTEST % ", clean: [html]")
    assert describe_code(load_recipe("recipe.yaml")) == []


@pytest.mark.parametrize("text", SECRETS, ids=SECRETS.get)
def test_a_secret_is_refused_before_it_is_stored_and_not_repeated_in_the_message(folder, text):
    (folder / "recipe.yaml").write_text(f"task: chat\nmodel: org/name\n{text}\n")
    with pytest.raises(RecipeError, match="and a recipe is stored with its run; put it into") as caught:
        load_recipe("recipe.yaml")
    assert f": {SECRETS[text]}, and" in str(caught.value)
    assert not any(word in str(caught.value) for word in ("pass@", "secret@", "hf_abc", "AKIA"))


def test_addresses_without_passwords_and_rows_in_memory_are_no_secrets(folder):
    (folder / "recipe.yaml").write_text(
        "task: chat\nmodel: org/name\ndata: ['https://example.org:80/a@b.jsonl', 's3://b/月:光@x.jsonl']\n"
    )
    load_recipe("recipe.yaml")
    rows = [{"messages": [{"role": "user", "content": "ftp://a:b@c"}]}]
    make_recipe({"task": "chat", "model": "org/name", "data": rows}, folder=folder)
    make_recipe({"task": "chat", "model": "org/name", "data": {"train": rows, "test": rows}}, folder=folder)


def test_uploads_are_a_command_of_their_own(refusal):
    assert "ftkit push RUN REPO uploads a run" in refusal("training: {arguments: {push_to_hub: true}}")
