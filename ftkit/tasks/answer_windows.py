"""Contexts in windows, each behind its question, with the answer's place in tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.errors import ModelError
from ftkit.tasks.answer_spans import Answer, read_answers
from ftkit.tasks.batching import in_batches
from ftkit.tasks.lengths import report_too_long
from ftkit.tasks.padding import IGNORED
from ftkit.tasks.protocol import Encoding, Reject, Row
from ftkit.tasks.tokenizing import Tokens, tokenize, tokenize_ahead
from ftkit.tasks.windows import SpecialTokens, cut_windows, find_special_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode(
    rows: Iterable[tuple[int, Row]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    reject: Reject,
) -> Iterator[dict[str, Any]]:
    """Turn rows into windows over the context, each behind the whole question.

    `labels` are the positions of the answer's first and last token; in a window that does not hold
    all of the answer both are `null_place`, the position that stands for "no answer here". A row whose
    answer no window holds whole is predicted, but not learned from. `starts` and `ends` are the
    characters of the window's context tokens, which begin at `context_place`.
    """
    special = _find_special_tokens(tokenizer)
    types = _probe_types(tokenizer, special)
    encoded = tokenize_ahead(in_batches(rows, 128), lambda batch: _tokenize(batch, tokenizer))
    for batch, (questions, contexts) in encoded:
        columns = zip(batch, questions.ids, contexts.ids, contexts.offsets, strict=True)
        for (index, row), question, context, offsets in columns:
            asked = _cut_question(index, question, special, encoding, reject)
            num_tokens = len(asked) + len(context) + special.number
            if num_tokens > encoding.max_tokens:
                report_too_long(reject, index, num_tokens, encoding)
                if encoding.too_long != "split":
                    continue
            answers = read_answers(row) if encoding.labelled else None
            null = 0 if tokenizer.cls_token_id in special.before[:1] else -1
            windows = list(_make_windows(asked, context, offsets, answers, special, encoding, null))
            if answers and not any(example["labels"][0] != example["null_place"] for example in windows):
                reject(index, "answer:in_no_window", f"{len(answers[0].text)} characters")
                windows = [{**example, "labels": [IGNORED, IGNORED]} for example in windows]
            for example in windows:
                kinds = _make_types(types, special, len(asked), len(example["starts"]))
                yield {"row": index, **example, **({"token_type_ids": kinds} if kinds else {})}


def _tokenize(batch: Sequence[tuple[int, Row]], tokenizer: PreTrainedTokenizerBase) -> tuple[Tokens, Tokens]:
    """Tokenize questions, and contexts with the place of each token."""
    questions = tokenize(tokenizer, [row["question"] for _, row in batch], add_special_tokens=False)
    contexts = [row["context"] for _, row in batch]
    return questions, tokenize(tokenizer, contexts, add_special_tokens=False, with_offsets=True)


def _find_special_tokens(tokenizer: PreTrainedTokenizerBase) -> SpecialTokens:
    """Find what stands around question and context; a tokenizer of a decoder gets a line break and an end."""
    if not tokenizer.is_fast:
        raise ModelError("question-answering needs a fast tokenizer, which knows where each token begins")
    special = find_special_tokens(tokenizer, pair=True)
    between = special.between or tokenizer("\n", add_special_tokens=False)["input_ids"]
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.pad_token_id
    return SpecialTokens(special.before, between, special.after or [end])


def _cut_question(
    index: int, question: list[int], special: SpecialTokens, encoding: Encoding, reject: Reject
) -> list[int]:
    """Leave at least half of a window to the context."""
    longest = max(1, encoding.max_tokens // 2 - special.number)
    if len(question) > longest:
        reject(index, "question:truncate", f"{len(question)} tokens, the limit is {longest}")
    return question[:longest]


def _make_windows(
    question: Sequence[int],
    context: Sequence[int],
    offsets: Sequence[tuple[int, int]],
    answers: Sequence[Answer] | None,
    special: SpecialTokens,
    encoding: Encoding,
    null: int,
) -> Iterator[dict[str, Any]]:
    """Cut a context; `null` is what "no answer" points at, the first token (CLS) or the last one (-1).

    Without a CLS it is the last: a decoder's first token has read nothing and knows nothing.
    """
    head = [*special.before, *question, *special.between]
    room = max(1, encoding.max_tokens - len(head) - len(special.after))
    for window in cut_windows([1] * len(context), room, min(encoding.stride, room // 2)):
        ids = [*head, *context[window.start : window.stop], *special.after]
        places = offsets[window.start : window.stop]
        null_place = null % len(ids)
        example = {
            "input_ids": ids,
            "context_place": len(head),
            "null_place": null_place,
            "starts": [start for start, _ in places],
            "ends": [end for _, end in places],
        }
        if answers is not None:
            found = _find_tokens(places, answers[0]) if answers else None
            example["labels"] = (
                [null_place, null_place] if found is None else [len(head) + place for place in found]
            )
        yield example


def _find_tokens(offsets: Sequence[tuple[int, int]], answer: Answer) -> tuple[int, int] | None:
    """Find the first and last token of an answer; None where it is not wholly in these tokens."""
    inside = [
        place
        for place, (start, end) in enumerate(offsets)
        if start < answer.end and answer.start < end and start < end
    ]
    if not inside or offsets[inside[0]][0] > _skip_space(answer) or offsets[inside[-1]][1] < _end(answer):
        return None
    return inside[0], inside[-1]


def _skip_space(answer: Answer) -> int:
    return answer.start + len(answer.text) - len(answer.text.lstrip())


def _end(answer: Answer) -> int:
    return answer.start + len(answer.text.rstrip())


def _probe_types(tokenizer: PreTrainedTokenizerBase, special: SpecialTokens) -> list[int] | None:
    """Return the token types of a pair of one-token texts, with special tokens; None if it has none."""
    probe = tokenizer("1", "2")
    if "token_type_ids" not in probe or len(probe["input_ids"]) != special.number + 2:
        return None
    types: list[int] = probe["token_type_ids"]
    return types


def _make_types(
    types: Sequence[int] | None, special: SpecialTokens, num_question: int, num_context: int
) -> list[int] | None:
    if types is None:
        return None
    first, second = len(special.before), len(special.before) + 1 + len(special.between)
    between, after = types[first + 1 : second], types[second + 1 :]
    question, context = [types[first]] * num_question, [types[second]] * num_context
    return [*types[:first], *question, *between, *context, *after]
