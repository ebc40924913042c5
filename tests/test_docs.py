"""The README says what the code does. `python tests/test_docs.py` writes its table of settings anew."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ftkit.recipe import TASKS, make_rules_table, make_settings_table

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
MARKED = r"(<!-- {name} -->\n)(.*?)(<!-- end of {name} -->)"


def read_part(name):
    return re.search(MARKED.format(name=name), README.read_text(encoding="utf-8"), re.DOTALL)[2]


def write_part(name, text):
    old = README.read_text(encoding="utf-8")
    new = re.sub(MARKED.format(name=name), lambda match: match[1] + text + match[3], old, flags=re.DOTALL)
    README.write_text(new, encoding="utf-8")


def make_settings_part():
    return make_settings_table().rstrip("\n") + "\n"


def test_the_table_of_settings_is_the_one_that_the_code_gives():
    assert read_part("settings") == make_settings_part(), "run: python tests/test_docs.py"


def test_the_table_of_rules_is_the_one_that_the_code_gives():
    assert read_part("rules") == make_rules_table(), "run: python tests/test_docs.py"


def read_commands():
    import typer

    from ftkit.cli.app import load_app

    return set(typer.main.get_command(load_app()).commands)


def test_every_command_is_in_the_readme_and_no_other():
    text = README.read_text(encoding="utf-8")
    table = text.partition("## Commands")[2].partition("##")[0]
    assert set(re.findall(r"`ftkit ([a-z]+)\b", table)) == read_commands()
    in_code = re.findall(r"[`/]ftkit ([a-z]+)\b", text)
    assert set(in_code) <= read_commands()


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_in_the_readme(task):
    assert f"`{task}`" in README.read_text(encoding="utf-8")


def test_every_file_that_the_readme_names_is_there():
    text = README.read_text(encoding="utf-8")
    named = re.findall(r"\]\((?!http)([^)#]+)\)", text) + re.findall(r"\brecipes/[\w-]+\.yaml", text)
    known = {"recipes/spam.yaml"}
    assert [name for name in named if name not in known and not (ROOT / name).exists()] == []


def test_help_of_every_command_is_short_and_ends_well():
    for command in sorted(read_commands()):
        code = f"import sys; sys.argv = ['ftkit', '{command}', '--help']; from ftkit.cli import main; main()"
        shown = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
        )
        assert shown.returncode == 0
        assert f"ftkit {command}" in shown.stdout
        assert len(shown.stdout.splitlines()) < 60


if __name__ == "__main__":
    write_part("settings", make_settings_part())
    write_part("rules", make_rules_table())
