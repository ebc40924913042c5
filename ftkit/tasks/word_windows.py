"""Rows of tagged words in windows: every word belongs to one of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

from ftkit.tasks.batching import in_batches
from ftkit.tasks.lengths import report_too_long
from ftkit.tasks.padding import IGNORED
from ftkit.tasks.protocol import Encoding, Reject, Row
from ftkit.tasks.tagged_words import Words, continue_tag, read_tags, read_words
from ftkit.tasks.tokenizing import tokenize, tokenize_ahead
from ftkit.tasks.windows import SpecialTokens, choose_owners, cut_windows, find_special_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def encode(
    rows: Iterable[tuple[int, Row]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    reject: Reject,
) -> Iterator[dict[str, Any]]:
    """Turn rows into windows of whole words.

    Each word belongs to the one window where it has most context: there it carries its label, in
    training and in evaluation alike; elsewhere it is only read. `words` numbers the words of a window
    that belong to it, `places` says where their first tokens are.
    """
    special = find_special_tokens(tokenizer)
    limit = max(1, encoding.max_tokens - special.number)
    read_rows = ((index, row, read_words(row)) for index, row in rows)
    encoded = tokenize_ahead(
        in_batches(read_rows), lambda batch: _tokenize_words((words for _, _, words in batch), tokenizer)
    )
    for read, pieces in encoded:
        for index, row, words in read:
            tokens = [pieces[word][:limit] for word in words.list_spaced()]
            longest = max(len(pieces[word]) for word in words.list_spaced())
            if longest > limit:
                reject(index, "word:truncate", f"a word of {longest} tokens, the limit is {limit}")
            num_tokens = sum(map(len, tokens)) + special.number
            if num_tokens > encoding.max_tokens:
                report_too_long(reject, index, num_tokens, encoding)
                if encoding.too_long != "split":
                    continue
            labels = _label_tokens(index, row, words, tokens, encoding, reject)
            yield from _make_windows(index, tokens, labels, special, encoding)


def _tokenize_words(rows: Iterable[Words], tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    """Tokenize each different word once; a word that the tokenizer drops is its unknown token."""
    distinct = list(dict.fromkeys(word for words in rows for word in words.list_spaced()))
    encoded = tokenize(tokenizer, distinct, add_special_tokens=False)
    unknown = tokenizer.unk_token_id if tokenizer.unk_token_id is not None else tokenizer.pad_token_id
    return {word: ids or [unknown] for word, ids in zip(distinct, encoded.ids, strict=True)}


def _label_tokens(
    index: int,
    row: Row,
    words: Words,
    tokens: Sequence[Sequence[int]],
    encoding: Encoding,
    reject: Reject,
) -> list[list[int]] | None:
    """Return the label ids of each word's tokens; None for rows without labels."""
    if not encoding.labelled:
        return None
    tags, num_widened = read_tags(row, words, encoding.label_names or {})
    if num_widened:
        reject(index, "span:widened", f"{num_widened} of {len(row['entities'])} entities")
    numbers = {name: number for number, name in enumerate(encoding.labels)}
    labels = []
    for tag, ids in zip(tags, tokens, strict=True):
        rest = numbers[continue_tag(tag, numbers)] if encoding.label_all_tokens else IGNORED
        labels.append([numbers[tag], *[rest] * (len(ids) - 1)])
    return labels


def _make_windows(
    index: int,
    tokens: Sequence[Sequence[int]],
    labels: Sequence[Sequence[int]] | None,
    special: SpecialTokens,
    encoding: Encoding,
) -> Iterator[dict[str, Any]]:
    sizes = [len(ids) for ids in tokens]
    windows = cut_windows(sizes, max(1, encoding.max_tokens - special.number), encoding.stride)
    owners = choose_owners(windows, sizes)
    for number, window in enumerate(windows):
        owned = [word for word in window if owners[word] == number]
        if not owned:
            continue
        starts = list(accumulate((sizes[word] for word in window), initial=len(special.before)))
        ids = [*special.before, *chain(*(tokens[word] for word in window)), *special.after]
        places = [starts[word - window.start] for word in owned]
        example = {"row": index, "input_ids": ids, "words": owned, "places": places}
        if labels is not None:
            marks = [IGNORED] * len(ids)
            for word, place in zip(owned, places, strict=True):
                marks[place : place + sizes[word]] = labels[word]
            example["labels"] = marks
        yield example
