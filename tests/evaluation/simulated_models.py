"""Pairs of models whose true difference is known, for checking intervals and verdicts."""

import math
from dataclasses import dataclass

import numpy as np

from ftkit.evaluation.row_scores import SummedRows, divide_sums


def divide_then_exponentiate(sums):
    return np.exp(divide_sums(sums))


def average_f1(sums):
    """Macro-F1 over the classes that occur or are predicted; columns hits, then predicted + true."""
    hits, decisions = np.split(np.asarray(sums, dtype=float), 2, axis=1)
    occurs = decisions > 0.5
    f1 = np.divide(2 * hits, decisions, out=np.zeros_like(hits), where=occurs)
    return f1.sum(axis=1) / occurs.sum(axis=1)


def count_labels(predictions, references, num_labels):
    one_hot = np.eye(num_labels)
    hits = one_hot[predictions] * one_hot[references]
    return np.hstack([hits, one_hot[predictions] + one_hot[references]])


@dataclass(frozen=True)
class Shares:
    """Rows that are right or wrong, with correlated mistakes."""

    both_right: float
    only_base: float
    only_tuned: float

    @property
    def truth(self):
        return self.only_tuned - self.only_base

    def draw(self, rng, num_rows):
        only_one = self.only_base + self.only_tuned
        shares = [self.both_right, self.only_base, self.only_tuned, 1 - self.both_right - only_one]
        kind = rng.choice(4, size=num_rows, p=shares)
        ones = np.ones(num_rows)
        base, tuned = np.isin(kind, [0, 1]), np.isin(kind, [0, 2])
        return tuple(SummedRows(np.stack([right, ones], axis=1), divide_sums) for right in (base, tuned))


@dataclass(frozen=True)
class Losses:
    """Log-normal losses per token, summed over rows of uneven length."""

    spread: float
    gain: float
    perplexity: bool = False
    correlation: float = 0.64

    @property
    def truth(self):
        base = 2 * math.exp(self.spread**2 / 2)
        tuned = base * self.gain
        return math.exp(tuned) - math.exp(base) if self.perplexity else tuned - base

    def draw(self, rng, num_rows):
        tokens = np.maximum(1, rng.lognormal(4, 0.7, num_rows).round())
        shared, own = math.sqrt(self.correlation), math.sqrt(1 - self.correlation)
        common = rng.normal(size=num_rows)
        models = []
        for gain in (1.0, self.gain):
            losses = 2 * gain * np.exp(self.spread * (shared * common + own * rng.normal(size=num_rows)))
            combine = divide_then_exponentiate if self.perplexity else divide_sums
            models.append(SummedRows(np.stack([losses * tokens, tokens], axis=1), combine))
        return tuple(models)


@dataclass(frozen=True)
class Labels:
    """Labels of uneven frequency; each model finds a share of each label's rows."""

    prior: tuple
    base_recall: tuple
    tuned_recall: tuple

    @property
    def truth(self):
        return self._score(self.tuned_recall) - self._score(self.base_recall)

    def _score(self, recall):
        prior, recall = np.array(self.prior), np.array(recall)
        confusion = np.repeat(prior * (1 - recall) / (len(prior) - 1), len(prior)).reshape(len(prior), -1)
        np.fill_diagonal(confusion, prior * recall)
        sums = [*np.diag(confusion), *(confusion.sum(axis=0) + confusion.sum(axis=1))]
        return average_f1(np.array([sums]) * 1e6)[0]

    def draw(self, rng, num_rows):
        num_labels = len(self.prior)
        references = rng.choice(num_labels, size=num_rows, p=self.prior)
        luck = rng.random(num_rows)
        alike = rng.random(num_rows) < 0.7  # the models err on the same rows
        models = []
        for recall, drawn in (
            (self.base_recall, luck),
            (self.tuned_recall, np.where(alike, luck, rng.random(num_rows))),
        ):
            wrong = (references + rng.integers(1, num_labels, num_rows)) % num_labels
            predictions = np.where(drawn < np.take(recall, references), references, wrong)
            models.append(SummedRows(count_labels(predictions, references, num_labels), average_f1, (0, 1)))
        return tuple(models)


@dataclass(frozen=True)
class GroupedShares:
    """Rows right or wrong in conversations of uneven length, some easier than others."""

    base_skill: float = 0.2
    tuned_skill: float = 0.6

    @property
    def truth(self):
        normal = np.vectorize(lambda z: 0.5 * math.erfc(-z / math.sqrt(2)))
        return float(normal(self.tuned_skill / math.sqrt(1.89)) - normal(self.base_skill / math.sqrt(1.64)))

    def draw(self, rng, num_groups):
        """Return both models and the group of each row."""
        group_of_row = np.repeat(np.arange(num_groups), rng.geometric(0.15, num_groups))
        num_rows = len(group_of_row)
        ease = 0.8 * rng.normal(size=num_groups)[group_of_row]
        liking = 0.5 * rng.normal(size=num_groups)[group_of_row]
        luck, own = rng.normal(size=num_rows), rng.normal(size=num_rows)
        base = self.base_skill + ease + luck > 0
        tuned = self.tuned_skill + ease + liking + 0.7 * luck + math.sqrt(0.51) * own > 0
        ones = np.ones(num_rows)
        rows = [SummedRows(np.stack([right, ones], axis=1), divide_sums, (0, 1)) for right in (base, tuned)]
        return *rows, group_of_row


@dataclass(frozen=True)
class GroupedLosses:
    """Perplexity over documents, each harder or easier as a whole."""

    spread: float = 0.2
    gain: float = 0.15

    @property
    def truth(self):
        variance = 2 * self.spread**2
        base = 2 * math.exp(variance / 2)
        return math.exp(base * math.exp(0.01 - self.gain)) - math.exp(base)

    def draw(self, rng, num_groups):
        """Return both models and the group of each row."""
        group_of_row = np.repeat(np.arange(num_groups), rng.geometric(0.15, num_groups))
        num_rows = len(group_of_row)
        tokens = np.maximum(1, rng.lognormal(4, 0.7, num_rows).round())
        hardness = self.spread * rng.normal(size=num_groups)[group_of_row]
        base = 2 * np.exp(hardness + self.spread * rng.normal(size=num_rows))
        own = rng.normal(size=num_groups)[group_of_row] + rng.normal(size=num_rows)
        tuned = base * np.exp(0.1 * own - self.gain)
        rows = [
            SummedRows(np.stack([losses * tokens, tokens], axis=1), divide_then_exponentiate)
            for losses in (base, tuned)
        ]
        return *rows, group_of_row


def measure_coverage(models, num_rows, interval, *, seed, num_simulations=1_000):
    """Return in how many of the simulations the interval has the truth, as a share.

    `interval` takes what `models.draw` returns and a Generator.
    """
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(num_simulations):
        found = interval(models.draw(rng, num_rows), rng)
        hits += found.low - 1e-12 <= models.truth <= found.high + 1e-12
    return hits / num_simulations
