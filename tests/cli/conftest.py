"""The command line as a user has it: one folder with a recipe and rows, and what a command says."""

import logging
import os
import re
import sys
import warnings
from dataclasses import dataclass

import pytest
from cli_folder import fill_folder

import ftkit
from ftkit.cli import main


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code, and what it wrote."""

    code: int
    out: str
    err: str

    def check_error(self, pattern: str, *, code: int = 1) -> None:
        """Check that the command failed with one message, which matches from its begin to its end."""
        assert self.code == code, self.err
        assert self.out == ""
        assert "Traceback" not in self.err
        before, mark, message = self.err.rpartition("error: ")
        assert mark, self.err
        assert "error: " not in before
        assert re.fullmatch(pattern, message.rstrip("\n"), re.DOTALL), message


@pytest.fixture
def here(tmp_path, tiny_bert, tiny_llama, monkeypatch):
    """The working folder, with `recipe.yaml` (a classifier) and `chat.yaml`."""
    fill_folder(tmp_path, tiny_bert, tiny_llama)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(here, capsys, monkeypatch):
    """Give a command in the working folder, and get what it did."""

    def run_command(*words):
        monkeypatch.setattr(sys, "argv", ["ftkit", *map(str, words)])
        logger, environment = logging.getLogger("ftkit"), dict(os.environ)
        before = (logger.handlers, logger.propagate, logger.level)
        capsys.readouterr()
        try:
            with warnings.catch_warnings(), pytest.raises(SystemExit) as left:
                main()
        finally:
            logger.handlers, logger.propagate, level = before
            logger.setLevel(level)
            os.environ.clear()
            os.environ.update(environment)
        return Result(left.value.code or 0, *capsys.readouterr())

    return run_command


@pytest.fixture
def refuse(run, here):
    """Fine-tune with changes, expect one error, and no run folder after it."""

    def check(pattern, *words, recipe="recipe.yaml"):
        before = sorted(here.rglob("*"))
        result = run("finetune", recipe, *words)
        result.check_error(pattern)
        assert sorted(here.rglob("*")) == before
        return result

    return check


@pytest.fixture(scope="session")
def finished(tmp_path_factory, shared_cache, tiny_bert, tiny_llama):
    """A folder with a finished `run` (a classifier) and `chat_run`, to be read only."""
    folder = tmp_path_factory.mktemp("finished")
    fill_folder(folder, tiny_bert, tiny_llama)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTKIT_CACHE", str(shared_cache))
        for recipe in ("recipe.yaml", "chat.yaml"):
            ftkit.finetune(folder / recipe)
    return folder
