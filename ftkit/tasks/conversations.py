"""Rows of chat files as conversations: lists of messages with `role` and `content`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SHAREGPT_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "observation": "tool",
    "function_response": "tool",
}
"""Names that ShareGPT-like files give to roles -> the names that chat templates know."""

PROMPT_COLUMNS = ("prompt", "instruction", "question", "query")
ANSWER_COLUMNS = ("answer", "output", "response", "completion", "chosen")


@dataclass(frozen=True)
class Conversation:
    """What a chat template is given."""

    messages: list[dict[str, Any]]
    tools: list[Any] | None = None
    weight: float = 1.0
    """How much the loss on it counts, times the `weight` of each message."""


def read_conversation(row: Mapping[str, Any], *, labelled: bool = True, prefix: str = "") -> Conversation:
    """Recognise the shape of a row and turn it into messages.

    Known shapes: `messages` (role and content); ShareGPT's `conversations` (from and value); a prompt
    and an answer under the usual names (`prompt`/`answer`, `instruction`+`input`/`output`,
    `question`/`answer`, ...), with an optional `system` and `history`. `tools` may be a list or JSON text.
    `weight`, of a row or of a message, says how much its loss counts.

    Args:
        row: the row, under the names that the task knows.
        labelled: whether an assistant's turn must be there; False for a prompt to be answered.
        prefix: put before a prompt that stands in a column of its own.

    Raises:
        ValueError: with a text that says what is wrong with the row.
    """
    if row.get("messages") is not None:
        messages = [
            _read_message(message, number) for number, message in _number(row["messages"], "messages")
        ]
    elif row.get("conversations") is not None:
        turns = _number(row["conversations"], "conversations")
        messages = [_read_message(_rename_turn(turn), number) for number, turn in turns]
    else:
        messages = _read_prompt_and_answer(row, labelled=labelled, prefix=prefix)
    if row.get("system") and messages and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": row["system"]})
    if not messages:
        raise ValueError("the conversation has no messages")
    if labelled and not any(message["role"] == "assistant" for message in messages):
        raise ValueError("no message has the role 'assistant', so there is nothing to learn from")
    weight = read_weight(row.get("weight"), "column 'weight'")
    return Conversation(messages, _read_tools(row.get("tools")), weight)


def read_weight(value: Any, where: str) -> float:
    """Read how much something counts; 1 where nothing is said.

    Raises:
        ValueError: it is no number, or below 0.
    """
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ValueError(f"{where} is {value!r}; expected a number from 0")
    return float(value)


def _number(messages: Any, column: str) -> list[tuple[int, Any]]:
    if isinstance(messages, str):
        try:
            messages = json.loads(messages)
        except ValueError as error:
            raise ValueError(
                f"column {column!r} is text that is not JSON; expected a list of messages"
            ) from error
    if not isinstance(messages, list):
        raise ValueError(f"column {column!r} is a {type(messages).__name__}; expected a list of messages")
    return list(enumerate(messages, start=1))


def _rename_turn(turn: Any) -> Any:
    if not isinstance(turn, Mapping) or "from" not in turn:
        return turn
    role = str(turn["from"])
    renamed = {"role": SHAREGPT_ROLES.get(role, role), "content": turn.get("value")}
    return {**renamed, "weight": turn["weight"]} if "weight" in turn else renamed


def _read_message(message: Any, number: int) -> dict[str, Any]:
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise ValueError(
            f"message {number} has no 'role'; found {json.dumps(message, ensure_ascii=False)[:80]}"
        )
    content = message.get("content")
    if content is None and not message.get("tool_calls") and not message.get("reasoning_content"):
        raise ValueError(f"message {number} ({message['role']}) has no 'content'")
    if content is not None and not isinstance(content, (str, list)):
        raise ValueError(f"message {number} ({message['role']}): 'content' is {content!r}; expected text")
    read = {key: value for key, value in message.items() if value is not None}
    read.setdefault("content", "")
    read_weight(message.get("weight"), f"message {number} ({message['role']}): 'weight'")
    if message["role"] == "assistant" and not (
        read["content"] or read.keys() & {"tool_calls", "reasoning_content"}
    ):
        raise ValueError(f"message {number} (assistant) is empty")
    if read.get("tool_calls"):
        read["tool_calls"] = [_read_tool_call(call, number) for call in read["tool_calls"]]
    return read


def _read_tool_call(call: Any, number: int) -> Any:
    """Give templates the arguments as a mapping: most of them write JSON text with quotes twice."""
    if not isinstance(call, Mapping):
        raise ValueError(
            f"message {number} (assistant): a tool call is {call!r}; expected name and arguments"
        )
    function = call.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("arguments"), str):
        return call
    try:
        arguments = json.loads(function["arguments"])
    except ValueError as error:
        raise ValueError(
            f"message {number} (assistant): the arguments of a tool call are not JSON"
        ) from error
    return {**call, "function": {**function, "arguments": arguments}}


def _read_prompt_and_answer(row: Mapping[str, Any], *, labelled: bool, prefix: str) -> list[dict[str, Any]]:
    prompt_column = next((name for name in PROMPT_COLUMNS if row.get(name)), None)
    answer_column = next((name for name in ANSWER_COLUMNS if row.get(name)), None)
    if prompt_column is None or (labelled and answer_column is None):
        raise ValueError(
            "no conversation found: expected 'messages', 'conversations', or a prompt and an answer; "
            f"the columns with a value are {', '.join(repr(name) for name, value in row.items() if value)}. "
            "Map yours: data.columns: {prompt: ..., answer: ...}"
        )
    messages = []
    for past in row.get("history") or []:
        messages += [{"role": "user", "content": past[0]}, {"role": "assistant", "content": past[1]}]
    prompt = row[prompt_column]
    if not isinstance(prompt, str):
        raise ValueError(f"column {prompt_column!r} is a {type(prompt).__name__}; expected text")
    if prompt_column == "instruction" and row.get("input"):
        prompt = f"{prompt}\n\n{row['input']}"
    messages.append({"role": "user", "content": prefix + prompt})
    if answer_column is not None and labelled:
        if not isinstance(row[answer_column], str):
            raise ValueError(
                f"column {answer_column!r} is a {type(row[answer_column]).__name__}; expected text"
            )
        messages.append({"role": "assistant", "content": row[answer_column]})
    return messages


def _read_tools(tools: Any) -> list[Any] | None:
    if isinstance(tools, str):
        try:
            tools = json.loads(tools)
        except ValueError as error:
            raise ValueError("column 'tools' is text that is not JSON") from error
    if tools is not None and not isinstance(tools, list):
        raise ValueError(f"column 'tools' is a {type(tools).__name__}; expected a list")
    return tools or None
