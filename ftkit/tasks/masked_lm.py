"""Masked language modelling: fill in the words that are hidden in plain text."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from ftkit.data import Column
from ftkit.errors import ModelError, RecipeError
from ftkit.metrics.scripts import is_unspaced
from ftkit.tasks.batching import in_batches
from ftkit.tasks.blocks import cut_documents, find_end_token
from ftkit.tasks.head_loss import list_losses, sum_losses
from ftkit.tasks.masking import Vocabulary, choose_hidden, read_vocabulary, replace_hidden
from ftkit.tasks.padding import IGNORED, pad_inputs, pad_sequences, select_inputs
from ftkit.tasks.protocol import Encoding, LossOptions, Reject, Row
from ftkit.tasks.segmenter import load_segmenter
from ftkit.tasks.supervised_positions import compute_logits
from ftkit.tasks.tokenizing import Tokens, tokenize, tokenize_ahead
from ftkit.tasks.whole_words import find_words, mark_word_starts

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

VERSION = 2
SUMMARY = "fill in hidden words of plain text (continued pretraining of encoders)"
COLUMNS = (Column("text", "text", required=True, meaning="one document", compared_as="text"),)
READS = frozenset({"data.documents", "data.mlm_probability", "data.whole_word_masking", "data.segmenter"})
MODEL_CLASS = "AutoModelForMaskedLM"
ADAPTER_TYPE = "FEATURE_EXTRACTION"
METRIC_KINDS = ("losses", "counts")
METRICS = ("pseudo_perplexity", "masked_accuracy", "loss")
TOO_LONG = ("split", "truncate", "truncate_start", "drop", "error")
GENERATES = False

NUM_FILLS = 5
"""How many tokens are shown for each gap of a text to predict."""
BEGINS, GOES_ON, NEVER_HIDDEN = 1, 0, -1
"""What `units` says of a token: a word begins with it, goes on with it, or it is a special token."""


def check_row(row: Row, encoding: Encoding) -> str | None:
    """Every text is good; that it is one, and not empty, is checked by its column."""
    return None


def encode(
    rows: Iterable[tuple[int, Row]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    reject: Reject,
) -> Iterator[dict[str, Any]]:
    """Turn documents into blocks of at most `max_tokens`, each framed by the model's special tokens.

    Nothing is hidden here, but each epoch anew by `collate`. An example has `row`, the document it
    begins in, `piece`, its number among the blocks that begin there, `input_ids`, `labels`, and `units`,
    which tokens are hidden together. Rows to predict stay apart and have no labels: the gaps are theirs.
    """
    vocabulary = read_vocabulary(tokenizer)
    if not encoding.labelled:
        encoding = replace(encoding, documents="whole")
        rows = _check_gaps(rows, tokenizer, reject)
    end = find_end_token(tokenizer)
    prefix, suffix = find_frame(tokenizer)
    num_reserved = len(prefix) + len(suffix)
    if encoding.max_tokens < num_reserved + 2:
        raise RecipeError(
            f"data.max_tokens: is {encoding.max_tokens}, of which {num_reserved} are special tokens; "
            "give more"
        )
    ends_alone = encoding.documents == "whole" and suffix[:1] == [end]
    documents = _tokenize(rows, tokenizer, encoding, vocabulary, [] if ends_alone else [end])
    pieces: Counter[int] = Counter()
    for row, tokens in cut_documents(documents, encoding, reject, num_reserved=num_reserved):
        if tokens[-1:] == [(end, NEVER_HIDDEN)] and suffix[:1] == [end]:
            del tokens[-1]  # the frame has it
        if encoding.labelled and all(unit == NEVER_HIDDEN for _, unit in tokens):
            reject(row, "masking:drop", f"{len(tokens)} tokens, all special or unknown")
            continue
        ids = [*prefix, *(number for number, _ in tokens), *suffix]
        units = [
            *(NEVER_HIDDEN for _ in prefix),
            *(unit for _, unit in tokens),
            *(NEVER_HIDDEN for _ in suffix),
        ]
        labels = {"labels": ids} if encoding.labelled else {}
        yield {"row": row, "piece": pieces[row], "input_ids": ids, "units": units, **labels}
        pieces[row] += 1


def find_frame(tokenizer: PreTrainedTokenizerBase) -> tuple[list[int], list[int]]:
    """Return the ids of the special tokens that the tokenizer puts before and behind a text."""
    encoded = tokenizer("a", return_special_tokens_mask=True)
    ids, mask = encoded["input_ids"], encoded["special_tokens_mask"]
    begin = mask.index(0)
    return ids[:begin], ids[len(mask) - mask[::-1].index(0) :]


def collate(
    examples: Sequence[Mapping[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    seed: tuple[int, ...],
) -> dict[str, torch.Tensor]:
    """Hide tokens and pad the examples into one batch, tensors of shape (examples, tokens).

    What is hidden follows from the seed (in training the run's and the epoch; in evaluation always the
    same), the row and the block alone: not from the batch, nor from what was drawn before.
    """
    import numpy as np
    import torch

    vocabulary = _read_vocabulary_once(tokenizer)
    inputs, labels = [], []
    for example in examples:
        if "labels" not in example:  # the user left the gaps
            ids = np.array(example["input_ids"])
            inputs.append(example)
            labels.append(np.where(ids == vocabulary.mask, ids, IGNORED).tolist())
            continue
        generator = np.random.default_rng((*seed, example["row"], example["piece"]))
        hidden = choose_hidden(example["units"], encoding.mlm_probability, generator)
        inputs.append({"input_ids": replace_hidden(example["input_ids"], hidden, vocabulary, generator)})
        labels.append(np.where(hidden, example["labels"], IGNORED).tolist())
    batch = pad_inputs(inputs, tokenizer)
    batch["labels"] = pad_sequences(labels, IGNORED)
    batch["row"] = torch.tensor([example["row"] for example in examples])
    return batch


def count_items(batch: Mapping[str, torch.Tensor]) -> int:
    """Count the hidden tokens: the loss is a mean over them."""
    return int((batch["labels"] != IGNORED).sum())


def compute_loss(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], options: LossOptions
) -> torch.Tensor:
    """Return the cross-entropy summed over the hidden tokens, in nats, a scalar."""
    hidden = batch["labels"] != IGNORED
    return sum_losses(
        model,
        select_inputs(batch),
        hidden,
        batch["labels"][hidden],
        label_smoothing=options.label_smoothing,
    )


def predict(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], examples: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return of each example the loss summed over its hidden tokens, their number, and how many are right.

    Of an example with gaps of the user's, the likeliest tokens of each gap with their probabilities.
    """
    import torch

    hidden = batch["labels"] != IGNORED
    inputs, targets, owners = select_inputs(batch), batch["labels"][hidden], hidden.nonzero()[:, 0]
    if "labels" not in examples[0]:
        return _list_fills(compute_logits(model, inputs, hidden), owners, batch["row"].tolist())
    losses, best = list_losses(model, inputs, hidden, targets, with_best=True)
    losses, rights = losses.double(), (best == targets).double()
    size = len(batch["row"])
    sums = torch.zeros(size, 2, dtype=torch.double, device=losses.device)
    sums.index_add_(0, owners, torch.stack([losses, rights], dim=1))
    counts = torch.bincount(owners, minlength=size)
    columns = zip(batch["row"].tolist(), sums.tolist(), counts.tolist(), strict=True)
    return [
        {"row": row, "loss": loss, "num_tokens": number, "num_right": int(right)}
        for row, (loss, right), number in columns
    ]


