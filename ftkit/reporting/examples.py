"""What the examples of a run look like: how long they are, and a few with what carries the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ftkit.tasks.padding import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split

NUM_SAMPLES = 3
MOST_TOKENS = 1500
"""Tokens of a sample that are shown."""
NUM_BINS = 30


def describe_examples(
    splits: Mapping[str, Split], task: Task, tokenizer: PreTrainedTokenizerBase
) -> dict[str, Any]:
    """Return the lengths of every split, and samples of the training rows, for `data/examples.json`."""
    from ftkit.training.loop import read_lengths

    return {
        "lengths": {
            name: count_lengths(read_lengths(split.examples).tolist()) for name, split in splits.items()
        },
        "samples": sample_supervision(splits["train"], task, tokenizer),
    }


def count_lengths(lengths: Sequence[int]) -> dict[str, Any]:
    """Count lengths into bins of equal width; whole tokens, so that no bin is empty by rounding."""
    shortest, longest = min(lengths), max(lengths)
    width = max(1, -(-(longest - shortest + 1) // NUM_BINS))
    counts = [0] * ((longest - shortest) // width + 1)
    for length in lengths:
        counts[(length - shortest) // width] += 1
    return {
        "number": len(lengths),
        "total": sum(lengths),
        "shortest": shortest,
        "median": sorted(lengths)[len(lengths) // 2],
        "longest": longest,
        "edges": [shortest + width * place for place in range(len(counts) + 1)],
        "counts": counts,
    }


def sample_supervision(
    split: Split, task: Task, tokenizer: PreTrainedTokenizerBase, number: int = NUM_SAMPLES
) -> list[dict[str, Any]]:
    """Show a few examples, from begin to end of a split, as the batches of training hold them.

    Returns:
        `where` the row stands, `num_tokens`, `num_supervised` (None where the loss is on the row's label
        and not on tokens) and `pieces`: text, and whether it is supervised.
    """
    total = len(split.examples)
    places = sorted({round(place * (total - 1) / max(1, number - 1)) for place in range(min(number, total))})
    return [_show_example(place, split, task, tokenizer) for place in places]


def _show_example(place: int, split: Split, task: Task, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    example = split.examples[place]
    batch = task.collate([example], tokenizer, split.encoding, (0,))
    ids = batch["input_ids"].flatten().tolist()
    labels = batch["labels"]
    supervised: list[bool] | None = None
    if "Seq2Seq" in task.MODEL_CLASS:  # the labels are a text of their own
        target = [label for label in labels.flatten().tolist() if label != IGNORED]
        supervised = [False] * len(ids) + [True] * len(target)
        ids += target
    elif labels.shape == batch["input_ids"].shape and not labels.is_floating_point():
        supervised = [label != IGNORED for label in labels.flatten().tolist()]
    flags = supervised or [False] * len(ids)
    return {
        "where": split.rows.where(example["row"]),
        "num_tokens": len(ids),
        "num_supervised": None if supervised is None else sum(supervised),
        "pieces": cut_pieces(ids[:MOST_TOKENS], flags[:MOST_TOKENS], tokenizer),
    }


def cut_pieces(
    ids: Sequence[int], flags: Sequence[bool], tokenizer: PreTrainedTokenizerBase
) -> list[dict[str, Any]]:
    """Write tokens as text, in pieces that are supervised as a whole or not at all.

    A piece is what the text grows by, so that spaces come out as the tokenizer writes them.
    """
    pieces, end, written = [], 0, ""
    for flag, group in groupby(flags):
        end += len(list(group))
        text = tokenizer.decode(ids[:end], skip_special_tokens=False)
        pieces.append({"text": text[len(written) :], "supervised": flag})
        written = text
    return pieces
