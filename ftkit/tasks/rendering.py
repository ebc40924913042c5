"""Conversations as the model gets them: written by the chat template, tokenized, and cut to a length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ftkit.tasks.assistant_spans import TurnMarks, find_assistant_spans, make_render, place_tokens
from ftkit.tasks.conversations import Conversation, read_conversation, read_weight
from ftkit.tasks.padding import IGNORED
from ftkit.tasks.protocol import Encoding, Reject, Row
from ftkit.tasks.tokenizing import tokenize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Rendered:
    """A conversation as text, and where of it the loss is."""

    text: str
    spans: list[tuple[int, int]]
    """Start and end of each assistant's turn, in characters."""
    weights: list[float]
    """How much each of these turns counts; 0 for one without loss."""
    other_weight: float
    """How much everything else counts."""


def render_rows(
    rows: Iterable[tuple[int, Row]],
    tokenizer: PreTrainedTokenizerBase,
    marks: TurnMarks,
    encoding: Encoding,
    reject: Reject,
) -> Iterator[tuple[int, Conversation, Rendered]]:
    """Write conversations as text; those that the template refuses are reported."""
    for index, row in rows:
        conversation = read_conversation(row, prefix=encoding.source_prefix)
        try:
            yield index, conversation, render_conversation(conversation, tokenizer, marks, encoding)
        except Exception as error:  # noqa: BLE001 - a template raises whatever Jinja raises
            reject(index, "template:error", f"the chat template refuses the conversation: {error}")


def render_conversation(
    conversation: Conversation, tokenizer: PreTrainedTokenizerBase, marks: TurnMarks, encoding: Encoding
) -> Rendered:
    """Write a conversation as its template does, and find the turns that carry loss."""
    render = make_render(tokenizer, conversation.tools)
    text, spans = find_assistant_spans(conversation.messages, render, marks)
    weights = [
        conversation.weight * read_weight(turn.get("weight"), "weight")
        for turn in conversation.messages
        if turn["role"] == "assistant"
    ]
    if encoding.train_on == "last":
        weights = [0.0] * (len(weights) - 1) + weights[-1:]
    return Rendered(text, spans, weights, conversation.weight if encoding.train_on == "all" else 0.0)


def tokenize_rendered(
    rendered: Sequence[Rendered], tokenizer: PreTrainedTokenizerBase
) -> list[dict[str, list[Any]]]:
    """Make token ids, labels and weights of conversations that are written out, one example each."""
    texts = [each.text for each in rendered]
    # The template has written the special tokens.
    tokens = tokenize(tokenizer, texts, add_special_tokens=False, with_offsets=True)
    examples: list[dict[str, list[Any]]] = []
    for ids, offsets, each in zip(tokens.ids, tokens.offsets, rendered, strict=True):
        places = place_tokens([end for _, end in offsets], each.spans)
        weights = [each.other_weight if place is None else each.weights[place] for place in places]
        labels = [token if weight else IGNORED for token, weight in zip(ids, weights, strict=True)]
        different = {weight for weight in weights if weight}
        examples.append(
            {
                "input_ids": ids,
                "labels": labels,
                "weights": weights if len(different) > 1 else list(different or {0.0}),
            }
        )
    return examples


def shorten(
    conversation: Conversation,
    tokenizer: PreTrainedTokenizerBase,
    marks: TurnMarks,
    encoding: Encoding,
    example: dict[str, list[Any]] | None = None,
) -> tuple[Conversation, dict[str, list[Any]]]:
    """Leave out early exchanges until the rest fits, where `too_long` is `truncate`.

    Returns:
        What is left of the conversation, and its example.
    """

    def make_example(conversation: Conversation) -> dict[str, list[Any]]:
        """Encode one conversation by itself."""
        rendered = render_conversation(conversation, tokenizer, marks, encoding)
        return tokenize_rendered([rendered], tokenizer)[0]

    example = example or make_example(conversation)
    while encoding.too_long == "truncate" and len(example["input_ids"]) > encoding.max_tokens:
        shorter = drop_first_exchange(conversation)
        if shorter is None:
            break
        conversation = shorter
        example = make_example(conversation)
    return conversation, example


def drop_first_exchange(conversation: Conversation) -> Conversation | None:
    """Leave out the messages from the first user's turn to the next one.

    Returns:
        The rest; None where that turn is the only one, or the last answer is among what would go.
    """
    messages = conversation.messages
    users = [place for place, message in enumerate(messages) if message["role"] == "user"]
    answers = [place for place, message in enumerate(messages) if message["role"] == "assistant"]
    if len(users) < 2 or not answers or answers[-1] < users[1]:
        return None
    return replace(conversation, messages=messages[: users[0]] + messages[users[1] :])