def merge(records: list[dict[str, Any]], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the records as they are, since losses and counts add up; gaps are gathered by their row."""
    if not records or "fills" not in records[0]:
        return records
    gathered: dict[int, list[Any]] = {}
    for record in records:
        gathered.setdefault(record["row"], []).extend(record["fills"])
    return [{"row": row, "fills": fills} for row, fills in sorted(gathered.items())]


def list_scored(records: Sequence[Mapping[str, Any]], kind: str) -> tuple[Sequence[float], Sequence[int]]:
    """Return summed losses in nats, or how many tokens were filled in right, and the numbers of tokens."""
    name = "num_right" if kind == "counts" else "loss"
    return [record[name] for record in records], [record["num_tokens"] for record in records]


def present(prediction: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return the record with its mean loss per hidden token, in nats, or with what fills its gaps."""
    if "fills" in prediction:
        return dict(prediction)
    return {**prediction, "loss": prediction["loss"] / max(1, prediction["num_tokens"])}


def decode(prediction: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """Write tokens as text: of each gap the likeliest, with their probabilities."""
    gaps = [
        [
            {"text": tokenizer.decode([number]).strip(), "probability": probability}
            for number, probability in gap
        ]
        for gap in prediction["fills"]
    ]
    return {"row": prediction["row"], "prediction": [gap[0]["text"] for gap in gaps], "fills": gaps}


def predict_trivially(
    predictions: Sequence[Mapping[str, Any]], label_counts: Sequence[int]
) -> list[dict[str, Any]] | None:
    """Return None: the base is the comparison."""
    return None


def explain(predictions: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """Return how many tokens the scores are of, and what they say.

    Not the pseudo-perplexity of Salazar et al. (2020), which hides each token once, alone, and costs a
    forward pass a token: this one hides as training does.
    """
    return {
        "num_masked_tokens": sum(record["num_tokens"] for record in predictions),
        "scored": "the tokens that were hidden as in training, the same ones for base and tuned",
    }


def _tokenize(
    rows: Iterable[tuple[int, Row]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    vocabulary: Vocabulary,
    end: list[int],
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Yield row index and tokens of each document, a token as (id, unit), and the end token behind them."""
    whole = encoding.whole_word_masking
    if whole and not tokenizer.is_fast:
        raise ModelError(
            "whole-word masking needs a fast tokenizer (tokenizer.json): only that tells where a token lies; "
            "take another, or set data.whole_word_masking: false"
        )
    segment = load_segmenter(encoding.segmenter) if encoding.segmenter else None

    def tokenize_batch(batch: Sequence[tuple[int, Row]]) -> Tokens:
        texts = [row["text"] for _, row in batch]
        return tokenize(tokenizer, texts, add_special_tokens=False, with_offsets=whole)

    for batch, tokens in tokenize_ahead(in_batches(rows), tokenize_batch):
        if whole and segment is None and any(is_unspaced(row["text"]) for _, row in batch):
            _say_characters()
        offsets = tokens.offsets if whole else [[]] * len(batch)
        for (index, row), ids, places in zip(batch, tokens.ids, offsets, strict=True):
            starts = (
                mark_word_starts(places, find_words(row["text"], segment)) if whole else [True] * len(ids)
            )
            units = (
                NEVER_HIDDEN if number in vocabulary.special else BEGINS if start else GOES_ON
                for number, start in zip(ids, starts, strict=True)
            )
            yield index, [*zip(ids, units, strict=True), *((number, NEVER_HIDDEN) for number in end)]


def _check_gaps(
    rows: Iterable[tuple[int, Row]], tokenizer: PreTrainedTokenizerBase, reject: Reject
) -> Iterator[tuple[int, Row]]:
    """Pass rows on that have a gap to fill in, and report the others."""
    for index, row in rows:
        if tokenizer.mask_token in row["text"]:
            yield index, row
        else:
            problem = f"column 'text' has no {tokenizer.mask_token}; write it where a word is to be filled in"
            reject(index, "gap:error", problem)


def _list_fills(logits: torch.Tensor, owners: torch.Tensor, rows: list[int]) -> list[dict[str, Any]]:
    likeliest = logits.double().softmax(-1).topk(NUM_FILLS)
    records: list[dict[str, Any]] = [{"row": row, "fills": []} for row in rows]
    columns = (owners, likeliest.indices, likeliest.values)
    for owner, ids, shares in zip(*(column.tolist() for column in columns), strict=True):
        records[owner]["fills"].append(list(zip(ids, shares, strict=True)))
    return records


@cache
def _say_characters() -> None:
    logger.info(
        "whole-word masking: Chinese and other text without spaces is hidden by the character; to hide "
        "words, set data.segmenter, for example to jieba:lcut"
    )


_VOCABULARIES: WeakKeyDictionary[Any, tuple[int, Vocabulary]] = WeakKeyDictionary()


def _read_vocabulary_once(tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
    """Remember what was read while the tokenizer lives: every batch asks for it."""
    size, vocabulary = _VOCABULARIES.get(tokenizer, (-1, None))
    if vocabulary is None or size != len(tokenizer):
        vocabulary = read_vocabulary(tokenizer)
        _VOCABULARIES[tokenizer] = (len(tokenizer), vocabulary)
    return vocabulary
