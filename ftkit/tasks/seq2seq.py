"""Sequence to sequence: any text to any text, for encoder-decoder models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from ftkit.data import Column
from ftkit.errors import MetricError
from ftkit.tasks.batching import in_batches
from ftkit.tasks.blocks import cut_documents, find_end_token
from ftkit.tasks.head_loss import list_losses, sum_losses
from ftkit.tasks.lengths import describe_too_long
from ftkit.tasks.next_token import (
    explain,
    list_scored,
    make_records,
    merge,
    predict_trivially,
    present,
)
from ftkit.tasks.padding import IGNORED, pad_inputs, pad_sequences, select_inputs
from ftkit.tasks.protocol import Encoding, LossOptions, Reject, Row
from ftkit.tasks.span_corruption import choose_length, corrupt, count_noise, find_sentinels
from ftkit.tasks.supervised_positions import find_model
from ftkit.tasks.tokenizing import tokenize, tokenize_ahead
from ftkit.tasks.windows import CUTTERS, find_special_tokens

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["explain", "list_scored", "merge", "predict_trivially", "present"]

VERSION = 1
SUMMARY = "turn a text into another: translate, summarise (encoder-decoder models)"
COLUMNS = (
    Column("source", "text", required=True, meaning="the text that the model reads", compared_as="source"),
    Column("target", "text", required=False, meaning="the text that it learns to write"),
)
READS = frozenset(
    {"data.source_prefix", "data.max_target_tokens", "data.objective", "data.documents"},
)
MODEL_CLASS = "AutoModelForSeq2SeqLM"
ADAPTER_TYPE = "SEQ_2_SEQ_LM"
METRIC_KINDS = ("losses", "texts", "json_texts", "schemas", "samples")
METRICS = ("loss", "perplexity")
TOO_LONG = ("truncate", "truncate_start", "drop", "error")
GENERATES = True
NUM_SENTINELS = 100
"""Sentinels that are looked for: as many as T5 has."""


def check_row(row: Row, encoding: Encoding) -> str | None:
    """Say that the target is missing, where there has to be one."""
    if not encoding.labelled or encoding.objective == "span-corruption":
        return None
    target = row.get("target")
    if target is None or not str(target).strip():
        return "column 'target' is missing or empty, so there is nothing to learn"
    return None


def prepare_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Name the tokens that begin and end what the decoder writes, where the checkpoint does not."""
    defaults = {"decoder_start_token_id": tokenizer.pad_token_id, "eos_token_id": find_end_token(tokenizer)}
    for config in (model.config, model.generation_config):
        for name, token_id in defaults.items():
            if getattr(config, name, None) is None:
                setattr(config, name, token_id)


def make_prompt(row: Row, tokenizer: PreTrainedTokenizerBase, encoding: Encoding) -> list[int]:
    """Return what the encoder reads, shape (tokens,); a longer source is cut."""
    text = encoding.source_prefix + row["source"]
    return cut_source(tokenize(tokenizer, [text]).ids[0], tokenizer, encoding)


def cut_source(ids: list[int], tokenizer: PreTrainedTokenizerBase, encoding: Encoding) -> list[int]:
    """Cut what the encoder reads to `max_tokens`, with the special tokens around what is left of it."""
    if len(ids) <= encoding.max_tokens:
        return ids
    special = find_special_tokens(tokenizer)
    cut = CUTTERS.get(encoding.too_long, CUTTERS["truncate"])
    kept = cut(special.take_off(ids), max(1, encoding.max_tokens - special.number))
    return [*special.before, *kept, *special.after]


def split_answer(row: Row, tokenizer: PreTrainedTokenizerBase, encoding: Encoding) -> tuple[Row, str]:
    """Return the row and its whole target, however long.

    Raises:
        MetricError: the targets are spans, which are no texts.
    """
    if encoding.objective == "span-corruption":
        raise MetricError(
            "evaluation.metrics: span corruption writes no texts to score; take loss and perplexity"
        )
    return row, row["target"]


