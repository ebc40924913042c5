"""A step that goes wrong is stopped before it is taken, and its rows are kept."""

import json
import math

import pytest
import torch

from ftkit.data import load_rows
from ftkit.errors import TrainingError
from ftkit.training.watch import MOST_SKIPPED, StepWatch


def spoil(workshop, monkeypatch, changed):
    original = workshop.task.compute_loss
    monkeypatch.setattr(
        workshop.task,
        "compute_loss",
        lambda model, batch, options: changed(original(model, batch, options), batch),
    )


def spoil_row(row, value):
    """The loss of one row is `value`."""
    return lambda loss, batch: loss * (value if (batch["row"] == row).any() else 1.0)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("micro_batch_size", [1, 8])
def test_the_row_that_spoils_a_step_is_named_and_kept(workshop, monkeypatch, value, micro_batch_size):
    spoil(workshop, monkeypatch, spoil_row(5, value))
    with pytest.raises(TrainingError) as caught:
        workshop.train(batch_size=24, micro_batch_size=micro_batch_size, max_steps=3)
    text = str(caught.value)
    assert text.startswith(f"step 1: the loss is {value}. It comes from ")
    assert "train[5]. All 24 rows" in text or "[5]. All 24 rows" in text
    lines = (workshop.folder / "run.stopped.jsonl").read_text().splitlines()
    kept = {entry["row"]["number"]: entry["loss"] for entry in map(json.loads, lines)}
    assert sorted(kept) == list(range(24))
    assert [row for row, loss in kept.items() if not math.isfinite(float(loss))] == [5]


def test_the_weights_are_those_from_before_the_step(workshop, monkeypatch):
    spoil(workshop, monkeypatch, spoil_row(5, math.nan))
    checkpoint = workshop.load()
    before = {name: tensor.clone() for name, tensor in checkpoint.model.state_dict().items()}
    with pytest.raises(TrainingError):
        workshop.train(checkpoint=checkpoint, batch_size=24, max_steps=3)
    assert all(torch.equal(before[name], tensor) for name, tensor in checkpoint.model.state_dict().items())


class Overflow(torch.autograd.Function):
    @staticmethod
    def forward(context, value):
        return value.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * math.inf


def test_a_gradient_that_overflows_under_a_good_loss_stops_too(workshop, monkeypatch):
    spoil(workshop, monkeypatch, lambda loss, batch: Overflow.apply(loss))
    with pytest.raises(
        TrainingError, match=r"step 1: the length of the gradient is (nan|inf)\. No row alone"
    ):
        workshop.train()


def test_weights_that_went_astray_before_are_told_from_rows(workshop, monkeypatch):
    spoil(workshop, monkeypatch, lambda loss, batch: loss * math.nan)
    with pytest.raises(
        TrainingError, match=r"That is so of every row, so that the weights went astray before"
    ):
        workshop.train(log_every=1000)  # long before anything is logged


def test_a_good_training_leaves_no_file(workshop):
    workshop.train()
    assert not (workshop.folder / "run.stopped.jsonl").exists()


def test_float16_may_skip_some_steps_but_not_all(tmp_path):
    watch = StepWatch(load_rows([{}]), tmp_path / "x.jsonl")
    skipped = [watch.admits(2.0, math.inf, scales=True) for _ in range(MOST_SKIPPED)]
    assert skipped == [True] * (MOST_SKIPPED - 1) + [False]
    assert watch.admits(2.0, 1.0, scales=True)
    assert watch.admits(2.0, math.inf, scales=True)  # counted anew
    assert not watch.admits(2.0, math.inf, scales=False)
    assert not watch.admits(math.nan, 1.0, scales=True)


def test_many_rows_are_named_in_part(tmp_path):
    from ftkit.training.watch import _name_rows

    entries = [{"source": f"a.jsonl:{number}", "loss": math.nan} for number in range(8)]
    assert _name_rows(entries, [*entries, {"source": "b", "loss": 1.0}]) == (
        "It comes from a.jsonl:0, a.jsonl:1, a.jsonl:2, a.jsonl:3, a.jsonl:4 and 3 more."
    )
