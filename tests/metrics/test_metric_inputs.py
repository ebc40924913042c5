import numpy as np
import pytest

from ftkit.errors import MetricError
from ftkit.metrics.inputs import (
    read_answers,
    read_counts,
    read_label_probabilities,
    read_label_sets,
    read_labels,
    read_numbers,
    read_tags,
    read_texts,
)

READERS = [read_numbers, read_counts, read_labels, read_label_sets, read_texts, read_answers, read_tags]


@pytest.mark.parametrize("read", READERS)
def test_each_reader_wants_rows(read):
    with pytest.raises(
        MetricError, match="^here: there is nothing to score; found 0 rows; give at least one$"
    ):
        read("here", [], [])


@pytest.mark.parametrize("read", READERS)
def test_each_reader_wants_as_many_predictions_as_references(read):
    with pytest.raises(
        MetricError, match="^here: .*found 1 predictions and 2 references; score the same rows$"
    ):
        read("here", [0], [0, 1])


def test_an_empty_array_has_no_rows():
    with pytest.raises(MetricError, match="found 0 rows"):
        read_labels("here", np.array([]), np.array([]))


def test_labels_of_both_sides_are_numbered_alike_and_in_order():
    predicted, true, labels = read_labels("here", ["b", "c"], ["a", "b"])
    assert predicted.tolist() == [1, 2]
    assert true.tolist() == [0, 1]
    assert labels == ["a", "b", "c"]


def test_numbers_of_labels_come_back_as_plain_integers():
    _, _, labels = read_labels("here", np.array([5, 2]), [2.0, 5.0])
    assert labels == [2, 5]
    assert all(type(label) is int for label in labels)


def test_labels_that_hold_commas_quotes_or_nothing_stay_apart():
    _, _, labels = read_labels("here", ["", "a,b"], ["'", "类别 一"])
    assert sorted(labels) == sorted(["", "a,b", "'", "类别 一"])


def test_true_and_false_are_the_labels_one_and_zero():
    predicted, true, labels = read_labels("here", [True, False], [1, 1])
    assert labels == [0, 1]
    assert predicted.tolist() == [1, 0]
    assert true.tolist() == [1, 1]


def test_numbers_become_floats_of_one_dimension():
    predicted, true = read_numbers("here", [1, 2], np.array([3, 4], dtype=np.float32))
    assert predicted.dtype == true.dtype == np.float64
    assert predicted.shape == true.shape == (2,)


def test_the_error_counts_all_broken_numbers_and_shows_the_first():
    with pytest.raises(MetricError, match=r"2 of the references are not finite; references\[1\] is nan"):
        read_numbers("here", [1, 2, 3], [0, float("nan"), float("-inf")])


def test_probabilities_stay_as_they_are_while_references_become_whole():
    probabilities, true = read_label_probabilities("here", [[0.25, 0.5]], [[1.0, 0.0]])
    assert probabilities.tolist() == [[0.25, 0.5]]
    assert true.dtype == np.int64


def test_sets_of_labels_may_be_booleans():
    predicted, true = read_label_sets("here", np.array([[True, False]]), [[True, True]])
    assert predicted.tolist() == [[1, 0]]
    assert true.tolist() == [[1, 1]]


def test_a_single_reference_becomes_a_list_of_one():
    assert read_texts("here", ["a", "b"], ["x", ["y", "z"]]) == (["a", "b"], [["x"], ["y", "z"]])


def test_no_reference_means_no_answer():
    assert read_answers("here", ["a", "b", "c"], [[], None, ()])[1] == [[], [], []]


def test_tags_may_come_as_tuples():
    assert read_tags("here", [("O",)], [("B-PER",)]) == ([["O"]], [["B-PER"]])
