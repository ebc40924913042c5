"""Talking with a tuned model, line by line."""

from types import SimpleNamespace

import pytest

from ftkit.errors import RunError
from ftkit.inference import hold_dialogue, start_dialogue


class Echo:
    """A run whose model repeats the last message, one character at a time."""

    def __init__(self, task="chat", room=1000, fails_after=None):
        self.recipe = SimpleNamespace(task=task)
        self.task = SimpleNamespace(GENERATES=task == "causal-lm")
        self.folder = SimpleNamespace(path="runs/x")
        self.room, self.fails_after = room, fails_after
        self.heard, self.options = [], []

    def has_room(self, messages, **_):
        return sum(len(message["content"]) for message in messages) <= self.room

    def stream(self, messages, **options):
        self.heard.append([(turn["role"], turn["content"]) for turn in messages])
        self.options.append(options)
        for number, piece in enumerate(messages[-1]["content"]):
            if number == self.fails_after:
                raise KeyboardInterrupt
            yield piece


def talk(run, *lines, **settings):
    written, said = [], []
    dialogue = start_dialogue(run, **settings)
    hold_dialogue(dialogue, lines, write=written.append, say=said.append)
    return "".join(written), said, dialogue


def test_every_line_is_answered_and_remembered():
    run = Echo()
    written, said, _ = talk(run, "你好\n", "two\n", max_new_tokens=3)
    assert written == "你好\ntwo\n"
    assert said == []
    assert run.heard[1] == [("user", "你好"), ("assistant", "你好"), ("user", "two")]
    assert run.options[0] == {"max_new_tokens": 3}


def test_reset_forgets_what_was_said_but_not_the_system():
    run = Echo()
    _, said, _ = talk(run, "one", "/reset", "two", system="Be brief.")
    assert run.heard[1] == [("system", "Be brief."), ("user", "two")]
    assert said == ["forgotten"]


def test_system_is_set_and_taken_away():
    run = Echo()
    talk(run, "/system Answer in verse.", "one", "/system", "two")
    assert run.heard[0][0] == ("system", "Answer in verse.")
    assert run.heard[1] == [("user", "one"), ("assistant", "one"), ("user", "two")]


def test_quit_ends_and_empty_lines_are_nothing():
    run = Echo()
    assert talk(run, "", "  \n", "one", "/quit", "two")[0] == "one\n"
    assert len(run.heard) == 1


def test_an_unknown_command_is_not_sent_to_the_model():
    run = Echo()
    written, said, _ = talk(run, "/clear")
    assert written == ""
    assert "no such command: /clear" in said[0]
    assert "/reset" in said[0]
    assert run.heard == []


def test_early_exchanges_give_way_where_the_model_has_no_room():
    run = Echo(room=12)
    talk(run, "aaaa", "bbbb", "cccc", system="S")
    assert run.heard[2] == [("system", "S"), ("user", "cccc")]


def test_an_answer_that_is_stopped_stays_as_far_as_it_came():
    run = Echo(fails_after=2)
    written, said, dialogue = talk(run, "hello")
    assert written == "he\n"
    assert said == ["stopped"]
    assert dialogue.turns[-1] == {"role": "assistant", "content": "he"}


def test_a_question_without_an_answer_is_not_remembered():
    run = Echo(fails_after=0)
    assert talk(run, "hello")[2].turns == []


@pytest.mark.parametrize(("task", "other"), [("causal-lm", "generate"), ("text-classification", "predict")])
def test_a_task_that_does_not_chat_names_the_command_that_fits(task, other):
    with pytest.raises(RunError, match=f"does not chat; use ftkit {other}"):
        start_dialogue(Echo(task))
