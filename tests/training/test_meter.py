import time

import pytest

from ftkit.training.meter import StepMeter


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when it is told."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


def test_the_speed_is_that_of_the_steps_since_the_last_line(clock):
    meter = StepMeter()
    meter.num_tokens += 300
    meter.num_operations += 6e9
    clock[0] += 3
    assert meter.read_speeds() == pytest.approx((100, 2e9))
    meter.num_tokens += 100
    clock[0] += 2
    assert meter.read_speeds() == pytest.approx((50, 0))
    assert meter.num_tokens / meter.seconds == pytest.approx(80)


def test_an_evaluation_does_not_make_training_look_slow(clock):
    meter = StepMeter()
    with meter.paused():
        clock[0] += 1000
    meter.num_tokens += 100
    clock[0] += 1
    assert meter.read_speeds()[0] == pytest.approx(100)
    assert meter.seconds == pytest.approx(1)


def test_a_pause_that_fails_is_left_out_too(clock):
    def fail():
        with meter.paused():
            clock[0] += 7
            raise KeyError

    meter = StepMeter()
    with pytest.raises(KeyError):
        fail()
    assert meter.seconds == pytest.approx(0)
