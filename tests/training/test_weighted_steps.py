"""Weights of turns count the same however a step is cut into micro-batches."""

import datasets
import pytest
import torch


@pytest.fixture
def weighted(workshop):
    """The workshop, with a weight on every example: one number, or one per token."""
    rows = workshop.examples.to_list()
    for number, row in enumerate(rows):
        weight = (0.01, 1.0, 2.5)[number % 3]
        row["weights"] = [weight] if number % 2 else [weight] * len(row["input_ids"])
    workshop.examples = datasets.Dataset.from_list(rows)
    return workshop


def read_weights(model):
    return torch.cat([weights.detach().flatten() for weights in model.parameters()])


def test_micro_batches_do_not_change_a_weighted_step(weighted):
    whole, _, _ = weighted.train("whole", micro_batch_size=8)
    parts, _, _ = weighted.train("parts", micro_batch_size=2)
    torch.testing.assert_close(read_weights(whole), read_weights(parts), rtol=1e-4, atol=1e-5)  # float32 sums


def test_weights_change_what_is_learned(weighted, workshop):
    heavy, _, _ = weighted.train("heavy")
    workshop.examples = workshop.examples.remove_columns("weights")
    plain, _, _ = workshop.train("plain")
    assert not torch.allclose(read_weights(heavy), read_weights(plain), atol=1e-4)


def test_a_step_whose_weights_sum_to_less_than_one_is_still_a_mean(workshop):
    rows = [{**row, "weights": [1e-4]} for row in workshop.examples.to_list()]
    plain, _, _ = workshop.train("plain")
    workshop.examples = datasets.Dataset.from_list(rows)
    light, _, _ = workshop.train("light")
    torch.testing.assert_close(read_weights(light), read_weights(plain), rtol=1e-3, atol=1e-4)
