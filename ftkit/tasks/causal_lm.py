"""Causal language modelling: predict every next token of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ftkit.data import Column
from ftkit.tasks.batching import in_batches
from ftkit.tasks.blocks import cut_documents, find_end_token
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
SUMMARY = "predict every next token of plain text (continued pretraining)"
COLUMNS = (Column("text", "text", required=True, meaning="one document", compared_as="text"),)
READS = frozenset({"data.documents"})
MODEL_CLASS = "AutoModelForCausalLM"
ADAPTER_TYPE = "CAUSAL_LM"
METRIC_KINDS = ("losses",)
METRICS = ("perplexity", "loss")
TOO_LONG = ("split", "truncate", "drop", "error")
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
    document; a document that is longer is split, cut, dropped or an error, as `too_long` says.
    """
    for row, ids in cut_documents(_tokenize(rows, tokenizer), encoding, reject):
        yield {"row": row, "input_ids": ids, "labels": ids}


def _tokenize(
    rows: Iterable[tuple[int, Row]], tokenizer: PreTrainedTokenizerBase
) -> Iterator[tuple[int, list[int]]]:
    end = find_end_token(tokenizer)
    for batch in in_batches(rows):
        encoded = tokenizer([row["text"] for _, row in batch], return_attention_mask=False, verbose=False)
        for (index, _), ids in zip(batch, encoded["input_ids"], strict=True):
            yield index, ids if ids and ids[-1] == end else [*ids, end]
