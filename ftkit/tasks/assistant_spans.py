"""Where in a rendered conversation the assistant speaks.

Works for any chat template, with or without generation marks, because it only compares renderings:
an answer begins where the rendering of everything before it, with the generation prompt, ends; that
is exactly where the model begins to write when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Render = Callable[[Sequence[Mapping[str, Any]], bool], str]
"""(messages, whether to add the generation prompt) -> text."""


@dataclass(frozen=True)
class TurnMarks:
    """How a template begins and ends an assistant's turn."""

    opening: str
    """The generation prompt, such as `<|im_start|>assistant` and a line break."""
    stop: str | None
    """The special token behind an answer, such as `<|im_end|>`; None where the template has none."""


def find_marks(render: Render, special_tokens: Sequence[str]) -> TurnMarks:
    """Read a template's marks off a small conversation.

    Args:
        render: the template.
        special_tokens: the tokenizer's special tokens, as text.

    Raises:
        ValueError: the template refuses a plain exchange of user and assistant.
    """
    question, answer = {"role": "user", "content": "A"}, {"role": "assistant", "content": "ftkit-probe"}
    asked, prompted = render([question], False), render([question], True)
    opening = prompted[len(asked) :] if prompted.startswith(asked) else ""
    rest = render([question, answer], False).partition("ftkit-probe")[2]
    places = {token: rest.find(token) for token in special_tokens if token and token in rest}
    # At one place the longest token counts: `<|end|>` must not hide `<|end|>x`.
    stop = min(places, key=lambda token: (places[token], -len(token))) if places else None
    return TurnMarks(opening, stop)


def find_assistant_spans(
    messages: Sequence[Mapping[str, Any]], render: Render, marks: TurnMarks
) -> tuple[str, list[tuple[int, int]]]:
    """Render a conversation and find each answer with its stop token.

    Args:
        messages: the conversation.
        render: the template.
        marks: from `find_marks`.

    Returns:
        The text, and (start, end) in characters for each assistant's turn: from where the model begins
        to write to the end of the stop token, without the white space that a template puts behind it.

    Raises:
        ValueError: the template does not show where an answer begins.
    """
    text = render(messages, False)
    spans: list[tuple[int, int]] = []
    for index, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        after = spans[-1][1] if spans else 0
        start = _find_start(text, render(messages[:index], True) if index else None, marks, after)
        if start is None:
            raise ValueError(
                f"the chat template does not show where message {index + 1} (assistant) begins: its "
                f"generation prompt is {marks.opening!r}, and no answer is written behind that"
            )
        until = render(messages[: index + 1], False)
        limit = len(until) if text.startswith(until) else None
        spans.append((start, _find_end(text, start, limit, marks)))
    return text, spans


def place_tokens(ends: Sequence[int], spans: Sequence[tuple[int, int]]) -> list[int | None]:
    """Say in which span each token lies.

    Args:
        ends: the end of each token in characters, shape (tokens,). A token belongs to where it ends:
            byte-level tokenizers trim the start of a token that begins with white space.
        spans: (start, end) in characters, in order.

    Returns:
        The number of each token's span, shape (tokens,); None for one outside all of them.
    """
    places: list[int | None] = []
    place = 0
    for end in ends:
        while place < len(spans) and end > spans[place][1]:
            place += 1
        places.append(place if place < len(spans) and end > spans[place][0] else None)
    return places


def make_render(tokenizer: PreTrainedTokenizerBase, tools: list[Any] | None = None) -> Render:
    """Bind a tokenizer's own template; its text is what `apply_chat_template` gives at inference."""

    def render(messages: Sequence[Mapping[str, Any]], add_generation_prompt: bool) -> str:
        # The weight of a turn is for the loss, and no template's business.
        shown = [{key: value for key, value in turn.items() if key != "weight"} for turn in messages]
        return str(
            tokenizer.apply_chat_template(
                shown, tools=tools, tokenize=False, add_generation_prompt=add_generation_prompt
            )
        )

    return render


def _find_start(text: str, prompt: str | None, marks: TurnMarks, after: int) -> int | None:
    if prompt is not None and text.startswith(prompt):
        return len(prompt)
    # A template that renders earlier turns otherwise than later ones (dropped reasoning, say).
    place = text.find(marks.opening, after) if marks.opening else -1
    return None if place < 0 else place + len(marks.opening)


def _find_end(text: str, start: int, limit: int | None, marks: TurnMarks) -> int:
    if marks.stop is None:
        return len(text) if limit is None else limit
    place = text.find(marks.stop, start) if limit is None else text.rfind(marks.stop, start, limit)
    if place < 0:
        return len(text) if limit is None else limit
    return place + len(marks.stop)
