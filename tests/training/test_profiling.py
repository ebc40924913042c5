"""Where the time of steps goes, by a clock that is known."""

import gzip
import json
import logging
import time

import pytest
import torch

from ftkit.training.profiling import PHASES, StepProfile


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when it is told."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


class Body(torch.nn.Module):
    """A model whose body and head take known times."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock

    @property
    def base_model(self):
        return self

    def forward(self):
        self.clock[0] += 3


def run_step(profile, clock, body, *, tokens=100):
    with profile.phase("data"):
        clock[0] += 1
    with profile.watching(body):
        body()
        clock[0] += 2  # head and loss
    with profile.phase("backward"):
        clock[0] += 5
    clock[0] += 0.25
    profile.end_passes(tokens, 8e9, 4e9)
    clock[0] += 0.5  # the optimiser
    profile.end_step()
    clock[0] += 0.25


def test_each_phase_has_its_own_time_and_the_first_step_does_not_count(clock, tmp_path):
    profile, body = StepProfile(2, tmp_path / "profile", torch.device("cpu")), Body(clock)
    clock[0] += 1000  # whatever was before
    run_step(profile, clock, body)
    clock[0] -= 0.25
    for _ in range(2):
        run_step(profile, clock, body)
    table = json.loads((tmp_path / "profile" / "steps.json").read_text())
    spent = {name: phase["seconds_per_step"] for name, phase in table["phases"].items()}
    expected = {"data": 1, "forward": 3, "head": 2, "backward": 5, "optimiser": 0.5, "other": 0.375}
    assert spent == pytest.approx(expected)
    assert sum(phase["share"] for phase in table["phases"].values()) == pytest.approx(1)
    assert table["seconds_per_step"] == pytest.approx(11.875)
    assert table["tokens_per_second"] == pytest.approx(100 / 11.875)
    assert table["utilisation"] == pytest.approx(8 / 4 / 11.875)


def test_a_body_that_fails_leaves_its_phase(clock, tmp_path):
    profile = StepProfile(2, tmp_path, torch.device("cpu"))
    profile.steps_done = 1

    def fail():
        with profile.phase("backward"):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert profile._open == ["other"]


def test_a_run_writes_a_table_and_a_trace_of_the_two_steps_after(workshop, caplog):
    with caplog.at_level(logging.INFO):
        _, folder, result = workshop.train(max_steps=7, profile=3)
    table = json.loads((folder.profile / "steps.json").read_text())
    assert table["steps"] == 3
    assert list(table["phases"])[:6] == list(PHASES[:6])
    assert all(table["phases"][name]["seconds_per_step"] > 0 for name in PHASES[:6])
    assert 0 < table["utilisation"] < 1
    assert result.as_dict()["profile"] == table
    trace = json.loads(gzip.decompress((folder.profile / "trace.json.gz").read_bytes()))
    names = [event.get("name") for event in trace["traceEvents"]]
    assert names.count("ftkit: backward") == 2
    assert "where 3 steps went" in caplog.text
    assert "measured with a matrix product" in caplog.text


def test_a_profile_changes_nothing_of_the_run(workshop):
    plain, folder, _ = workshop.train("plain", log_every=1)
    timed, other, _ = workshop.train("timed", log_every=1, profile=1)
    for one, two in zip(plain.parameters(), timed.parameters(), strict=True):
        assert torch.equal(one, two)


def test_of_a_run_that_is_shorter_there_is_what_was_seen(workshop, caplog):
    _, folder, result = workshop.train("short", max_steps=3, profile=10)
    assert result.profile["steps"] == 2
    assert json.loads((folder.profile / "steps.json").read_text())["steps"] == 2
    _, folder, result = workshop.train("one", max_steps=1, profile=10)
    assert result.profile is None
    assert "no step after the first" in caplog.text
    assert not folder.profile.exists()
