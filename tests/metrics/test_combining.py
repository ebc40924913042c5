import math
import random

import numpy as np
import pytest

from ftkit.metrics.combining import combine_classes, combine_matthews, combine_pearson, combine_ratio, to_bits

# two classes: 3 hits of 4 predicted and 6 true, 1 hit of 5 predicted and 2 true
COUNTS = np.array([3, 4, 6, 1, 5, 2])


@pytest.mark.parametrize(
    ("statistic", "average", "expected"),
    [
        ("precision", "macro", (3 / 4 + 1 / 5) / 2),
        ("recall", "macro", (3 / 6 + 1 / 2) / 2),
        ("f1", "macro", (6 / 10 + 2 / 7) / 2),
        ("precision", "weighted", (3 / 4 * 6 + 1 / 5 * 2) / 8),
        ("f1", "weighted", (6 / 10 * 6 + 2 / 7 * 2) / 8),
        ("precision", "micro", 4 / 9),
        ("recall", "micro", 4 / 8),
        ("f1", "micro", 8 / 17),
    ],
)
def test_counts_become_precision_recall_and_f1(statistic, average, expected):
    assert combine_classes(COUNTS, statistic=statistic, average=average) == pytest.approx(expected)


@pytest.mark.parametrize("statistic", ["precision", "recall", "f1"])
@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_a_class_that_is_never_seen_changes_nothing(statistic, average):
    with_absent = np.concatenate([COUNTS, [0, 0, 0]])
    found = combine_classes(with_absent, statistic=statistic, average=average)
    assert found == combine_classes(COUNTS, statistic=statistic, average=average)


def test_a_class_that_is_predicted_and_never_true_scores_zero_in_the_mean():
    assert combine_classes(np.array([2, 2, 2, 0, 1, 0]), average="macro") == 0.5


@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_no_decision_at_all_is_not_a_number(average):
    assert math.isnan(combine_classes(np.zeros(6), average=average))


def test_nothing_true_has_no_weights():
    assert math.isnan(combine_classes(np.array([0, 3, 0]), average="weighted"))


def test_a_ratio_of_nothing_is_not_a_number():
    assert math.isnan(combine_ratio(np.array([0.0, 0.0])))
    assert combine_ratio(np.array([3.0, 2.0])) == 1.5
    assert combine_ratio(np.array([18.0, 2.0]), then=math.sqrt) == 3.0


def test_a_bit_is_the_choice_between_two():
    assert to_bits(math.log(2)) == pytest.approx(1.0)


def test_matthews_correlation_of_two_classes_is_the_usual_formula():
    right_yes, right_no, wrong_yes, wrong_no = 6, 3, 1, 2
    sums = np.array([right_no, right_no + wrong_no, right_no + wrong_yes, right_yes, 7, 8])
    expected = (6 * 3 - 1 * 2) / math.sqrt((6 + 1) * (6 + 2) * (3 + 1) * (3 + 2))
    assert combine_matthews(sums) == pytest.approx(expected)


def test_guessing_by_the_frequency_of_labels_has_no_matthews_correlation():
    draw = random.Random(0)
    sums = np.zeros(9)
    for _ in range(20_000):
        predicted, true = draw.choices(range(3), weights=[6, 3, 1], k=2)
        sums[3 * predicted + 1] += 1
        sums[3 * true + 2] += 1
        sums[3 * true] += predicted == true
    # the standard error is about 1 / sqrt(20,000 * (classes - 1)) = 0.005
    assert abs(combine_matthews(sums)) < 0.02


def test_pearson_stays_within_its_range_in_spite_of_rounding():
    values = np.array([1e8, 1e8 + 1, 1e8 + 2])
    centred = values - values.mean()
    sums = np.array([centred.sum(), centred.sum(), *[centred @ centred] * 3, 3.0])
    assert combine_pearson(sums) == 1.0
    assert math.isnan(combine_pearson(np.zeros(6)))
