"""Scores of extracted answers, as the scripts of SQuAD 2.0 and, for Chinese, CMRC 2018 compute them.

https://rajpurkar.github.io/SQuAD-explorer/ (evaluate-v2.0.py)
https://github.com/ymcui/cmrc2018 (cmrc2018_evaluate.py)

One difference: CMRC cuts Latin words inside a Chinese answer with NLTK's tokenizer, whose data has
to be downloaded; here spaces cut them.
"""

import re
import string
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from ftkit.metrics.inputs import Floats, read_answers
from ftkit.metrics.scripts import is_unspaced

_ARTICLES = re.compile(r"\b(a|an|the)\b", re.UNICODE)
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
_CMRC_PUNCTUATION = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")


def match_answer(prediction: str, reference: str) -> float:
    """Say whether an answer equals a right one after normalisation, 1 or 0."""
    normalise = _normalise_characters if is_unspaced(prediction + reference) else _normalise_words
    return float(normalise(prediction) == normalise(reference))


def overlap_answer(prediction: str, reference: str) -> float:
    """Compute F1 of two answers.

    SQuAD counts the words they share, in any order. Where one has a character of a script without
    spaces, CMRC counts the longest run of characters that both have.
    """
    if is_unspaced(prediction + reference):
        predicted, true = _split_characters(prediction), _split_characters(reference)
        shared = _find_longest_run(predicted, true)
    else:
        predicted, true = _normalise_words(prediction).split(), _normalise_words(reference).split()
        shared = sum((Counter(predicted) & Counter(true)).values())
    if not predicted or not true:
        return float(predicted == true)
    return 2 * shared / (len(predicted) + len(true))


def measure_answers(predictions: Any, references: Any, *, compare: Callable[[str, str], float]) -> Floats:
    """Score each row against its best reference: columns score and 1.

    Args:
        predictions: one text per row; an empty one says that there is no answer.
        references: right answers per row; none where there is no answer.
        compare: scores an answer against one reference, `match_answer` or `overlap_answer`.
    """
    texts, accepted = read_answers("answers", predictions, references)
    scores = []
    for text, row in zip(texts, accepted, strict=True):
        # The official script drops references of which normalisation leaves nothing.
        kept = [reference for reference in row if _normalise_words(reference)] or [""]
        scores.append(max(compare(text, reference) for reference in kept))
    return np.stack([np.array(scores), np.ones(len(scores))], axis=1)


def _normalise_words(text: str) -> str:
    text = _ARTICLES.sub(" ", text.lower().translate(_ASCII_PUNCTUATION))
    return " ".join(text.split())


def _normalise_characters(text: str) -> str:
    return text.lower().strip().translate(_CMRC_PUNCTUATION)


def _split_characters(text: str) -> list[str]:
    """Part scripts without spaces into characters, and the rest at spaces."""
    spread = (
        f" {character} " if is_unspaced(character) else character for character in _normalise_characters(text)
    )
    return "".join(spread).split()


def _find_longest_run(first: list[str], second: list[str]) -> int:
    longest, lengths = 0, [0] * (len(second) + 1)
    for token in first:
        lengths = [
            0,
            *(length + 1 if token == other else 0 for length, other in zip(lengths, second, strict=False)),
        ]
        longest = max(longest, *lengths)
    return longest
