"""Confusions, calibration and thresholds of classifiers."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, f1_score, precision_score, recall_score

from ftkit.evaluation.calibration import calibrate, calibrate_labels, draw_thresholds
from ftkit.evaluation.confusion import MAX_LABELS, OTHER_LABELS, count_confusions


def draw_labels(num_labels, num_rows, seed=0):
    rng = np.random.default_rng(seed)
    true = rng.integers(num_labels, size=num_rows).tolist()
    return true, np.where(rng.random(num_rows) < 0.7, true, rng.integers(num_labels, size=num_rows)).tolist()


def test_confusions_are_those_of_sklearn():
    true, found = draw_labels(4, 300)
    confusion = count_confusions({"base": true, "tuned": found}, true, list("abcd"))
    assert confusion["labels"] == list("abcd")
    assert confusion["counts"]["tuned"] == confusion_matrix(true, found, labels=range(4)).tolist()
    assert np.trace(confusion["counts"]["base"]) == 300
    pairs = confusion["most_confused"]
    assert pairs[0]["tuned"] == max(pair["tuned"] for pair in pairs)
    assert all(pair["base"] == 0 for pair in pairs)
    assert sum(pair["tuned"] for pair in pairs) == sum(map(int.__ne__, true, found))


def test_a_label_that_never_occurs_still_has_its_line():
    confusion = count_confusions({"model": [0, 0]}, [0, 0], ["a", "b"])
    assert confusion["counts"]["model"] == [[2, 0], [0, 0]]


def test_hundreds_of_labels_stay_a_small_table_without_losing_a_row():
    true, found = draw_labels(300, 2_000)
    confusion = count_confusions({"model": found}, true, [f"label {number}" for number in range(300)])
    assert len(confusion["labels"]) == MAX_LABELS
    assert confusion["labels"][-1] == OTHER_LABELS
    assert np.sum(confusion["counts"]["model"]) == 2_000


def test_a_reliability_curve_is_that_of_sklearn():
    rng = np.random.default_rng(1)
    sure = rng.random(3_000)
    right = (rng.random(3_000) < sure**2).astype(int)
    calibration = calibrate(sure, right)
    shares, confidences = calibration_curve(right, sure, n_bins=10)
    assert [one["share_right"] for one in calibration["bins"]] == pytest.approx(shares)
    assert [one["confidence"] for one in calibration["bins"]] == pytest.approx(confidences)
    assert sum(one["num_predictions"] for one in calibration["bins"]) == 3_000
    assert all(one["share_low"] <= one["share_right"] <= one["share_high"] for one in calibration["bins"])


def test_the_calibration_error_is_near_zero_for_an_honest_model_and_known_for_a_boaster():
    rng = np.random.default_rng(2)
    sure = rng.random(20_000)
    assert calibrate(sure, rng.random(20_000) < sure)["expected_calibration_error"] < 0.02
    boaster = calibrate([0.95] * 100, [1] * 50 + [0] * 50)
    assert boaster["expected_calibration_error"] == pytest.approx(0.45)
    assert len(boaster["bins"]) == 1


def test_of_one_label_the_likeliest_is_judged_and_of_several_each():
    probabilities, true = [[0.2, 0.8], [0.7, 0.3]], [[0, 1], [0, 1]]
    one = calibrate_labels(probabilities, true, several=False)
    assert sum(each["num_predictions"] for each in one["bins"]) == 2
    assert one["expected_calibration_error"] == pytest.approx((0.2 + 0.7) / 2)
    each = calibrate_labels(probabilities, true, several=True)
    assert sum(some["num_predictions"] for some in each["bins"]) == 4


def test_choices_of_uneven_number_are_calibrated():
    calibration = calibrate_labels([[0.5, 0.3, 0.2], [0.9, 0.1]], [[1, 0, 0], [0, 1]], several=False)
    assert sum(one["num_predictions"] for one in calibration["bins"]) == 2


def test_thresholds_give_the_scores_of_sklearn():
    rng = np.random.default_rng(3)
    true = rng.integers(2, size=(200, 3))
    probabilities = np.clip(true * 0.3 + rng.random((200, 3)) * 0.7, 0, 1)
    curves = draw_thresholds({"tuned": probabilities.tolist()}, true.tolist(), list("abc"), several=True)
    assert {curve["label"] for curve in curves} == set("abc")
    for curve in curves:
        column = "abc".index(curve["label"])
        for point in curve["curves"]["tuned"]:
            says_yes = probabilities[:, column] >= point["threshold"]
            truth = true[:, column]
            assert point["recall"] == pytest.approx(recall_score(truth, says_yes))
            assert point["f1"] == pytest.approx(f1_score(truth, says_yes))
            if point["precision"] is None:
                assert not says_yes.any()
            else:
                assert point["precision"] == pytest.approx(precision_score(truth, says_yes))


def test_of_two_labels_the_rarer_one_has_the_curve():
    true = [[1, 0]] * 8 + [[0, 1]] * 2
    curves = draw_thresholds({"model": [[0.5, 0.5]] * 10}, true, ["ham", "spam"], several=False)
    assert [(curve["label"], curve["num_rows"]) for curve in curves] == [("spam", 2)]


def test_a_label_without_rows_has_no_curve():
    true = [[1, 0, 0]] * 4
    curves = draw_thresholds({"model": [[0.4, 0.3, 0.3]] * 4}, true, list("abc"), several=False)
    assert [curve["label"] for curve in curves] == ["a"]
    one_class = draw_thresholds({"model": [[0.4, 0.6]] * 4}, [[1, 0]] * 4, list("ab"), several=False)
    assert one_class == []
