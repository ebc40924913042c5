"""Documents cut into blocks, as causal-lm and masked-lm train on them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from ftkit.errors import ModelError
from ftkit.tasks.lengths import report_too_long
from ftkit.tasks.protocol import Encoding, Reject

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Item = TypeVar("Item")


def find_end_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the id of the token that stands behind each document.

    Raises:
        ModelError: the tokenizer has none.
    """
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else tokenizer.sep_token_id
    if end is None:
        raise ModelError("the tokenizer has no end token (eos_token) to put between documents; set one")
    return int(end)


def cut_documents(
    documents: Iterable[tuple[int, list[Item]]], encoding: Encoding, reject: Reject, *, num_reserved: int = 0
) -> Iterator[tuple[int, list[Item]]]:
    """Cut documents as `data.documents` and `data.too_long` say.

    Args:
        documents: row index and tokens of each, in order; the end token is among them.
        encoding: `concatenate`: blocks of `max_tokens` that may hold several documents, of which the
            last is shorter. `whole`: one block per document; a longer one is split, cut, dropped or
            an error.
        reject: called for every document that is too long to stay whole.
        num_reserved: tokens of `max_tokens` to keep free in each block.

    Yields:
        The row that a block begins in, and its tokens.
    """
    room = encoding.max_tokens - num_reserved
    if encoding.documents == "concatenate":
        yield from cut_blocks(documents, room)
        return
    for index, tokens in documents:
        if len(tokens) <= room:
            yield index, tokens
            continue
        report_too_long(reject, index, len(tokens) + num_reserved, encoding)
        if encoding.too_long == "truncate":
            yield index, tokens[:room]
        elif encoding.too_long == "truncate_start":
            yield index, tokens[-room:]
        elif encoding.too_long == "split":
            yield from cut_blocks([(index, tokens)], room)


def cut_blocks(
    documents: Iterable[tuple[int, Sequence[Item]]], max_tokens: int
) -> Iterator[tuple[int, list[Item]]]:
    """Cut a stream of tokens into blocks; every token is in exactly one and none stands alone."""
    tokens: list[Item] = []
    owners: list[int] = []
    for index, document in documents:
        tokens += document
        owners += [index] * len(document)
        start = 0
        while len(tokens) - start >= max_tokens + 2:  # what stays behind has a token and its prediction
            yield owners[start], tokens[start : start + max_tokens]
            start += max_tokens
        del tokens[:start], owners[:start]
    if len(tokens) > max_tokens:
        yield owners[0], tokens[:-2]
        tokens, owners = tokens[-2:], owners[-2:]
    if len(tokens) > 1:
        yield owners[0], tokens
