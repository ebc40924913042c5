"""Chat: learn an assistant's answers from conversations."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.data import Column
from ftkit.data.problems import show
from ftkit.errors import ModelError
from ftkit.tasks import next_token
from ftkit.tasks.assistant_spans import TurnMarks, find_assistant_spans, find_marks, make_render
from ftkit.tasks.batching import in_batches
from ftkit.tasks.conversations import (
    ANSWER_COLUMNS,
    PROMPT_COLUMNS,
    Conversation,
    read_conversation,
)
from ftkit.tasks.lengths import describe_too_long
from ftkit.tasks.next_token import (
    compute_loss,
    count_items,
    explain,
    make_records,
    measure_supervised,
    merge,
    predict_trivially,
    present,
)
from ftkit.tasks.padding import IGNORED, pad_sequences
from ftkit.tasks.protocol import Encoding, Reject, Row
from ftkit.tasks.rendering import render_rows, shorten, tokenize_rendered
from ftkit.tasks.tokenizing import tokenize_ahead

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = [
    "compute_loss",
    "count_items",
    "explain",
    "merge",
    "predict_trivially",
    "present",
]

logger = logging.getLogger(__name__)

VERSION = 3
SUMMARY = "learn an assistant's answers from conversations"
COLUMNS = (
    Column(
        "messages",
        "messages",
        required=False,
        meaning="the conversation: role and content of each turn",
        compared_as="prompt",
    ),
    Column(
        "conversations",
        "list",
        required=False,
        meaning="instead of messages: ShareGPT's from and value",
        compared_as="prompt",
    ),
    Column(
        "prompt",
        "text",
        required=False,
        meaning="instead of messages: what the user says",
        also=(*PROMPT_COLUMNS[1:], "input"),
        compared_as="prompt",
    ),
    Column(
        "answer",
        "text",
        required=False,
        meaning="what the assistant answers to the prompt",
        also=ANSWER_COLUMNS[1:],
    ),
    Column("system", "text", required=False, meaning="the system's turn"),
    Column(
        "history", "list", required=False, meaning="earlier pairs of prompt and answer", compared_as="prompt"
    ),
    Column("tools", "any", required=False, meaning="the functions that the assistant may call"),
    Column("weight", "number", required=False, meaning="how much its loss counts; turns may have one too"),
)
READS = frozenset({"data.train_on", "data.source_prefix"})
MODEL_CLASS = "AutoModelForCausalLM"
ADAPTER_TYPE = "CAUSAL_LM"
METRIC_KINDS = ("losses", "texts", "json_texts", "schemas", "samples")
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


def prepare_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Let the model stop where the template ends an answer: its own end token is often another one."""
    stop = check_template(tokenizer).stop
    config = getattr(model, "generation_config", None)
    if stop is None or config is None:
        return
    named = config.eos_token_id
    ends = [] if named is None else list(named) if isinstance(named, (list, tuple)) else [named]
    stop_id = tokenizer.convert_tokens_to_ids(stop)
    if stop_id not in ends:
        config.eos_token_id = [*ends, stop_id] if ends else stop_id


def make_prompt(row: Row, tokenizer: PreTrainedTokenizerBase, encoding: Encoding) -> list[int]:
    """Return the token ids that an answer continues, shape (tokens,).

    A last turn of the assistant is taken off: it is what is to be predicted.
    """
    conversation = read_conversation(row, labelled=False, prefix=encoding.source_prefix)
    messages = conversation.messages
    if messages[-1]["role"] == "assistant":
        messages = messages[:-1]
    text = make_render(tokenizer, conversation.tools)(messages, True)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def split_answer(row: Row, tokenizer: PreTrainedTokenizerBase, encoding: Encoding) -> tuple[Row, str]:
    """Return the conversation before the assistant's last turn, and that turn's text.

    A conversation that lost early exchanges in `encode` loses them here too. Of a turn without text of
    its own, such as a tool call, the text is what the template makes of it.

    Raises:
        ValueError: there is nothing before that turn.
    """
    marks = check_template(tokenizer)
    conversation = read_conversation(row, prefix=encoding.source_prefix)
    fitted, _ = shorten(conversation, tokenizer, marks, encoding)
    turns = fitted.messages
    last = max(place for place, turn in enumerate(turns) if turn["role"] == "assistant")
    if last == 0:
        raise ValueError("nothing stands before the answer, so no model can be asked for it")
    answer = turns[last]["content"]
    if not isinstance(answer, str) or not answer:
        text, spans = find_assistant_spans(turns[: last + 1], make_render(tokenizer, fitted.tools), marks)
        answer = drop_reasoning(text[slice(*spans[-1])].removesuffix(marks.stop or ""))
    return {"messages": turns[:last], "tools": fitted.tools}, answer.strip()


