"""Pieces of texts by which near duplicates are found, and how much each of them says.

A piece is two neighbouring words; in scripts that put no spaces between words (Chinese, Japanese, Thai,
...) two neighbouring characters. Sentence marks, quotes and brackets are left out; `+` and `-` are words.
Everything works on arrays of hashes, many texts at a time.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Hashes = NDArray[np.uint64]

_TABLE_BITS = 22
_FEW_TEXTS, _SHARE_OF_FEW = 5, 0.01  # a piece that is in so many texts, or less, says as much as it can

_NOT_A_WORD, _IN_A_WORD, _ALONE = 0, 1, 2
_WITHOUT_SPACES = (
    *((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF)),  # Thai, Lao, Burmese, Khmer
    *((0x2E80, 0x312F), (0x31A0, 0x9FFF), (0xF900, 0xFAFF)),  # Chinese characters, kana, bopomofo
)
_BEYOND = 0x10000  # Chinese characters, emoji and the like: each alone


def normalize_text(text: str) -> str:
    """Write a text as it is compared: compatible forms, case and white space do not matter."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def hash_shingles(texts: Sequence[str]) -> tuple[Hashes, NDArray[np.int64]]:
    """Hash all pieces of normalised texts, repetitions included.

    Returns:
        The hashes of all texts in order, shape (pieces,); where each text's hashes begin and the last
        one's end, shape (texts + 1,). A text has as many pieces as words, the last word being one alone.
    """
    import numpy as np

    joined = " ".join([*texts, ""])
    codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    kinds = _classify_characters()[np.minimum(codes, _BEYOND)]
    is_start = kinds != _NOT_A_WORD
    is_start[1:] &= (kinds[1:] == _ALONE) | (kinds[:-1] != _IN_A_WORD)
    starts = np.flatnonzero(is_start)
    text_ends = np.cumsum([len(text) + 1 for text in texts])
    bounds = np.concatenate([[0], starts.searchsorted(text_ends)])
    words = _hash_words(codes, kinds, is_start, starts)
    following = np.append(words[1:], np.uint64(0))
    following[bounds[1:][bounds[1:] > bounds[:-1]] - 1] = 0
    return _mix(words * np.uint64(0x9E3779B97F4A7C15) + following), bounds


def _hash_words(
    codes: NDArray[np.uint32],
    kinds: NDArray[np.uint8],
    is_start: NDArray[np.bool_],
    starts: NDArray[np.int64],
) -> Hashes:
    """Hash each word: the sum of its characters' hashes, each times a number for its place."""
    import numpy as np

    if not len(starts):
        return np.zeros(0, dtype=np.uint64)
    places = np.arange(len(codes)) - starts[np.maximum(np.cumsum(is_start) - 1, 0)]
    factors = _mix(np.arange(1, 65, dtype=np.uint64)) | np.uint64(1)
    parts = _mix(codes.astype(np.uint64) + np.uint64(1)) * factors[places % len(factors)]
    parts[kinds == _NOT_A_WORD] = 0
    hashes: Hashes = np.add.reduceat(parts, starts)
    return hashes


def _mix(hashes: Hashes) -> Hashes:
    """Spread hashes evenly over 64 bits."""
    import numpy as np

    mixed: Hashes = (hashes ^ (hashes >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    mixed ^= mixed >> np.uint64(32)
    return mixed


@cache
def _classify_characters() -> NDArray[np.uint8]:
    """Say of each character up to `_BEYOND` whether it is in a word, a word alone, or in none."""
    import numpy as np

    kinds = np.full(_BEYOND + 1, _NOT_A_WORD, dtype=np.uint8)
    for code in range(_BEYOND):
        category = unicodedata.category(chr(code))
        if category[0] in "LMN" or chr(code) == "_":
            kinds[code] = _IN_A_WORD
        elif category[0] == "S" or chr(code) in "-*/%&@#\\":
            kinds[code] = _ALONE
    for low, high in _WITHOUT_SPACES:
        is_word = kinds[low : high + 1] == _IN_A_WORD
        kinds[low : high + 1][is_word] = _ALONE
    kinds[_BEYOND] = _ALONE
    return kinds


@dataclass(frozen=True)
class ShingleWeights:
    """How much a piece says about a text: in full in up to 1 text of 100, half in 1 of 10, nothing in all.

    So the words of a template, which many rows share, do not make its rows duplicates.
    """

    num_texts: int
    counts: NDArray[np.uint32]
    """In how many of the texts a piece is, by the first bits of its hash."""

    def weigh(self, hashes: Hashes) -> NDArray[np.float64]:
        """Return the weight of each piece, from 0 to 1."""
        import numpy as np

        few = max(self.num_texts * _SHARE_OF_FEW, _FEW_TEXTS)
        if self.num_texts <= few:
            return np.ones(len(hashes))
        counts = np.maximum(self.counts[_find_places(hashes)], 1)
        weights: NDArray[np.float64] = np.log(self.num_texts / counts) / np.log(self.num_texts / few)
        return weights.clip(0, 1)


def weigh_shingles(batches: Iterable[Sequence[str]]) -> ShingleWeights:
    """Count in how many of the texts each piece is.

    Args:
        batches: normalised texts, some at a time.
    """
    import numpy as np

    counts, num_texts = np.zeros(2**_TABLE_BITS, dtype=np.uint32), 0
    for texts in batches:
        hashes, bounds = hash_shingles(texts)
        owners = np.repeat(np.arange(len(texts)), np.diff(bounds))
        places = np.unique((owners << _TABLE_BITS) | _find_places(hashes)) & (2**_TABLE_BITS - 1)
        np.add.at(counts, places, np.uint32(1))
        num_texts += len(texts)
    return ShingleWeights(num_texts, counts)


def _find_places(hashes: Hashes) -> NDArray[np.int64]:
    import numpy as np

    places: NDArray[np.int64] = (hashes >> np.uint64(64 - _TABLE_BITS)).astype(np.int64)
    return places
