"""Which tokens make a word, whatever kind of tokenizer cut it up.

Words are found in the text and not among the tokenizer's pieces: WordPiece marks what continues a
word, byte-level BPE what begins one, and SentencePiece takes a line of Chinese for a single word.
Offsets into the text mean the same in all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ftkit.metrics.scripts import find_unspaced_runs, find_word_spans

if TYPE_CHECKING:
    from ftkit.tasks.segmenter import Segmenter

Spans = list[tuple[int, int]]


def find_words(text: str, segment: Segmenter | None = None) -> Spans:
    """Find the words of a text, in order: (begin, end) in characters.

    A run of letters and digits is a word; so is each character of a script without spaces, unless a
    segmenter says otherwise. Signs between them belong to no word.
    """
    if segment is None:
        return find_word_spans(text)
    words: Spans = []
    place = 0
    for begin, end in find_unspaced_runs(text):
        words += _shift(find_word_spans(text[place:begin]), place)
        lengths = np.cumsum([0, *(len(word) for word in segment(text[begin:end]))]).tolist()
        words += _shift(
            [span for span in zip(lengths, lengths[1:], strict=False) if span[0] < span[1]], begin
        )
        place = end
    return words + _shift(find_word_spans(text[place:]), place)


def mark_word_starts(offsets: Sequence[tuple[int, int]], words: Spans) -> list[bool]:
    """Say of each token whether a new unit of tokens begins with it.

    A unit is a word; tokens that reach over two words join them, and a token outside all words, such
    as a sign or a space, is a unit of its own.

    Args:
        offsets: where each token lies, (begin, end) in characters of the text; spaces may be included.
        words: of `find_words`.
    """
    if not offsets:
        return []
    spans = np.array(offsets, dtype=np.int64)
    edges = np.array(words, dtype=np.int64).reshape(-1, 2)
    first = np.searchsorted(edges[:, 1], spans[:, 0], side="right")  # the first word that ends behind it
    last = np.searchsorted(edges[:, 0], spans[:, 1], side="left") - 1  # the last that begins before its end
    outside = last < first
    reached = np.maximum.accumulate(np.where(outside, -1, last))
    before = np.concatenate([[-1], reached[:-1]])
    marks: list[bool] = (outside | (first > before)).tolist()
    return marks


def _shift(spans: Spans, by: int) -> Spans:
    return [(begin + by, end + by) for begin, end in spans]
