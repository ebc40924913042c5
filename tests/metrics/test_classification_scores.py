import dataclasses

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.errors import MetricError
from ftkit.metrics import measure_rows, score, score_sums
from ftkit.metrics.classification import count_confusions, score_per_class

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30)
LABEL_SETS = st.lists(
    st.tuples(
        st.lists(st.integers(0, 1), min_size=3, max_size=3),
        st.lists(st.integers(0, 1), min_size=3, max_size=3),
    ),
    min_size=1,
    max_size=20,
)


def count_by_hand(predictions, references, label):
    """Return precision, recall and F1 of one label, the slow obvious way."""
    pairs = list(zip(predictions, references, strict=True))
    hits = sum(predicted == true == label for predicted, true in pairs)
    num_predicted = sum(predicted == label for predicted, _ in pairs)
    num_true = sum(true == label for _, true in pairs)
    precision = hits / num_predicted if num_predicted else 0.0
    recall = hits / num_true if num_true else 0.0
    return precision, recall, 2 * precision * recall / (precision + recall) if hits else 0.0


def test_accuracy_counts_the_right_rows():
    assert score("accuracy", [0, 1, 1, 0], [0, 1, 0, 1]) == 0.5


@given(LABELS)
@settings(deadline=None)
def test_macro_scores_average_what_is_counted_by_hand(pairs):
    predictions, references = zip(*pairs, strict=True)
    by_hand = np.mean(
        [count_by_hand(predictions, references, label) for label in {*predictions, *references}], axis=0
    )
    for name, expected in zip(("macro_precision", "macro_recall", "macro_f1"), by_hand, strict=True):
        assert score(name, predictions, references) == pytest.approx(expected, abs=1e-12)


@given(LABELS)
@settings(deadline=None)
def test_micro_f1_of_single_labels_is_accuracy(pairs):
    predictions, references = zip(*pairs, strict=True)
    assert score("micro_f1", predictions, references) == pytest.approx(
        score("accuracy", predictions, references)
    )


@given(LABELS)
@settings(deadline=None)
@pytest.mark.parametrize("name", ["macro_f1", "weighted_f1", "micro_f1", "macro_precision", "macro_recall"])
def test_counts_give_what_scikit_learn_gives(name, pairs):
    predictions, references = zip(*pairs, strict=True)
    sums = measure_rows(name, predictions, references).sum(axis=0)
    assert score_sums(name, sums) == pytest.approx(score(name, predictions, references), abs=1e-12)


@given(LABELS)
@settings(deadline=None)
def test_matthews_correlation_from_counts_is_that_of_scikit_learn(pairs):
    predictions, references = zip(*pairs, strict=True)
    sums = measure_rows("matthews_correlation", predictions, references).sum(axis=0)
    expected = score("matthews_correlation", predictions, references)
    assert score_sums("matthews_correlation", sums) == pytest.approx(expected, abs=1e-12)


def test_matthews_correlation_of_the_textbook_example():
    # scikit-learn's own: (tp * tn - fp * fn) / sqrt(3 * 3 * 1 * 1) = (2 * 0 - 1 * 1) / 3
    assert score("matthews_correlation", [1, -1, 1, 1], [1, 1, 1, -1]) == pytest.approx(-1 / 3)


def test_a_single_label_everywhere_has_no_matthews_correlation():
    assert score("matthews_correlation", [1, 1], [1, 1]) == 0.0


def test_always_guessing_one_label_has_full_accuracy_on_it_and_low_macro_f1():
    predictions, references = [0] * 10, [0] * 9 + [1]
    assert score("accuracy", predictions, references) == 0.9
    assert score("macro_f1", predictions, references) == pytest.approx((18 / 19) / 2)


def test_labels_may_be_texts_in_any_script():
    assert score("accuracy", ["垃圾", "正常"], ["垃圾", "垃圾"]) == 0.5


def test_arrays_of_numpy_are_labels_too():
    assert score("accuracy", np.array([0, 1]), np.array([0, 1])) == 1.0


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([0, 1], ["ham", "spam"], "name labels differently; found 0 and 'ham'"),
        ([0.2, 0.9], [0, 1], r"predictions\[0\] is 0.2; labels are all texts or all whole numbers"),
        ([float("nan"), 1.0], [0, 1], r"predictions\[0\] is nan"),
        ([[0.1, 0.9], [0.8, 0.2]], [1, 0], r"shape \(2, 2\); give one label per row"),
        ([None, 1], [0, 1], r"predictions\[0\] is None"),
        ([0, "1"], [0, 1], r"predictions\[1\] is '1'"),
    ],
)
def test_what_is_no_label_is_an_error(predictions, references, message):
    with pytest.raises(MetricError, match=message):
        score("accuracy", predictions, references)


def test_scores_per_class_name_every_label_even_one_that_never_occurs():
    table = score_per_class([0, 1, 1], [0, 1, 0], label_names=["ham", "spam", "other"])
    assert [dataclasses.astuple(line) for line in table] == [
        ("ham", 1.0, 0.5, pytest.approx(2 / 3), 2),
        ("spam", 0.5, 1.0, pytest.approx(2 / 3), 1),
        ("other", 0.0, 0.0, 0.0, 0),
    ]


def test_scores_per_class_take_labels_by_their_names():
    by_name = score_per_class(["spam", "ham"], ["spam", "spam"], label_names=["ham", "spam"])
    assert by_name == score_per_class([1, 0], [1, 1], label_names=["ham", "spam"])


