"""Causal language modelling: predict every next token of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ftkit.data import Column
from ftkit.errors import RecipeError
from ftkit.tasks.batching import in_batches
from ftkit.tasks.blocks import cut_documents, find_end_token
from ftkit.tasks.lengths import report_too_long
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
from ftkit.tasks.tokenizing import tokenize, tokenize_ahead
from ftkit.tasks.windows import cut_windows

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

VERSION = 2
SUMMARY = "predict every next token of plain text (continued pretraining)"
COLUMNS = (Column("text", "text", required=True, meaning="one document", compared_as="text"),)
READS = frozenset({"data.documents", "data.stride"})
AUTO_STRIDE = 0
"""What `data.stride: auto` means here: the parts of a document share nothing."""
MODEL_CLASS = "AutoModelForCausalLM"
ADAPTER_TYPE = "CAUSAL_LM"
METRIC_KINDS = ("losses",)
METRICS = ("perplexity", "loss")
TOO_LONG = ("split", "truncate", "truncate_start", "drop", "error")
GENERATES = True


def check_row(row: Row, encoding: Encoding) -> str | None:
    """Every text is good; that it is one, and not empty, is checked by its column."""
    return None


def make_prompt(row: Row, tokenizer: PreTrainedTokenizerBase, encoding: Encoding) -> list[int]:
    """Return the token ids that generation continues, shape (tokens,)."""
    ids: list[int] = tokenizer(row["text"])["input_ids"]
    return ids[:-1] if len(ids) > 1 and ids[-1] == tokenizer.eos_token_id else ids


def encode(
    rows: Iterable[tuple[int, Row]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    reject: Reject,
) -> Iterator[dict[str, Any]]:
    """Turn documents into examples, with the end token behind each document.

    With `documents: concatenate`, blocks of `max_tokens` that may hold several documents; the last
    block is shorter, and `row` is the first document in a block. With `whole`, one example per
    document; a document that is longer is split, cut, dropped or an error, as `too_long` says. Parts of a
    document may overlap by `stride`: what a part shares with the one before it is read and not learned.
    """
    if encoding.stride:
        if (encoding.documents, encoding.too_long) != ("whole", "split"):
            raise RecipeError(
                f"data.stride: is {encoding.stride}, but only the parts of a document can overlap; take it "
                "out, or set data.documents: whole and data.too_long: split"
            )
        yield from _split_overlapping(_tokenize(rows, tokenizer), encoding, reject)
        return
    for row, ids in cut_documents(_tokenize(rows, tokenizer), encoding, reject):
        yield {"row": row, "input_ids": ids, "labels": ids}


def _split_overlapping(
    documents: Iterable[tuple[int, list[int]]], encoding: Encoding, reject: Reject
) -> Iterator[dict[str, Any]]:
    """Make of each document parts that overlap; each token but a document's first is learned in one part."""
    for row, ids in documents:
        if len(ids) > encoding.max_tokens:
            report_too_long(reject, row, len(ids), encoding)
        reached = 0
        for part in cut_windows([1] * len(ids), encoding.max_tokens, encoding.stride):
            tokens, num_read = ids[part.start : part.stop], max(0, reached - part.start)
            yield {"row": row, "input_ids": tokens, "labels": [IGNORED] * num_read + tokens[num_read:]}
            reached = part.stop


def _tokenize(
    rows: Iterable[tuple[int, Row]], tokenizer: PreTrainedTokenizerBase
) -> Iterator[tuple[int, list[int]]]:
    end = find_end_token(tokenizer)
    encoded = tokenize_ahead(
        in_batches(rows), lambda batch: tokenize(tokenizer, [row["text"] for _, row in batch])
    )
    for batch, tokens in encoded:
        for (index, _), ids in zip(batch, tokens.ids, strict=True):
            yield index, ids if ids and ids[-1] == end else [*ids, end]
