"""Thresholds found on validation rows: which labels to say yes to, and when to say "no answer"."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftkit.metrics.answers import measure_answers, overlap_answer
from ftkit.metrics.inputs import Floats, read_label_probabilities, read_numbers


@dataclass(frozen=True)
class Threshold:
    """A threshold and what it reaches on the rows that it was found on."""

    value: float
    score: float


def find_label_threshold(probabilities: Any, references: Any) -> Threshold:
    """Find the one threshold for all labels with the highest micro-F1.

    A label is predicted where its probability is the threshold or more. Of equally good thresholds
    the one nearest to 0.5 is taken; between two probabilities, their middle.

    Args:
        probabilities: shape (rows, labels).
        references: zeros and ones, shape (rows, labels).
    """
    predicted, true = read_label_probabilities("label threshold", probabilities, references)
    scores, right = predicted.ravel(), true.ravel()
    order = np.argsort(-scores, kind="stable")
    hits = np.concatenate([[0], np.cumsum(right[order])])
    num_decisions = np.arange(len(order) + 1) + right.sum()
    f1 = np.divide(2 * hits, num_decisions, out=np.zeros(len(hits)), where=num_decisions > 0)
    return _choose(-scores[order], f1, neutral=-0.5, flip=True)


def find_answer_threshold(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    no_answer_scores: Sequence[float],
    *,
    compare: Callable[[str, str], float] = overlap_answer,
) -> Threshold:
    """Find up to which no-answer score an answer is given, for the highest mean score.

    Of equally good thresholds the one nearest to 0 is taken.

    Args:
        predictions: the best answer of each row, whether it will be given or not.
        references: right answers per row; none where there is no answer.
        no_answer_scores: per row; an answer is given where it is the threshold or less.
        compare: `overlap_answer` for F1, `match_answer` for exact match.
    """
    given = measure_answers(predictions, references, compare=compare)[:, 0]
    withheld = measure_answers([""] * len(given), references, compare=compare)[:, 0]
    scores, gains = read_numbers("answer threshold", no_answer_scores, given - withheld)
    order = np.argsort(scores, kind="stable")
    means = (withheld.sum() + np.concatenate([[0.0], np.cumsum(gains[order])])) / len(given)
    return _choose(scores[order], means, neutral=0.0)


def _choose(ascending: Floats, reached: Floats, *, neutral: float, flip: bool = False) -> Threshold:
    """Choose among the gaps between scores; reached[n] is what the n lowest scores reach together."""
    lowest, highest = min(ascending[0], neutral) - 1, max(ascending[-1], neutral) + 1
    edges = np.concatenate([[lowest], ascending, [highest]])
    gaps = np.flatnonzero(edges[:-1] < edges[1:])  # equal scores fall on the same side
    low, high = edges[gaps], edges[gaps + 1]
    best = np.flatnonzero(reached[gaps] >= reached[gaps].max() - 1e-12)
    middles = low + (high - low) / 2
    middles = np.where(middles < high, middles, low)  # neighbouring floats have no middle
    # A gap that holds the neutral value offers it; any other offers its middle.
    values = np.where((low <= neutral) & (neutral < high), neutral, middles)
    chosen = best[np.argmin(abs(values[best] - neutral))]
    value = -values[chosen] if flip else values[chosen]
    return Threshold(float(value), float(reached[gaps][chosen]))
