"""Help, wrong usage, starters and the schema."""

import json
import re

import pytest

from ftkit.recipe import TASKS, load_recipe, make_json_schema

COMMANDS = ("finetune", "eval", "predict", "generate", "init", "schema")


def test_help_shows_every_command_with_its_whole_sentence(run):
    result = run("--help")
    assert (result.code, result.err) == (0, "")
    for command in COMMANDS:
        assert re.search(rf"^  {command} .*\w\.$", result.out, re.MULTILINE), result.out
    assert "..." not in result.out.replace("[ARGS]...", "")
    assert run("-h").out == result.out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_short_and_fits_the_terminal(run, command):
    result = run(command, "--help")
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    assert lines[0].startswith(f"Usage: ftkit {command} ")
    assert len(lines) < 30
    assert max(map(len, lines)) <= 80


def test_the_help_of_init_names_every_task(run):
    assert all(task in run("init", "--help").out for task in TASKS)


def test_ftkit_alone_shows_the_help_and_counts_as_wrong_usage(run):
    result = run()
    assert result.code == 2
    assert "Usage: ftkit" in result.out + result.err


def test_the_version_is_one_line(run):
    from ftkit import __version__

    result = run("--version")
    assert (result.code, result.out, result.err) == (0, f"ftkit {__version__}\n", "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["fintune", "recipe.yaml"], r"No such command 'fintune'. Did you mean 'finetune'\?"),
        (["finetune"], r"Missing argument 'RECIPE'."),
        (["finetune", "recipe.yaml", "--frsh"], r"No such option.* --frsh.*--fresh.*"),
        (["predict", "run"], r"Missing option '--data'."),
        (["generate", "run"], r"Missing argument 'PROMPT'."),
        (["generate", "run", "x", "--max-new-tokens", "0"], r"Invalid value for '--max-new-tokens': .*1.*"),
        (["generate", "run", "x", "--top-k", "many"], r"Invalid value for '--top-k': .*"),
        (["init"], r"Missing argument 'TASK'."),
        (["schema", "more"], r"Got unexpected extra argument.*more.*"),
        (["eval"], r".*give the folder of a run, or .*; missing: --model, --task, --data"),
        (["eval", "--model", "m", "--task", "chat"], r".*; missing: --data"),
        (["eval", "run", "--task", "chat"], r".*a run brings its own model and task; take --task or run out"),
        (["eval", "run", "--model", "m"], r".*; take --model or run out"),
    ],
)
def test_wrong_usage_is_one_message_and_exit_code_2(run, words, message):
    result = run(*words)
    assert (result.code, result.out) == (2, "")
    usage, _, error = result.err.partition("Error: ")
    assert re.fullmatch(r"Usage: ftkit .*\nTry 'ftkit[\w ]* -h' for help.\n\n", usage)
    assert re.fullmatch(message, error.rstrip("\n")), error


@pytest.mark.parametrize("task", TASKS)
def test_init_writes_a_recipe_that_loads_and_says_how_to_run_it(run, here, task):
    result = run("init", task, "--folder", "new")
    assert (result.code, result.out) == (0, f"ftkit finetune new/{task}.yaml\n")
    written = re.findall(r"^wrote (.*)$", result.err, re.MULTILINE)
    assert sorted(written) == sorted(str(path.relative_to(here)) for path in (here / "new").iterdir())
    recipe = load_recipe(here / "new" / f"{task}.yaml")
    assert recipe.task == task
    assert (here / "new" / recipe.data.train).is_file()


def test_init_overwrites_nothing(run, here):
    (here / "chat.yaml").write_text("mine")
    before = {path: path.read_bytes() for path in here.iterdir()}
    run("init", "chat").check_error(r"\.: chat\.yaml would be overwritten; remove what is there, or name .*")
    assert {path: path.read_bytes() for path in here.iterdir()} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["chta"], r"task: there is no starter for it; found 'chta'; did you mean chat\?"),
        (["x-ray"], r"task: there is no starter for it; found 'x-ray'; ftkit has text-classification, .*"),
        (
            ["chat", "--folder", "recipe.yaml"],
            r"recipe\.yaml: cannot write a recipe here: .*; name another folder",
        ),
    ],
)
def test_init_says_what_it_cannot_do(run, here, words, message):
    before = sorted(here.iterdir())
    run("init", *words).check_error(message)
    assert sorted(here.iterdir()) == before


def test_the_schema_is_json_on_standard_output(run):
    result = run("schema")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == json.loads(json.dumps(make_json_schema()))
