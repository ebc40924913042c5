"""Tokenizer against embeddings, and against what the chat template writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ftkit.checks.findings import Finding, join_some
from ftkit.models.architectures import count_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ftkit.models import Checkpoint

SPARE_ROWS = 1.1
"""Embeddings for each token, above which another tokenizer is likely; rows are rounded up and kept spare."""
FEW_SPARE = 2048
_MARK = re.compile(r"<\|[^<>|\s]+\|>|<(?:start|end)_of_turn>")


def check_vocabulary_fit(base: Checkpoint) -> Iterator[Finding]:
    """Compare the sizes of tokenizer and embeddings, and say what pads."""
    tokens, rows = count_vocabulary(base.tokenizer), base.model.get_input_embeddings().weight.shape[0]
    yield Finding(
        "tokenizer", "note", f"{tokens:,} tokens, {rows:,} embeddings; {describe_padding(base.tokenizer)}"
    )
    if rows > max(SPARE_ROWS * tokens, tokens + FEW_SPARE):
        message = (
            f"the tokenizer has {tokens:,} tokens and the model embeddings for {rows:,}: they may not belong "
            "together; check model.tokenizer"
        )
        yield Finding("tokenizer", "warning", message)


def describe_padding(tokenizer: PreTrainedTokenizerBase) -> str:
    """Say what pads, and that an end token which pads too is not hidden."""
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id == tokenizer.eos_token_id:
        return (
            f"{tokenizer.pad_token} ends and pads: hidden by position and not by id, so that ends are learned"
        )
    return f"{tokenizer.pad_token} pads"


def check_turn_marks(tokenizer: PreTrainedTokenizerBase, rendered: str) -> Iterator[Finding]:
    """Name marks of turns that are not one token: the model reads them as loose letters.

    Args:
        tokenizer: the base's.
        rendered: a conversation as the template writes it.
    """
    marks = dict.fromkeys(_MARK.findall(rendered))
    loose = [mark for mark in marks if len(tokenizer(mark, add_special_tokens=False)["input_ids"]) > 1]
    if loose:
        message = (
            f"the chat template writes {join_some(loose)}, which the tokenizer cuts into pieces; add them: "
            f"model.new_tokens: [{', '.join(repr(mark) for mark in loose)}], or take another template"
        )
        yield Finding("template", "warning", message)


def check_new_tokens(base: Checkpoint, adapted: Any | None) -> Iterator[Finding]:
    """Say whether the embeddings of added tokens are trained and saved.

    Args:
        base: knows which tokens are new.
        adapted: the model under its adapter; None in full fine-tuning, which trains and saves all.
    """
    if not base.new_token_ids:
        return
    number = len(base.new_token_ids)
    if adapted is not None and not trains_token_rows(adapted):
        message = (
            f"{number} added tokens have embeddings that the adapter neither trains nor saves, so that they "
            "would mean nothing; train the whole model (adapter: none), or take model.new_tokens out"
        )
        yield Finding("tokenizer", "error", message)
        return
    yield Finding("tokenizer", "note", f"{number} added tokens: their embeddings are trained and saved")


def trains_token_rows(adapted: Any) -> bool:
    """Tell whether an adapter trains rows of the embeddings, or all of them."""
    names = [name for name, weights in adapted.named_parameters() if weights.requires_grad]
    inputs = adapted.get_input_embeddings()
    owned = {id(weights) for weights in inputs.parameters()}
    return any("token_adapter" in name or "trainable_tokens" in name for name in names) or any(
        id(weights) in owned and weights.requires_grad for weights in adapted.parameters()
    )