def list_scored(records: Sequence[Mapping[str, Any]], kind: str) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return summed losses and numbers of tokens, or texts and what they should be, without reasoning."""
    found, wanted = next_token.list_scored(records, kind)
    if kind in ("losses", "samples"):
        return found, wanted
    return [drop_reasoning(text) for text in found], wanted


def drop_reasoning(text: str) -> str:
    """Return what stands behind the model's reasoning; all of a text without."""
    return text.rpartition("</think>")[2].strip()


def encode(
    rows: Iterable[tuple[int, Row]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    reject: Reject,
) -> Iterator[dict[str, Any]]:
    """Turn conversations into token ids, with labels where `train_on` says and on stop tokens of answers.

    A conversation longer than `max_tokens` loses whole early exchanges (`truncate`), never its last
    answer; where that alone is too long, the row is left out and reported. `weights` has one number for
    a whole conversation, or one per token.
    """
    marks = check_template(tokenizer)
    if marks.stop is None:
        logger.warning(
            "the chat template ends an answer with no special token: the model cannot learn to stop"
        )
    batches = in_batches(
        render_rows(rows, tokenizer, marks, encoding, reject), 128, measure=lambda item: len(item[2].text)
    )
    encoded = tokenize_ahead(batches, lambda batch: tokenize_rendered([item[2] for item in batch], tokenizer))
    for batch, examples in encoded:
        for (index, conversation, _), example in zip(batch, examples, strict=True):
            fitting = _fit(index, conversation, example, tokenizer, marks, encoding, reject)
            if fitting is not None:
                yield {"row": index, **fitting}


def collate(
    examples: Sequence[Mapping[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    seed: tuple[int, ...],
) -> dict[str, torch.Tensor]:
    """Pad conversations into one batch, tensors of shape (examples, tokens), with weights if any is not 1."""
    batch = next_token.collate(examples, tokenizer, encoding, seed)
    weights = [example.get("weights", [1.0]) for example in examples]
    if any(each != [1.0] for each in weights):
        import torch

        full = [
            each * len(example["input_ids"]) if len(each) == 1 else each
            for each, example in zip(weights, examples, strict=True)
        ]
        batch["weights"] = pad_sequences(full, 0, dtype=torch.float32)
    return batch


def predict(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], examples: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return each conversation's loss, summed over its supervised tokens, and their number.

    `turns` has the same of each answer in turn; the tokens of an answer stand together, apart from others.
    """
    losses, owners = measure_supervised(model, batch)
    supervised = (batch["labels"][:, 1:] != IGNORED).int()
    begins = supervised.clone()
    begins[:, 1:] *= 1 - supervised[:, :-1]
    turns = (begins.cumsum(1) - 1)[supervised.bool()]
    return make_records(batch, losses, owners, turns)


def check_template(tokenizer: PreTrainedTokenizerBase) -> TurnMarks:
    """Read the turn marks off the tokenizer's chat template.

    Raises:
        ModelError: there is no template, it fails, or the tokenizer cannot tell where its tokens lie.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            f"{tokenizer.name_or_path}: the tokenizer has no chat template, so turns cannot be written as "
            "the model knows them; take an instruction-tuned base, or give a template: model.chat_template"
        )
    if not tokenizer.is_fast:
        raise ModelError("chat needs a fast tokenizer (tokenizer.json): only that tells where a token lies")
    specials = [str(token) for token in tokenizer.added_tokens_decoder.values() if token.special]
    try:
        return find_marks(make_render(tokenizer), specials)
    except Exception as error:  # templates raise whatever Jinja raises
        raise ModelError(f"the tokenizer's chat template fails on a plain exchange: {error}") from error


def _fit(
    index: int,
    conversation: Conversation,
    example: dict[str, list[Any]],
    tokenizer: PreTrainedTokenizerBase,
    marks: TurnMarks,
    encoding: Encoding,
    reject: Reject,
) -> dict[str, list[Any]] | None:
    """Return an example that is not too long, or None when the row is left out."""
    num_tokens = len(example["input_ids"])
    fitted, example = shorten(conversation, tokenizer, marks, encoding, example)
    detail = describe_too_long(num_tokens, encoding.max_tokens)
    if len(example["input_ids"]) > encoding.max_tokens:
        rule = "too_long:drop" if encoding.too_long == "truncate" else f"too_long:{encoding.too_long}"
        reject(index, rule, detail)
        return None
    if example["weights"] == [0.0]:
        reject(index, "weight:drop", "every answer has the weight 0")
        return None
    if fitted is not conversation:
        reject(index, "too_long:truncate", f"{detail}; left out: {_list_left_out(conversation, fitted)}")
    return example


def _list_left_out(whole: Conversation, fitted: Conversation) -> str:
    """Say which messages a conversation lost, by their numbers from 1 and how the first of them begins."""
    kept = {id(message) for message in fitted.messages}
    numbers = [number for number, message in enumerate(whole.messages, 1) if id(message) not in kept]
    first = whole.messages[numbers[0] - 1]
    which = f"message {numbers[0]}" if len(numbers) == 1 else f"messages {numbers[0]} to {numbers[-1]}"
    return f"{which}, from {first['role']}: {show(first['content'])}"
