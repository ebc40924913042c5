"""What a run does with new rows, beside what the pipeline and the command line prove."""

import io
import sys

import pytest
from tiny_models import save_tiny_bert, save_tiny_llama

import ftkit
from ftkit.inference.run import show_progress

MAILS = [{"text": text, "label": label} for text, label in (("free money", "spam"), ("hello", "ham"))]
CHATS = [{"prompt": "cat", "answer": "月光"}, {"prompt": "dog", "answer": "cat"}]


class Terminal(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self):
        return True


def finetune(folder, task, model, rows):
    return ftkit.finetune(
        task=task,
        model=str(model),
        data={"train": rows, "validation": None},
        training={"max_steps": 1, "batch_size": 2},
        output_dir=str(folder / "run"),
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory, shared_cache):
    """A classifier and a chat model of one step each."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FTKIT_CACHE", str(shared_cache))
        return {
            "classifier": finetune(
                folder / "a", "text-classification", save_tiny_bert(folder / "bert"), MAILS
            ),
            "chat": finetune(folder / "b", "chat", save_tiny_llama(folder / "llama"), CHATS),
        }


@pytest.mark.parametrize("kind", ["classifier", "chat"])
def test_a_terminal_shows_how_many_rows_are_done(runs, kind, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    runs[kind].predict(["the cat sat", "hello", "free money"])
    assert "predicting: 100%" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()


@pytest.mark.parametrize("kind", ["classifier", "chat"])
def test_elsewhere_there_is_no_bar(runs, kind, capfd):
    runs[kind].predict(["the cat sat"])
    assert "predicting" not in capfd.readouterr().err


def test_the_bar_ends_with_what_it_was_told(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with show_progress(4) as advance:
        advance(1)
    assert "1/4" in terminal.getvalue()


@pytest.mark.parametrize("kind", ["classifier", "chat"])
def test_a_path_a_text_and_rows_are_all_read(runs, kind, tmp_path):
    column = "text" if kind == "classifier" else "prompt"
    (tmp_path / "new.csv").write_text(f"{column}\nthe cat sat\n", encoding="utf-8")
    found = runs[kind].predict(["the cat sat"])
    assert runs[kind].predict(tmp_path / "new.csv") == found
    assert runs[kind].predict([{column: "the cat sat"}]) == found


def test_predictions_are_written_too(runs, tmp_path):
    found = runs["chat"].predict(["猫"], output=tmp_path / "texts.csv")
    assert (tmp_path / "texts.csv").read_text(encoding="utf-8").splitlines()[0] == ",".join(found[0])