def encode(
    rows: Iterable[tuple[int, Row]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    reject: Reject,
) -> Iterator[dict[str, Any]]:
    """Turn texts into token ids, with the target's as labels, the end token behind it.

    A source longer than `max_tokens` and a target longer than `max_target_tokens` are cut on the right,
    left out or an error. A target that is cut has no end token, so that none is learned in the wrong
    place. For span corruption, `input_ids` are a block of text, and `collate` takes the spans out.
    """
    if encoding.objective == "span-corruption":
        yield from _encode_blocks(rows, tokenizer, encoding, reject)
        return
    end = find_end_token(tokenizer)

    def tokenize_batch(batch: Sequence[tuple[int, Row]]) -> tuple[list[list[int]], list[list[int]]]:
        sources = [encoding.source_prefix + row["source"] for _, row in batch]
        inputs = tokenize(tokenizer, sources).ids
        return inputs, _encode_targets(batch, tokenizer, end) if encoding.labelled else []

    for batch, (inputs, targets) in tokenize_ahead(in_batches(rows), tokenize_batch):
        for (index, _), ids, target in zip_longest(batch, inputs, targets):
            example: dict[str, Any] = {"row": index, "input_ids": ids}
            if target is not None:
                example["labels"] = target
            if _fit(example, encoding, reject):
                example["input_ids"] = cut_source(ids, tokenizer, encoding)
                num_target = len(example.get("labels", ()))
                yield {**example, "num_tokens": len(example["input_ids"]) + num_target}


def collate(
    examples: Sequence[Mapping[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    seed: tuple[int, ...],
) -> dict[str, torch.Tensor]:
    """Pad sources, shape (examples, source tokens), and labels, shape (examples, target tokens).

    For span corruption, the spans follow from the seed and from the example's row and block.
    """
    import torch

    if encoding.objective == "span-corruption":
        examples = [_corrupt_example(example, tokenizer, seed) for example in examples]
    batch = pad_inputs(examples, tokenizer)
    batch["row"] = torch.tensor([example["row"] for example in examples])
    if "labels" in examples[0]:
        batch["labels"] = pad_sequences([example["labels"] for example in examples], IGNORED)
    return batch


def count_items(batch: Mapping[str, torch.Tensor]) -> int:
    """Count the tokens of the targets: the loss is a mean over them."""
    return int((batch["labels"] != IGNORED).sum())


def compute_loss(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], options: LossOptions
) -> torch.Tensor:
    """Return the cross-entropy summed over the tokens of the targets, in nats, a scalar."""
    inputs, supervised = _make_inputs(model, batch)
    return sum_losses(
        model,
        inputs,
        supervised,
        batch["labels"][supervised],
        label_smoothing=options.label_smoothing,
    )


def predict(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], examples: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return each example's loss, summed over the tokens of its target, and their number."""
    inputs, supervised = _make_inputs(model, batch)
    losses, _ = list_losses(model, inputs, supervised, batch["labels"][supervised])
    return make_records(batch, losses, supervised.nonzero()[:, 0])


def make_decoder_inputs(model: Any, labels: torch.Tensor) -> torch.Tensor:
    """Move labels one place to the right, behind the token that begins a text.

    Args:
        model: the encoder-decoder, whose own way is taken where it has one.
        labels: shape (examples, target tokens), `IGNORED` where the padding is.
    """
    own = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if own is not None:
        moved: torch.Tensor = own(labels=labels)
        return moved
    moved = labels.new_full(labels.shape, model.config.decoder_start_token_id)
    moved[:, 1:] = labels[:, :-1]
    return moved.masked_fill(moved == IGNORED, model.config.pad_token_id)


def _make_inputs(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor]
) -> tuple[dict[str, Any], torch.Tensor]:
    """Return what the model reads, and which places of the targets carry loss, (examples, tokens)."""
    inputs: dict[str, Any] = select_inputs(batch)
    inputs["decoder_input_ids"] = make_decoder_inputs(find_model(model), batch["labels"])
    return {**inputs, "use_cache": False}, batch["labels"] != IGNORED


def _encode_targets(
    batch: Sequence[tuple[int, Row]], tokenizer: PreTrainedTokenizerBase, end: int
) -> list[list[int]]:
    texts = [row["target"] for _, row in batch]
    encoded = tokenizer(text_target=texts, return_attention_mask=False, verbose=False)["input_ids"]
    # Tokenizers of decoders write no end token; those of some translation models end with a language.
    return [ids if end in ids[-2:] else [*ids, end] for ids in encoded]


def _fit(example: dict[str, Any], encoding: Encoding, reject: Reject) -> bool:
    """Report what is too long and cut the labels; False when the row is left out."""
    sides = (
        ("too_long", "input_ids", encoding.max_tokens, "max_tokens"),
        ("target_too_long", "labels", encoding.max_target_tokens, "max_target_tokens"),
    )
    for rule, key, limit, setting in sides:
        length = len(example.get(key, ()))
        if length > limit:
            what = "the target has " if key == "labels" else ""
            detail = f"{what}{describe_too_long(length, limit)} (data.{setting})"
            reject(example["row"], f"{rule}:{encoding.too_long}", detail)
            if encoding.too_long not in CUTTERS:
                return False
    if "labels" in example:
        example["labels"] = example["labels"][: encoding.max_target_tokens]
    return True


def _encode_blocks(
    rows: Iterable[tuple[int, Row]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    reject: Reject,
) -> Iterator[dict[str, Any]]:
    num_sentinels = len(find_sentinels(tokenizer, NUM_SENTINELS))
    length = choose_length(encoding.max_tokens, encoding.max_target_tokens, num_sentinels)
    numbers: Counter[int] = Counter()
    documents = _tokenize_documents(rows, tokenizer, encoding)
    for row, block in cut_documents(documents, replace(encoding, max_tokens=length), reject):
        if len(block) < 2:  # nothing would be left to go by
            reject(row, "too_short:drop", "fewer than 2 tokens")
            continue
        num_tokens = len(block) + 2 * count_noise(len(block))[1] + 2
        yield {
            "row": row,
            "block": numbers[row],
            "input_ids": block,
            "labels": block,
            "num_tokens": num_tokens,
        }
        numbers[row] += 1


def _tokenize_documents(
    rows: Iterable[tuple[int, Row]], tokenizer: PreTrainedTokenizerBase, encoding: Encoding
) -> Iterator[tuple[int, list[int]]]:
    """Yield each row's tokens, with the end token behind them where documents are joined."""
    end = [find_end_token(tokenizer)] if encoding.documents == "concatenate" else []

    def tokenize_batch(batch: Sequence[tuple[int, Row]]) -> list[list[int]]:
        texts = [encoding.source_prefix + row["source"] for _, row in batch]
        return tokenize(tokenizer, texts, add_special_tokens=False).ids

    for batch, tokens in tokenize_ahead(in_batches(rows), tokenize_batch):
        for (index, _), ids in zip(batch, tokens, strict=True):
            yield index, [*ids, *end]


def _corrupt_example(
    example: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, seed: tuple[int, ...]
) -> dict[str, Any]:
    import numpy as np

    ids = example["input_ids"]
    generator = np.random.default_rng((*seed, example["row"], example["block"]))
    sentinels = find_sentinels(tokenizer, count_noise(len(ids))[1])
    source, target = corrupt(ids, sentinels, find_end_token(tokenizer), generator)
    is_muted = example["labels"][0] == IGNORED  # it joins a step without weight
    labels = [IGNORED] * len(target) if is_muted else target
    return {"row": example["row"], "input_ids": source, "labels": labels}
