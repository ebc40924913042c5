"""Predictions and references as arrays or lists of the right shape, or one clear error."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ftkit.errors import MetricError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def check_rows(name: str, predictions: Sequence[Any], references: Sequence[Any]) -> None:
    """Refuse nothing at all, and lists of unequal length."""
    if len(predictions) != len(references):
        found = f"found {len(predictions)} predictions and {len(references)} references"
        raise MetricError(
            f"{name}: each row needs a prediction and a reference; {found}; score the same rows"
        )
    if not len(references):
        raise MetricError(f"{name}: there is nothing to score; found 0 rows; give at least one")


def read_numbers(name: str, predictions: Any, references: Any) -> tuple[Floats, Floats]:
    """Read one finite number per row from both sides, each of shape (rows,)."""
    check_rows(name, predictions, references)
    return _read_finite(name, "predictions", predictions, 1), _read_finite(name, "references", references, 1)


def read_counts(name: str, predictions: Any, references: Any) -> tuple[Floats, Floats]:
    """Read a sum per row and over how many units it goes, each of shape (rows,)."""
    sums, counts = read_numbers(name, predictions, references)
    negative = np.flatnonzero(counts < 0)
    if negative.size:
        row = negative[0]
        raise MetricError(f"{name}: references[{row}] is {counts[row]:g}; it counts units: give 0 or more")
    return sums, counts


def read_labels(
    name: str, predictions: Sequence[Any], references: Sequence[Any]
) -> tuple[Integers, Integers, list[Any]]:
    """Number the labels of both sides alike.

    Returns:
        Predicted and true label numbers, each of shape (rows,), and the labels in sorted order.
    """
    check_rows(name, predictions, references)
    arrays = [_read_labels(name, "predictions", predictions), _read_labels(name, "references", references)]
    if (arrays[0].dtype.kind == "U") != (arrays[1].dtype.kind == "U"):
        found = f"found {arrays[0].tolist()[0]!r} and {arrays[1].tolist()[0]!r}"
        raise MetricError(f"{name}: predictions and references name labels differently; {found}; use one way")
    labels, numbers = np.unique(np.concatenate(arrays), return_inverse=True)
    return numbers[: len(predictions)], numbers[len(predictions) :], labels.tolist()


def read_label_sets(name: str, predictions: Any, references: Any) -> tuple[Integers, Integers]:
    """Read zeros and ones, each of shape (rows, labels)."""
    probabilities, references = read_label_probabilities(name, predictions, references)
    return _read_bits(name, "predictions", probabilities), references


def read_label_probabilities(name: str, predictions: Any, references: Any) -> tuple[Floats, Integers]:
    """Read a number per label from predictions and zeros and ones from references, each (rows, labels)."""
    check_rows(name, predictions, references)
    predicted = _read_finite(name, "predictions", predictions, 2)
    true = _read_finite(name, "references", references, 2)
    if predicted.shape != true.shape:
        found = f"found {predicted.shape[1]} and {true.shape[1]}"
        raise MetricError(f"{name}: predictions and references differ in the number of labels; {found}")
    if predicted.shape[1] < 2:
        found = f"found {predicted.shape[1]}"
        raise MetricError(
            f"{name}: sets of labels need two labels at least; {found}; score it as one label per row"
        )
    return predicted, _read_bits(name, "references", true)


def read_texts(name: str, predictions: Any, references: Any) -> tuple[list[str], list[list[str]]]:
    """Read one text and at least one reference text per row."""
    texts, accepted = read_answers(name, predictions, references)
    for row, row_texts in enumerate(accepted):
        if not row_texts:
            raise MetricError(f"{name}: references[{row}] is an empty list; give one text or more")
    return texts, accepted


def read_answers(name: str, predictions: Any, references: Any) -> tuple[list[str], list[list[str]]]:
    """Read one text per row, and a list of reference texts that may be empty."""
    check_rows(name, predictions, references)
    accepted = [[row] if isinstance(row, str) else list(row or ()) for row in references]
    for side, rows in (("predictions", [[text] for text in predictions]), ("references", accepted)):
        for row, texts in enumerate(rows):
            wrong = [text for text in texts if not isinstance(text, str)]
            if wrong:
                raise MetricError(f"{name}: {side}[{row}] is no text; found {wrong[0]!r}; give a string")
    return list(predictions), accepted


def read_tags(name: str, predictions: Any, references: Any) -> tuple[list[list[str]], list[list[str]]]:
    """Read as many predicted as true tags in each row."""
    check_rows(name, predictions, references)
    for row, (predicted, true) in enumerate(zip(predictions, references, strict=True)):
        if isinstance(predicted, str) or isinstance(true, str):
            raise MetricError(f"{name}: row {row} is a string; give a list with one tag per word")
        if len(predicted) != len(true):
            found = f"found {len(predicted)} predicted and {len(true)} true tags"
            raise MetricError(f"{name}: row {row} needs one tag per word on both sides; {found}")
        wrong = [tag for tag in (*predicted, *true) if not isinstance(tag, str)]
        if wrong:
            raise MetricError(
                f"{name}: row {row} has a tag that is no text; found {wrong[0]!r}; give tag names"
            )
    return [list(tags) for tags in predictions], [list(tags) for tags in references]


def _read_finite(name: str, side: str, values: Any, num_dimensions: int) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"{name}: {side} are no numbers, or rows differ in length; {error}") from error
    if array.ndim != num_dimensions:
        expected = "one number per row" if num_dimensions == 1 else "one row of numbers per row"
        raise MetricError(f"{name}: {side} have shape {array.shape}; give {expected}")
    broken = np.argwhere(~np.isfinite(array))
    if broken.size:
        row = int(broken[0][0])
        found = f"{side}[{row}] is {array[tuple(broken[0])]}"
        raise MetricError(f"{name}: {len(broken)} of the {side} are not finite; {found}; find out why first")
    return array


def _read_bits(name: str, side: str, array: Floats) -> Integers:
    wrong = np.argwhere((array != 0) & (array != 1))
    if wrong.size:
        row, label = (int(index) for index in wrong[0])
        found = f"{side}[{row}][{label}] is {array[row, label]:g}"
        raise MetricError(f"{name}: sets of labels are zeros and ones; {found}; apply a threshold first")
    return array.astype(np.int64)


def _read_labels(name: str, side: str, values: Any) -> npt.NDArray[Any]:
    array = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=object)
    if array.ndim != 1:
        raise MetricError(
            f"{name}: {side} have shape {array.shape}; give one label per row (argmax of the logits)"
        )
    if all(isinstance(label, str) for label in array):
        return array.astype(np.str_)
    for row, label in enumerate(array):
        if isinstance(label, str) or not _is_whole(label):
            raise MetricError(
                f"{name}: {side}[{row}] is {label!r}; labels are all texts or all whole numbers"
            )
    return array.astype(np.int64)


def _is_whole(value: Any) -> bool:
    try:
        return bool(int(value) == value)
    except (TypeError, ValueError, OverflowError):
        return False
