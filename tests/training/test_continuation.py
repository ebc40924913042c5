"""A run that is killed and started again ends as if it had never been killed, whatever it was doing."""

import hashlib
import json

import pytest


def read_metrics(folder):
    """Read the log without what the clock and the machine say."""
    lines = (json.loads(line) for line in folder.metrics.read_text().splitlines())
    varying = {"tokens_per_second", "utilisation", "peak_memory_gb"}
    return [{key: value for key, value in line.items() if key not in varying} for line in lines]


def score_weights(model):
    """A score that follows from the weights alone, and from nothing else by any rule."""
    digest = hashlib.sha256(b"".join(each.detach().numpy().tobytes() for each in model.parameters()))
    return int.from_bytes(digest.digest()[:4], "big") / 2**32


class Killed(Exception):
    pass


def train(workshop, name, killed_at=None, **settings):
    """Train with validation; `killed_at` counts the losses and validations after which the process dies."""
    checkpoint = workshop.load()
    original, calls = workshop.task.compute_loss, []

    def live():
        calls.append(1)
        if killed_at is not None and len(calls) > killed_at:
            raise Killed

    def compute_loss(*arguments):
        live()
        return original(*arguments)

    def validate():
        live()
        return {"loss": score_weights(checkpoint.model)}

    workshop.task.compute_loss = compute_loss
    try:
        return workshop.train(name, checkpoint=checkpoint, validate=validate, **settings)
    finally:
        workshop.task.compute_loss = original


SETTINGS = {"max_steps": 11, "micro_batch_size": 8, "log_every": 4, "early_stopping_patience": 2}


GRID = [(every, killed_at) for every in ("epoch", 1, 2, 3) for killed_at in (1, 3, 4, 5, 7, 8, 11)]
FEW = {("epoch", 5), (1, 4), (2, 3), (3, 7)}
"""In a step, with a checkpoint after each epoch; in evaluations; between two lines of the log."""


@pytest.mark.parametrize(
    ("every", "killed_at"),
    [pytest.param(*each, marks=[] if each in FEW else [pytest.mark.slow]) for each in GRID],
)
def test_a_killed_run_logs_scores_and_stops_as_if_it_had_not_been(workshop, every, killed_at):
    settings = {**SETTINGS, "checkpoint_every": every}
    model, folder, result = train(workshop, "whole", **settings)
    try:
        train(workshop, "killed", killed_at, **settings)
    except Killed:
        pass
    else:
        assert result.num_steps + result.num_steps // 3 <= killed_at  # it had stopped early by then
    continued, killed_folder, second = train(workshop, "killed", **settings)
    assert read_metrics(killed_folder) == read_metrics(folder)
    assert (second.num_steps, second.best_step) == (result.num_steps, result.best_step)
    for name, tensor in model.state_dict().items():
        assert tensor.equal(continued.state_dict()[name]), name


def test_the_patience_of_early_stopping_goes_on_where_it_was(workshop):
    scores = {"whole": iter([1.0, 2.0, 3.0]), "killed": iter([1.0, 2.0]), "again": iter([3.0, 4.0])}
    settings = {"max_steps": 15, "checkpoint_every": 1, "early_stopping_patience": 2}

    def train_with(name, folder):
        return workshop.train(folder, validate=lambda: {"loss": next(scores[name])}, **settings)[2]

    assert train_with("whole", "whole").num_steps == 9  # three steps an epoch
    with pytest.raises(StopIteration):
        train_with("killed", "killed")
    assert train_with("again", "killed").num_steps == 9


@pytest.mark.parametrize("settings", [{"max_steps": 4}, {"max_steps": 15, "early_stopping_patience": 1}])
def test_a_run_killed_after_its_last_step_trains_no_step_more(workshop, settings):
    settings = {**settings, "checkpoint_every": 1}
    model, folder, result = train(workshop, "run", **settings)
    before, lines = score_weights(model), folder.metrics.read_text()
    again, folder, second = train(workshop, "run", **settings)
    assert (second.num_steps, second.num_tokens) == (result.num_steps, result.num_tokens)
    assert score_weights(again) == before
    assert folder.metrics.read_text() == lines


def test_a_run_folder_that_was_moved_goes_on(workshop):
    settings = {**SETTINGS, "checkpoint_every": "epoch"}
    model, _, result = train(workshop, "whole", **settings)
    with pytest.raises(Killed):
        train(workshop, "here", 7, **settings)
    (workshop.folder / "here").rename(workshop.folder / "there")
    continued, _, second = train(workshop, "there", **settings)
    assert second.best_step == result.best_step
    assert score_weights(continued) == score_weights(model)


def test_a_time_between_checkpoints_is_kept(workshop, monkeypatch):
    from ftkit.runs import list_checkpoints

    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr("ftkit.training.callbacks.time.monotonic", lambda: next(clock))
    _, folder, _ = workshop.train(max_steps=9, checkpoint_every="25 s", save_total_limit=9, batch_size=2)
    # the clock goes on by 10 s whenever it is read: once a step, and once more when a checkpoint is written
    steps = [int(path.name.removeprefix("checkpoint-")) for path in list_checkpoints(folder.checkpoints)]
    assert steps == [3, 6, 9]
