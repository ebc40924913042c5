import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.errors import MetricError
from ftkit.metrics import score
from ftkit.metrics.answers import match_answer
from ftkit.metrics.thresholds import Threshold, find_answer_threshold, find_label_threshold

PROBABILITY = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.50001, 0.7, 1.0])
DECISIONS = st.lists(
    st.tuples(PROBABILITY, PROBABILITY, st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=12
)
ANSWERS = st.lists(
    st.tuples(
        st.sampled_from(["a b", "a", ""]), st.sampled_from([(), ("a b",)]), st.sampled_from([-2.0, 0.0, 1.5])
    ),
    min_size=1,
    max_size=10,
)


@given(DECISIONS)
@settings(deadline=None, max_examples=40)
def test_the_label_threshold_is_as_good_as_any(rows):
    probabilities = np.array([row[:2] for row in rows])
    references = np.array([row[2:] for row in rows])
    found = find_label_threshold(probabilities, references)
    reached = [
        score("multilabel_micro_f1", (probabilities >= value).astype(int), references)
        for value in [*probabilities.ravel(), 2.0]
    ]
    assert found.score == pytest.approx(max(reached))
    at_threshold = score("multilabel_micro_f1", (probabilities >= found.value).astype(int), references)
    assert at_threshold == pytest.approx(found.score)


def test_the_label_threshold_lies_between_the_probabilities_it_parts():
    found = find_label_threshold([[0.9, 0.1], [0.8, 0.2]], [[1, 0], [1, 0]])
    assert found == Threshold(0.5, 1.0)  # anything from 0.2 to 0.8 does; 0.5 is what people expect
    assert find_label_threshold([[0.4, 0.1], [0.3, 0.2]], [[1, 0], [1, 0]]).value == pytest.approx(0.25)


def test_the_label_threshold_of_neighbouring_floats_parts_them():
    low = 0.3
    high = float(np.nextafter(low, 1))
    found = find_label_threshold([[high, low]], [[1, 0]])
    assert low < found.value <= high


def test_label_thresholds_need_probabilities_and_label_sets():
    with pytest.raises(MetricError, match="label threshold: 1 of the predictions are not finite"):
        find_label_threshold([[float("nan"), 0.1]], [[1, 0]])


@given(ANSWERS)
@settings(deadline=None)
def test_the_answer_threshold_is_as_good_as_any(rows):
    predictions, references, scores = (list(column) for column in zip(*rows, strict=True))

    def reach(threshold):
        given_answers = [
            text if no_answer <= threshold else ""
            for text, no_answer in zip(predictions, scores, strict=True)
        ]
        return score("answer_f1", given_answers, references)

    found = find_answer_threshold(predictions, references, scores)
    assert found.score == pytest.approx(max(reach(value) for value in [-9.0, *scores]))
    assert reach(found.value) == pytest.approx(found.score)


def test_the_answer_threshold_parts_questions_with_and_without_answer():
    found = find_answer_threshold(["Paris", "Rome", "Oslo"], [["Paris"], [], ["Oslo"]], [-3.0, 4.0, 2.0])
    assert found == Threshold(3.0, 1.0)


def test_without_a_better_one_the_answer_threshold_is_zero():
    assert find_answer_threshold(["Paris"], [["Paris"]], [-1.0]).value == 0.0


def test_the_answer_threshold_can_be_found_for_exact_match():
    found = find_answer_threshold(["the big Paris", "x"], [["Paris"], []], [0.0, 1.0], compare=match_answer)
    assert found.score == 0.5
