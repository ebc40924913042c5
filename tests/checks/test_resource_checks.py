"""Memory, time and disk from sizes alone; the loss of the first batch."""

import math
from types import SimpleNamespace

import pytest

from ftkit.checks.resources import (
    Probe,
    check_disk,
    check_memory,
    estimate_seconds,
    judge_probe,
)
from ftkit.training.footprint import Footprint

GIB = 1024**3


def make_footprint(num_parameters, num_trained, bytes_per_weight, **others):
    return Footprint(
        weights=num_parameters * bytes_per_weight,
        gradients=num_trained * 4,
        optimiser=num_trained * 8,
        fixed=0,
        per_token=10_000.0,
        num_parameters=num_parameters,
        num_trained=num_trained,
        num_operations=100,
        **others,
    )


SMALL = make_footprint(10**8, 10**8, 4)


def severities(found):
    return [each.severity for each in found]


def memory(footprint=SMALL, free=16, total=16):
    return list(
        check_memory(
            footprint, tokens_at_once=1024, free_bytes=free * GIB, total_bytes=total * GIB, device="cuda"
        )
    )


def test_a_run_that_fits_is_described():
    (found,) = memory()
    assert found.message == (
        "about 1.5 GiB: weights 381 MiB, gradients and optimiser 1.12 GiB, a micro-batch of 1,024 tokens "
        "9.77 MiB; free beside the weights: 16 GiB on cuda"
    )


def test_devices_share_gradients_and_optimiser():
    options = {"tokens_at_once": 1024, "free_bytes": 16 * GIB, "total_bytes": 16 * GIB, "device": "cuda"}
    (found,) = check_memory(SMALL, **options, num_shards=4)
    assert "weights 381 MiB, gradients and optimiser 286 MiB" in found.message


def test_a_run_that_no_empty_device_of_this_kind_holds_is_refused():
    large = make_footprint(7 * 10**9, 7 * 10**9, 4)
    assert severities(memory(large, free=60, total=80)) == ["note", "error"]
    assert "train an adapter" in memory(large, free=60, total=80)[1].message
    lora = make_footprint(7 * 10**9, 10**7, 2)
    assert severities(memory(lora, free=60, total=80)) == ["note"]


def test_a_guess_is_called_one():
    found = memory(make_footprint(10**8, 10**8, 4, is_guess=True))
    assert found[0].message.startswith("guessed from its sizes, about 1.5 GiB")


def test_a_device_that_others_fill_is_named():
    assert severities(memory(free=1)) == ["note", "warning"]


def disk(free):
    return list(
        check_disk(
            __import__("pathlib").Path("/nowhere/run"), footprint=SMALL, num_checkpoints=4, free_bytes=free
        )
    )


def test_checkpoints_that_do_not_fit_the_disk_are_refused():
    needed = 4 * 10**8 * (8 + 4) + 4 * 10**8
    assert severities(disk(needed)) == ["note"]
    assert severities(disk(needed - 1)) == ["note", "error"]
    assert "make room, set training.save_total_limit lower" in disk(1)[1].message


def test_time_follows_the_pace_of_the_probe():
    probe = Probe(loss=1.0, seconds=2.0, num_tokens=1000)
    full = estimate_seconds(probe, train_tokens=10_000, scored_tokens=500, trained_share=1.0)
    assert full == pytest.approx(2e-3 * (10_000 * 3 + 500))
    lora = estimate_seconds(probe, train_tokens=10_000, scored_tokens=500, trained_share=0.01)
    assert lora == pytest.approx(2e-3 * (10_000 * 2 + 500))


def judge(loss, *, compute="float32", published="float32", new=(), kinds=("losses",), classes=1000):
    base = SimpleNamespace(
        precision=SimpleNamespace(compute=compute, weights="float32", reason="why"),
        published_dtype=published,
        new_parameters=new,
    )
    probe = Probe(loss, 0.1, 100)
    return [
        (each.subject, each.severity, each.message)
        for each in judge_probe(probe, base, SimpleNamespace(METRIC_KINDS=kinds), num_classes=classes)
        if each.severity != "note"
    ]


def test_a_first_loss_that_is_no_number_stops_the_run():
    ((subject, severity, message),) = judge(math.inf, compute="float16")
    assert (subject, severity) == ("precision", "error")
    assert message.endswith("computed in float16; set training.precision: float32")
    assert judge(math.nan)[0][2].endswith("take another base: its weights are damaged")


def test_a_base_of_bfloat16_in_float16_is_named():
    assert "reach further" in judge(3.0, compute="float16", published="bfloat16")[0][2]
    assert judge(3.0, compute="float16", published="float32") == []
    assert judge(3.0, compute="bfloat16", published="bfloat16") == []


def test_a_trained_base_that_does_worse_than_guessing_is_named():
    guessing = math.log(1000)
    assert judge(1.2 * guessing) == []
    assert judge(1.3 * guessing)[0][:2] == ("tokenizer", "warning")
    assert judge(1.3 * guessing, new=("head.weight",)) == []  # a new head may do so
    assert judge(1.3 * guessing, kinds=("numbers",), classes=0) == []