def test_scores_per_class_without_names_list_the_labels_that_occur():
    assert [line.label for line in score_per_class([3, 7], [3, 3])] == ["3", "7"]


def test_scores_per_class_of_label_sets_score_each_column():
    table = score_per_class([[1, 0], [1, 1]], [[1, 1], [0, 1]], label_names=["gui", "net"])
    assert [(line.label, line.precision, line.recall, line.support) for line in table] == [
        ("gui", 0.5, 1.0, 1),
        ("net", 1.0, 0.5, 2),
    ]


def test_a_label_without_a_name_is_an_error():
    with pytest.raises(MetricError, match=r"label 2 has no name; the labels are \['ham', 'spam'\]"):
        score_per_class([2], [1], label_names=["ham", "spam"])


def test_as_many_names_as_columns_are_needed():
    with pytest.raises(MetricError, match="3 label names for 2 labels"):
        score_per_class([[1, 0]], [[1, 1]], label_names=["a", "b", "c"])


def test_confusions_have_a_row_for_each_true_label():
    names, counts = count_confusions([0, 1, 1, 1], [0, 0, 0, 1], label_names=["ham", "spam", "other"])
    assert names == ["ham", "spam", "other"]
    assert counts.tolist() == [[1, 2, 0], [0, 1, 0], [0, 0, 0]]


@given(LABEL_SETS)
@settings(deadline=None)
def test_micro_f1_of_label_sets_counts_single_decisions(pairs):
    predictions, references = (np.array(side) for side in zip(*pairs, strict=True))
    hits, decisions = (predictions * references).sum(), predictions.sum() + references.sum()
    expected = 2 * hits / decisions if decisions else 0.0
    assert score("multilabel_micro_f1", predictions, references) == pytest.approx(expected)


@given(LABEL_SETS)
@settings(deadline=None)
@pytest.mark.parametrize("name", ["multilabel_micro_f1", "multilabel_macro_f1", "subset_accuracy"])
def test_counts_of_label_sets_give_what_scikit_learn_gives(name, pairs):
    predictions, references = zip(*pairs, strict=True)
    sums = measure_rows(name, predictions, references).sum(axis=0)
    assert score_sums(name, sums) == pytest.approx(score(name, predictions, references), abs=1e-12)


def test_a_label_that_the_split_lacks_does_not_pull_macro_f1_down():
    assert score("multilabel_macro_f1", [[1, 0], [1, 0]], [[1, 0], [1, 0]]) == 1.0
    assert score("multilabel_macro_f1", [[1, 0], [1, 1]], [[1, 0], [1, 0]]) == 0.5


def test_no_label_at_all_scores_zero_without_a_warning():
    assert score("multilabel_micro_f1", [[0, 0]], [[0, 0]]) == 0.0
    assert score("multilabel_macro_f1", [[0, 0]], [[0, 0]]) == 0.0
    assert score("subset_accuracy", [[0, 0]], [[0, 0]]) == 1.0


def test_subset_accuracy_wants_the_whole_row():
    assert score("subset_accuracy", [[1, 0], [1, 1]], [[1, 0], [1, 0]]) == 0.5


def test_average_precision_of_the_textbook_example():
    # scikit-learn's own example, beside a label that never occurs and is left out
    probabilities = [[0.1, 0.5], [0.4, 0.5], [0.35, 0.5], [0.8, 0.5]]
    found = score("average_precision", probabilities, [[0, 0], [0, 0], [1, 0], [1, 0]])
    assert found == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)


def test_average_precision_is_the_mean_over_labels():
    draw = np.random.default_rng(0)
    true, probabilities = draw.integers(0, 2, (50, 4)), draw.random((50, 4))
    expected = sklearn.metrics.average_precision_score(true, probabilities, average="macro")
    assert score("average_precision", probabilities, true) == pytest.approx(expected)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=1, max_size=30))
def test_average_precision_is_that_of_scikit_learn_for_rows_of_the_same_probability_too(rows):
    probabilities, true = [number / 5 for number, _ in rows], [label for _, label in rows]
    true[0] = 1
    found = score("average_precision", [[one, 0] for one in probabilities], [[one, 0] for one in true])
    assert found == pytest.approx(sklearn.metrics.average_precision_score(true, probabilities))


def test_average_precision_without_any_label_is_an_error():
    with pytest.raises(MetricError, match="no label occurs"):
        score("average_precision", [[0.1, 0.2]], [[0, 0]])


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([[0.7, 0.1]], [[1, 0]], r"predictions\[0\]\[0\] is 0.7; apply a threshold first"),
        ([[1, 0]], [[2, 0]], r"references\[0\]\[0\] is 2"),
        ([[1, 0]], [[1, 0, 0]], "differ in the number of labels; found 2 and 3"),
        ([[1]], [[1]], "two labels at least; found 1"),
        ([[1, 0], [1]], [[1, 0], [1, 0]], "rows differ in length"),
        ([1, 0], [1, 0], r"shape \(2,\)"),
        ([[float("nan"), 0]], [[1, 0]], "1 of the predictions are not finite"),
    ],
)
def test_what_is_no_set_of_labels_is_an_error(predictions, references, message):
    with pytest.raises(MetricError, match=message):
        score("multilabel_micro_f1", predictions, references)
