import logging
import math

import numpy as np
import pytest

from ftkit.errors import MetricError
from ftkit.metrics import measure_rows, score, score_sums


def correlate_by_hand(x, y):
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    together = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return together / math.sqrt(sum((a - mean_x) ** 2 for a in x) * sum((b - mean_y) ** 2 for b in y))


def test_pearson_is_covariance_over_spreads():
    x, y = [1.0, 2.0, 4.0, 8.0], [2.0, 1.0, 5.0, 6.0]
    assert score("pearson", x, y) == pytest.approx(correlate_by_hand(x, y))


def test_spearman_is_pearson_of_the_ranks_with_ties_sharing_theirs():
    assert score("spearman", [10, 20, 20, 1000], [1, 2, 3, 4]) == pytest.approx(
        correlate_by_hand([1, 2.5, 2.5, 4], [1, 2, 3, 4])
    )


def test_rmse_and_mae_of_known_errors():
    assert score("rmse", [1.0, 2.0, 3.0], [1.0, 5.0, 7.0]) == pytest.approx(math.sqrt(25 / 3))
    assert score("mae", [1.0, 2.0, 3.0], [1.0, 5.0, 7.0]) == pytest.approx(7 / 3)


@pytest.mark.parametrize("name", ["pearson", "spearman"])
@pytest.mark.parametrize("predictions", [[0.1, 0.1, 0.1], [0.1, 0.1 + 1e-17, 0.1], [5.0, 5.0, 5.0 + 1e-14]])
def test_a_constant_correlates_with_nothing_and_it_is_said(name, predictions, caplog):
    caplog.set_level(logging.INFO, logger="ftkit")
    assert score(name, predictions, [1.0, 2.0, 3.0]) == 0.0
    assert "the predictions are all" in caplog.text


def test_a_constant_resample_correlates_with_nothing():
    rows = measure_rows("pearson", [0.3, 0.7, 0.9], [1.0, 2.0, 4.0])
    assert score_sums("pearson", rows[[1, 1, 1]].sum(axis=0)) == 0.0
    assert score_sums("pearson", measure_rows("pearson", [0.1] * 3, [1.0, 2.0, 4.0]).sum(axis=0)) == 0.0


@pytest.mark.parametrize("name", ["pearson", "spearman", "rmse", "mae"])
@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_an_error_that_names_its_row(name, broken):
    with pytest.raises(MetricError, match=rf"{name}: 1 of the predictions are not finite; predictions\[1\]"):
        score(name, [1.0, broken], [1.0, 2.0])


def test_texts_are_no_numbers():
    with pytest.raises(MetricError, match="rmse: references are no numbers"):
        score("rmse", [1.0], ["a lot"])


def test_a_model_that_hesitates_between_all_tokens_has_the_vocabulary_as_perplexity():
    vocabulary = 49152
    tokens = [7, 1, 30]
    losses = [count * math.log(vocabulary) for count in tokens]
    assert score("perplexity", losses, tokens) == pytest.approx(vocabulary)


def test_perplexity_weighs_tokens_and_not_rows():
    found = score("perplexity", [1.0, 30.0], [1, 10])
    assert found == pytest.approx(math.exp(31 / 11))
    assert found != pytest.approx(math.exp((1.0 + 3.0) / 2))


def test_perplexity_does_not_depend_on_how_tokens_lie_in_rows():
    losses = np.random.default_rng(0).exponential(size=60)
    whole = score("perplexity", [losses.sum()], [60])
    parts = score("perplexity", losses.reshape(12, 5).sum(axis=1), [5] * 12)
    assert whole == pytest.approx(parts)


def test_loss_is_the_logarithm_of_perplexity():
    assert math.exp(score("loss", [4.0, 5.0], [3, 9])) == pytest.approx(
        score("perplexity", [4.0, 5.0], [3, 9])
    )


def test_pseudo_perplexity_is_perplexity_over_masked_tokens():
    assert score("pseudo_perplexity", [6.0], [3]) == pytest.approx(math.exp(2))


def test_bits_per_byte_of_random_bytes_is_eight():
    num_bytes = len("模型".encode())
    assert score("bits_per_byte", [num_bytes * math.log(256)], [num_bytes]) == pytest.approx(8)


def test_a_row_without_tokens_changes_nothing():
    assert score("loss", [2.0, 0.0], [4, 0]) == 0.5


def test_a_loss_too_large_for_exp_is_infinite():
    assert score("perplexity", [1000.0], [1]) == math.inf


@pytest.mark.parametrize(
    ("losses", "tokens", "message"),
    [
        ([0.0, 0.0], [0, 0], "perplexity: there is nothing to score; found rows without a single unit"),
        ([math.nan, 1.0], [1, 1], r"predictions\[0\] is nan"),
        ([1.0], [-1], r"references\[0\] is -1"),
        ([[1.0, 2.0]], [2], r"shape \(1, 2\); give one number per row"),
    ],
)
def test_losses_that_cannot_be_scored_are_an_error(losses, tokens, message):
    with pytest.raises(MetricError, match=message):
        score("perplexity", losses, tokens)


def test_masked_accuracy_is_right_over_masked():
    assert score("masked_accuracy", [3, 0], [5, 1]) == 0.5


def test_more_right_than_masked_is_an_error():
    with pytest.raises(MetricError, match="row 1 has 3 right of 2"):
        score("masked_accuracy", [1, 3], [1, 2])
