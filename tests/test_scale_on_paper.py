"""The formulas of scale on paper, against a ring that is played through."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
from scale import estimate, make_table

README = Path(__file__).parents[1] / "README.md"


def play_ring(num_devices, num_bytes):
    """Pass pieces round a ring until all have all of them; return the bytes that one device sent."""
    piece = num_bytes / num_devices
    have = [{device} for device in range(num_devices)]
    sent = 0.0
    newest = list(range(num_devices))
    while any(len(each) < num_devices for each in have):
        newest = [newest[device - 1] for device in range(num_devices)]
        for device, number in enumerate(newest):
            have[device].add(number)
        sent += piece
    return sent


@pytest.mark.parametrize("number", [2, 8])
def test_each_device_sends_what_a_ring_sends(number):
    # All-reduce is a reduce-scatter and an all-gather, each once round the ring.
    ddp = estimate(1e6, number, "ddp", tokens=1)
    assert ddp.traffic_bytes == pytest.approx(2 * play_ring(number, 4e6))
    fsdp = estimate(1e6, number, "fsdp", tokens=1)
    assert fsdp.traffic_bytes == pytest.approx(3 * play_ring(number, 2e6))


def test_shards_share_the_state_and_score_with_whole_weights():
    assert estimate(1e9, 1, "ddp", tokens=1).memory_bytes == 16e9
    sharded = estimate(1e9, 64, "fsdp", tokens=1)
    assert (sharded.memory_bytes, sharded.scoring_bytes) == (0.25e9, 4.25e9)
    assert estimate(1e9, 64, "hybrid", tokens=1).memory_bytes == 2e9


def test_one_device_waits_for_nobody_and_more_tokens_hide_more():
    assert estimate(1e9, 1, "ddp", tokens=1).efficiency == 1
    few, many = (estimate(1e9, 64, "fsdp", tokens=number).efficiency for number in (1000, 10_000))
    assert 0 < few < many < 1


def test_hybrid_shards_are_a_copy_on_every_host():
    within = estimate(1e9, 8, "hybrid", tokens=1000)
    assert within.traffic_bytes == estimate(1e9, 8, "fsdp", tokens=1000).traffic_bytes
    across = estimate(1e9, 64, "hybrid", tokens=1000)
    assert across.traffic_bytes == pytest.approx(within.traffic_bytes + 2 * 4e9 / 8 * 7 / 8)


def test_the_table_in_the_readme_is_the_one_of_the_formulas():
    assert make_table(7e9, tokens=16_384) in README.read_text(encoding="utf-8")
