"""Scores of labels and of sets of labels, nearly all by scikit-learn."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftkit.errors import MetricError
from ftkit.metrics.inputs import (
    Floats,
    Integers,
    read_label_probabilities,
    read_label_sets,
    read_labels,
)


@dataclass(frozen=True)
class ClassScore:
    """How well one label, or one type of entity, is found."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int
    """How often it occurs in the references."""


def score_accuracy(predictions: Sequence[Any], references: Sequence[Any]) -> float:
    """Compute the share of rows with the right label."""
    from sklearn.metrics import accuracy_score

    predicted, true, _ = read_labels("accuracy", predictions, references)
    return float(accuracy_score(true, predicted))


def score_labels(
    predictions: Sequence[Any], references: Sequence[Any], *, statistic: str, average: str
) -> float:
    """Compute precision, recall or F1 over labels.

    Args:
        predictions: one label per row.
        references: one label per row.
        statistic: "precision", "recall" or "f1"; 0 for a label that is never predicted or never occurs.
        average: "micro", "macro" or "weighted", over the labels that occur or are predicted.
    """
    from sklearn.metrics import precision_recall_fscore_support

    predicted, true, _ = read_labels(f"{average}_{statistic}", predictions, references)
    scores = precision_recall_fscore_support(true, predicted, average=average, zero_division=0)
    return float(scores[("precision", "recall", "f1").index(statistic)])


def score_matthews(predictions: Sequence[Any], references: Sequence[Any]) -> float:
    """Compute the Matthews correlation; 0 where one side has a single label."""
    from sklearn.metrics import matthews_corrcoef

    predicted, true, labels = read_labels("matthews_correlation", predictions, references)
    if len(labels) == 1:  # scikit-learn would say 0 too, after a warning
        return 0.0
    return float(matthews_corrcoef(true, predicted))


def measure_accuracy(predictions: Sequence[Any], references: Sequence[Any]) -> Floats:
    """Say for each row whether its label is right: columns right and 1."""
    predicted, true, _ = read_labels("accuracy", predictions, references)
    return np.stack([predicted == true, np.ones(len(true))], axis=1).astype(np.float64)


def measure_labels(predictions: Sequence[Any], references: Sequence[Any]) -> Floats:
    """Count hits, predicted and true of each label that occurs, shape (rows, 3 * labels)."""
    predicted, true, labels = read_labels("labels", predictions, references)
    num_labels = len(labels)
    return _count_decisions(np.eye(num_labels)[predicted], np.eye(num_labels)[true])


def measure_label_sets(predictions: Any, references: Any) -> Floats:
    """Count hits, predicted and true of each label, shape (rows, 3 * labels)."""
    predicted, true = read_label_sets("label_sets", predictions, references)
    return _count_decisions(predicted, true)


def measure_subset_accuracy(predictions: Any, references: Any) -> Floats:
    """Say for each row whether all its labels are right: columns right and 1."""
    predicted, true = read_label_sets("subset_accuracy", predictions, references)
    return np.stack([(predicted == true).all(axis=1), np.ones(len(true))], axis=1).astype(np.float64)


def score_label_sets(predictions: Any, references: Any, *, average: str) -> float:
    """Compute F1 over sets of labels; 0 where no label occurs and none is predicted.

    Args:
        predictions: zeros and ones, shape (rows, labels).
        references: zeros and ones, shape (rows, labels).
        average: "micro", or "macro" over the labels that occur or are predicted (a label that the
            split lacks would pull the mean towards 0 however good the model is).
    """
    from sklearn.metrics import f1_score

    predicted, true = read_label_sets(f"multilabel_{average}_f1", predictions, references)
    present = np.flatnonzero((predicted | true).any(axis=0))
    if not present.size:
        return 0.0
    return float(f1_score(true, predicted, labels=present, average=average, zero_division=0))


def score_subset_accuracy(predictions: Any, references: Any) -> float:
    """Compute the share of rows whose labels are all right."""
    from sklearn.metrics import accuracy_score

    predicted, true = read_label_sets("subset_accuracy", predictions, references)
    return float(accuracy_score(true, predicted))


