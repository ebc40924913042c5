"""Scores of generated texts: BLEU and chrF by sacrebleu, ROUGE by rouge-score, exact match."""

import functools
import itertools
import logging
import string
import unicodedata
from typing import Any

import numpy as np

from ftkit.errors import MetricError
from ftkit.metrics.inputs import Floats, read_texts
from ftkit.metrics.scripts import find_script, split_words

logger = logging.getLogger(__name__)

_BLEU_ORDER = 4


def choose_bleu_tokenizer(references: list[list[str]]) -> str:
    """Choose how BLEU finds words, by the script of the references.

    Returns:
        sacrebleu's name: "zh" for Chinese, "char" for other scripts without spaces, else "13a".
    """
    tokenizers = {"han": "zh", "unspaced": "char", "spaced": "13a"}
    return tokenizers[find_script(itertools.chain.from_iterable(references))]


def measure_bleu(predictions: Any, references: Any, *, tokenize: str = "auto") -> Floats:
    """Count what BLEU sums over a corpus.

    Args:
        predictions: one text per row.
        references: one text per row, or a list of them.
        tokenize: a tokenizer that sacrebleu knows, or "auto": by the script of the references.

    Returns:
        Shape (rows, 10): length, reference length, matching n-grams and n-grams of order 1 to 4.
    """
    from sacrebleu.metrics import BLEU

    texts, accepted = read_texts("bleu", predictions, references)
    tokenizer = choose_bleu_tokenizer(accepted) if tokenize == "auto" else tokenize
    if tokenizer not in BLEU.TOKENIZERS:
        raise MetricError(
            f"bleu: unknown tokenizer {tokenizer!r}; sacrebleu has {', '.join(BLEU.TOKENIZERS)}"
        )
    logger.info("bleu: words are found by sacrebleu's tokenizer %s", tokenizer)
    return _measure(BLEU(tokenize=tokenizer), texts, accepted)


def combine_bleu(sums: Floats) -> float:
    """Compute BLEU in points from summed counts."""
    from sacrebleu.metrics import BLEU

    counts = [int(value) for value in sums]
    correct, total = counts[2 : 2 + _BLEU_ORDER], counts[2 + _BLEU_ORDER :]
    score = BLEU.compute_bleu(correct, total, counts[0], counts[1], smooth_method="exp")
    return float(score.score)


def score_bleu(predictions: Any, references: Any, *, tokenize: str = "auto") -> float:
    """Compute BLEU in points, with sacrebleu's defaults but for the tokenizer (see `measure_bleu`)."""
    sums = measure_bleu(predictions, references, tokenize=tokenize).sum(axis=0)
    if sums[2] and not sums[-1]:
        logger.warning("bleu: no prediction has four words, so BLEU is 0 by definition; look at chrf instead")
    return combine_bleu(sums)


def measure_chrf(predictions: Any, references: Any) -> Floats:
    """Count what chrF sums over a corpus, shape (rows, 18): n-grams, reference n-grams and hits by order."""
    return _measure(_make_chrf(), *read_texts("chrf", predictions, references))


def combine_chrf(sums: Floats) -> float:
    """Compute chrF2 in points from summed counts."""
    return float(_make_chrf()._compute_score_from_stats(sums.tolist()).score)


def measure_rouge(predictions: Any, references: Any, *, rouge_type: str) -> Floats:
    """Give each row's ROUGE F1 against its best reference: columns F1 and 1.

    Args:
        predictions: one text per row.
        references: one text per row, or a list of them.
        rouge_type: "rouge1", "rouge2", "rougeL" or "rougeLsum" (sentences are lines).
    """
    from rouge_score.rouge_scorer import RougeScorer

    texts, accepted = read_texts(rouge_type, predictions, references)
    scorer = RougeScorer([rouge_type], tokenizer=_Words())
    scores = [
        scorer.score_multi(row, text)[rouge_type].fmeasure for text, row in zip(texts, accepted, strict=True)
    ]
    return np.stack([np.array(scores), np.ones(len(scores))], axis=1)


def measure_exact_match(
    predictions: Any, references: Any, *, ignore_case: bool = False, ignore_punctuation: bool = False
) -> Floats:
    """Say for each row whether its text equals a reference: columns equal and 1.

    White space at both ends and the Unicode form (NFC) never matter.

    Args:
        predictions: one text per row.
        references: one text per row, or a list of them.
        ignore_case: whether A equals a.
        ignore_punctuation: whether punctuation of any script, and runs of white space, matter.
    """
    normalise = functools.partial(_normalise, ignore_case=ignore_case, ignore_punctuation=ignore_punctuation)
    texts, accepted = read_texts("exact_match", predictions, references)
    equal = [normalise(text) in map(normalise, row) for text, row in zip(texts, accepted, strict=True)]
    return np.stack([equal, np.ones(len(equal))], axis=1).astype(np.float64)


class _Words:
    """The tokenizer that rouge-score asks for; its own deletes every letter beyond a to z."""

    tokenize = staticmethod(split_words)


@functools.cache
def _make_chrf() -> Any:
    from sacrebleu.metrics import CHRF

    return CHRF()


def _measure(metric: Any, texts: list[str], accepted: list[list[str]]) -> Floats:
    # The two underscored methods are what sacrebleu's own significance tests are made of.
    streams = list(itertools.zip_longest(*accepted))
    return np.array(metric._extract_corpus_statistics(texts, streams), dtype=np.float64)


def _normalise(text: str, *, ignore_case: bool, ignore_punctuation: bool) -> str:
    text = unicodedata.normalize("NFC", text).strip()
    if ignore_case:
        text = text.casefold()
    if ignore_punctuation:
        kept = ("" if unicodedata.category(c)[0] == "P" or c in string.punctuation else c for c in text)
        text = " ".join("".join(kept).split())
    return text
