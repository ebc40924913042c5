"""Chat: learn an assistant's answers from conversations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.data import Column
from ftkit.errors import ModelError
from ftkit.tasks.assistant_spans import TurnMarks, find_assistant_spans, find_marks, make_render, mark_tokens
from ftkit.tasks.batching import in_batches
from ftkit.tasks.conversations import Conversation, read_conversation
from ftkit.tasks.next_token import (
    collate,
    compute_loss,
    count_items,
    explain,
    list_scored,
    merge,
    predict,
    predict_trivially,
    present,
)
from ftkit.tasks.padding import IGNORED
from ftkit.tasks.protocol import Encoding, Reject, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "collate",
    "compute_loss",
    "count_items",
    "explain",
    "list_scored",
    "merge",
    "predict",
    "predict_trivially",
    "present",
]

VERSION = 1
SUMMARY = "learn an assistant's answers from conversations"
COLUMNS = (
    Column("messages", "messages", required=False, meaning="the conversation: role and content of each turn"),
    Column("conversations", "list", required=False, meaning="instead of messages: ShareGPT's from and value"),
    Column("prompt", "text", required=False, meaning="instead of messages: what the user says"),
    Column("answer", "text", required=False, meaning="what the assistant answers to the prompt"),
    Column("system", "text", required=False, meaning="the system's turn"),
    Column("history", "list", required=False, meaning="earlier pairs of prompt and answer"),
    Column("tools", "any", required=False, meaning="the functions that the assistant may call"),
)
READS: frozenset[str] = frozenset()
MODEL_CLASS = "AutoModelForCausalLM"
ADAPTER_TYPE = "CAUSAL_LM"
METRIC_KINDS = ("losses",)
METRICS = ("perplexity", "loss")
TOO_LONG = ("truncate", "drop", "error")
GENERATES = True


def check_row(row: Row, encoding: Encoding) -> str | None:
    """Say why a row is no conversation, or return None."""
    try:
        read_conversation(row, labelled=encoding.labelled)
    except ValueError as error:
        return str(error)
    return None


def read_labels(rows: Iterable[Row], label_names: Sequence[str] | Mapping[str, str] | None) -> dict[str, int]:
    """Return nothing: the task has no labels."""
    return {}


def make_prompt(row: Row, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the token ids that an answer continues, shape (tokens,).

    A last turn of the assistant is taken off: it is what is to be predicted.
    """
    conversation = read_conversation(row, labelled=False)
    messages = conversation.messages
    if messages[-1]["role"] == "assistant":
        messages = messages[:-1]
    text = make_render(tokenizer, conversation.tools)(messages, True)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def encode(
    rows: Iterable[tuple[int, Row]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    reject: Reject,
) -> Iterator[dict[str, Any]]:
    """Turn conversations into token ids, with labels on every assistant's turn and its stop token.

    A conversation longer than `max_tokens` loses whole early exchanges (`truncate`), never its last
    answer; where that alone is too long, the row is left out and reported.
    """
    marks = check_template(tokenizer)
    for batch in in_batches(rows, 128):
        kept, rendered = [], []
        for index, row in batch:
            conversation = read_conversation(row)
            try:
                rendered.append(_render(conversation, tokenizer, marks))
                kept.append((index, conversation))
            except Exception as error:  # noqa: BLE001 - a template raises whatever Jinja raises
                reject(index, "template:error", f"the chat template refuses the conversation: {error}")
        examples = _tokenize(rendered, tokenizer)
        for (index, conversation), example in zip(kept, examples, strict=True):
            fitting = _fit(index, conversation, example, tokenizer, marks, encoding, reject)
            if fitting is not None:
                yield {"row": index, **fitting}


def check_template(tokenizer: PreTrainedTokenizerBase) -> TurnMarks:
    """Read the turn marks off the tokenizer's chat template.

    Raises:
        ModelError: there is no template, it fails, or the tokenizer cannot tell where its tokens lie.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            f"{tokenizer.name_or_path}: the tokenizer has no chat template, so turns cannot be written as "
            "the model knows them; take an instruction-tuned base, or a model.tokenizer that has a template"
        )
    if not tokenizer.is_fast:
        raise ModelError("chat needs a fast tokenizer (tokenizer.json): only that tells where a token lies")
    specials = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    try:
        return find_marks(make_render(tokenizer), specials)
    except Exception as error:  # templates raise whatever Jinja raises
        raise ModelError(f"the tokenizer's chat template fails on a plain exchange: {error}") from error


def _render(
    conversation: Conversation, tokenizer: PreTrainedTokenizerBase, marks: TurnMarks
) -> tuple[str, list[tuple[int, int]]]:
    return find_assistant_spans(conversation.messages, make_render(tokenizer, conversation.tools), marks)


def _tokenize(
    rendered: Sequence[tuple[str, list[tuple[int, int]]]], tokenizer: PreTrainedTokenizerBase
) -> list[dict[str, list[int]]]:
    if not rendered:
        return []
    encoded = tokenizer(
        [text for text, _ in rendered],
        add_special_tokens=False,  # the template has written them
        return_offsets_mapping=True,
        return_attention_mask=False,
        verbose=False,
    )
    examples = []
    for ids, offsets, (_, spans) in zip(
        encoded["input_ids"], encoded["offset_mapping"], rendered, strict=True
    ):
        marked = mark_tokens([end for _, end in offsets], spans)
        labels = [token if inside else IGNORED for token, inside in zip(ids, marked, strict=True)]
        examples.append({"input_ids": ids, "labels": labels})
    return examples


def _fit(
    index: int,
    conversation: Conversation,
    example: dict[str, list[int]],
    tokenizer: PreTrainedTokenizerBase,
    marks: TurnMarks,
    encoding: Encoding,
    reject: Reject,
) -> dict[str, list[int]] | None:
    """Return an example that is not too long, or None when the row is left out."""
    num_tokens, num_dropped = len(example["input_ids"]), 0
    while encoding.too_long == "truncate" and len(example["input_ids"]) > encoding.max_tokens:
        shorter = drop_first_exchange(conversation)
        if shorter is None:
            break
        num_dropped += len(conversation.messages) - len(shorter.messages)
        conversation = shorter
        example = _tokenize([_render(conversation, tokenizer, marks)], tokenizer)[0]
    detail = f"{num_tokens} tokens, the limit is {encoding.max_tokens}"
    if len(example["input_ids"]) > encoding.max_tokens:
        reject(
            index,
            "too_long:drop" if encoding.too_long == "truncate" else f"too_long:{encoding.too_long}",
            detail,
        )
        return None
    if num_dropped:
        reject(index, "too_long:truncate", f"{detail}; the first {num_dropped} messages were left out")
    return example


def drop_first_exchange(conversation: Conversation) -> Conversation | None:
    """Leave out the messages from the first user's turn to the next one; None where it is the only one."""
    messages = conversation.messages
    users = [place for place, message in enumerate(messages) if message["role"] == "user"]
    if len(users) < 2:
        return None
    return Conversation(messages[: users[0]] + messages[users[1] :], conversation.tools)