def score_average_precision(predictions: Any, references: Any) -> float:
    """Average the precision over all thresholds, over the labels that occur.

    Args:
        predictions: probabilities (or anything that ranks rows alike), shape (rows, labels).
        references: zeros and ones, shape (rows, labels).

    Raises:
        MetricError: no label occurs in the references.
    """
    probabilities, true = read_label_probabilities("average_precision", predictions, references)
    present = np.flatnonzero(true.any(axis=0))
    if not present.size:
        raise MetricError(
            "average_precision: no label occurs in the references; found zeros only; give other rows"
        )
    return float(np.mean([_average_precisions(probabilities[:, label], true[:, label]) for label in present]))


def _average_precisions(probabilities: Floats, true: Integers) -> float:
    """Compute what scikit-learn's `average_precision_score` does, a hundred times as fast.

    Resampling scores thousands of times, and the checks there take nearly all of the time.

    Args:
        probabilities: of one label, shape (rows,).
        true: zeros and ones, shape (rows,); one at least is 1.
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked, hits = probabilities[order], np.cumsum(true[order])
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)  # rows of one probability go together
    found = np.diff(hits[last], prepend=0)
    return float((found * (hits[last] / (last + 1))).sum() / hits[-1])


def score_per_class(
    predictions: Any, references: Any, *, label_names: Sequence[str] | None = None
) -> list[ClassScore]:
    """Score each label alone.

    Args:
        predictions: one label per row, or zeros and ones of shape (rows, labels).
        references: the same for what is true.
        label_names: names of the labels 0, 1, ...; each gets a line, whether it occurs or not.
            None for the labels that occur, by their own names.
    """
    from sklearn.metrics import precision_recall_fscore_support

    predicted, true, names = _read_either("scores per class", predictions, references, label_names)
    columns = precision_recall_fscore_support(
        true, predicted, labels=range(len(names)), average=None, zero_division=0
    )
    return [
        ClassScore(name, float(precision), float(recall), float(f1), int(support))
        for name, precision, recall, f1, support in zip(names, *columns, strict=True)
    ]


def count_confusions(
    predictions: Sequence[Any], references: Sequence[Any], *, label_names: Sequence[str] | None = None
) -> tuple[list[str], Integers]:
    """Count which label is taken for which.

    Args:
        predictions: one label per row.
        references: one label per row.
        label_names: names of the labels 0, 1, ...; None for the labels that occur.

    Returns:
        The names, and counts of shape (true label, predicted label).
    """
    from sklearn.metrics import confusion_matrix

    predicted, true, names = _read_named("confusion matrix", predictions, references, label_names)
    return names, confusion_matrix(true, predicted, labels=range(len(names)))


def _count_decisions(predicted: Any, true: Any) -> Floats:
    counts = np.stack([predicted * true, predicted, true], axis=2).astype(np.float64)
    return counts.reshape(len(counts), -1)


def _read_either(name: str, predictions: Any, references: Any, label_names: Sequence[str] | None) -> Any:
    if np.ndim(references[0] if len(references) else 0) == 0:
        return _read_named(name, predictions, references, label_names)
    predicted, true = read_label_sets(name, predictions, references)
    names = list(label_names or map(str, range(true.shape[1])))
    if len(names) != true.shape[1]:
        raise MetricError(
            f"{name}: there are {len(names)} label names for {true.shape[1]} labels; name each one"
        )
    return predicted, true, names


def _read_named(name: str, predictions: Any, references: Any, label_names: Sequence[str] | None) -> Any:
    predicted, true, labels = read_labels(name, predictions, references)
    if label_names is None:
        return predicted, true, [str(label) for label in labels]
    numbers = {label: number for number, known in enumerate(label_names) for label in (number, known)}
    unknown = [label for label in labels if label not in numbers]
    if unknown:
        raise MetricError(f"{name}: label {unknown[0]!r} has no name; the labels are {list(label_names)}")
    order = np.array([numbers[label] for label in labels])
    return order[predicted], order[true], list(label_names)
