"""A conversation with a tuned model, line by line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ftkit.errors import RunError

if TYPE_CHECKING:
    from ftkit.inference.run import Run

HELP = "/reset forgets what was said, /system TEXT sets the system's turn, /quit ends"


@dataclass
class Dialogue:
    """What was said so far, and with whom."""

    run: Run
    system: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    """Fields of `GenerationOptions`."""
    turns: list[dict[str, str]] = field(default_factory=list)
    """The user's and the assistant's, without the system's."""

    def reply(self, text: str) -> Iterator[str]:
        """Say something and yield the answer as it comes; an answer left early is kept as far as it came."""
        self.turns.append({"role": "user", "content": text})
        said: list[str] = []
        try:
            for piece in self.run.stream(list_fitting(self), **self.options):
                said.append(piece)
                yield piece
        finally:
            answer = "".join(said)
            if answer:
                self.turns.append({"role": "assistant", "content": answer})
            else:
                self.turns.pop()  # two turns of the user in a row, which many templates refuse


def start_dialogue(run: Run, *, system: str | None = None, **options: Any) -> Dialogue:
    """Begin a conversation with a run's model.

    Raises:
        RunError: the run's task is not chat.
    """
    if run.recipe.task != "chat":
        other = "generate" if run.task.GENERATES else "predict"
        raise RunError(f"{run.folder.path}: the task {run.recipe.task} does not chat; use ftkit {other}")
    return Dialogue(run, system, options)


def list_fitting(dialogue: Dialogue) -> list[dict[str, str]]:
    """Return the messages for the model, without early exchanges where its positions would not do."""
    head = [{"role": "system", "content": dialogue.system}] if dialogue.system else []
    turns = list(dialogue.turns)
    while len(turns) > 1 and not dialogue.run.has_room(head + turns, **dialogue.options):
        turns = turns[2:]
    return head + turns


def hold_dialogue(
    dialogue: Dialogue,
    lines: Iterable[str],
    *,
    write: Callable[[str], None],
    say: Callable[[str], None],
) -> None:
    """Answer line after line until `/quit` or the last one.

    Args:
        dialogue: is carried on.
        lines: what the user types; each one is a turn, or a command such as `/reset`.
        write: gets the answers, piece by piece, and a line break behind each.
        say: gets what is not the model's, a line at a time.
    """
    for line in lines:
        text = line.strip()
        command, _, rest = text.partition(" ")
        if command == "/quit":
            return
        if command == "/reset":
            dialogue.turns.clear()
            say("forgotten")
        elif command == "/system":
            dialogue.system = rest.strip() or None
            say(f"system: {dialogue.system}" if dialogue.system else "no system's turn")
        elif command.startswith("/"):
            say(f"no such command: {command}; {HELP}")
        elif text:
            _answer(dialogue, text, write, say)


def _answer(dialogue: Dialogue, text: str, write: Callable[[str], None], say: Callable[[str], None]) -> None:
    pieces = dialogue.reply(text)
    try:
        for piece in pieces:
            write(piece)
    except KeyboardInterrupt:  # ends the answer, not the conversation
        say("stopped")
    finally:
        pieces.close()  # type: ignore[attr-defined]
        write("\n")
