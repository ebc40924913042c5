import pytest
import torch

from ftkit.errors import DeviceMemoryError
from ftkit.training.footprint import Footprint
from ftkit.training.memory import (
    choose_limit,
    is_out_of_memory,
    make_memory_error,
    read_random_state,
    restore_random_state,
)

GIB = 2**30


FULL = Footprint(
    weights=4 * GIB,
    gradients=4 * GIB,
    optimiser=8 * GIB,
    fixed=GIB,
    per_token=1e6,
    num_parameters=GIB,
    num_trained=GIB,
    num_operations=100,
)


def choose(setting="auto", device="cuda", free=80 * GIB, longest=500):
    return choose_limit(setting, device_type=device, longest=longest, footprint=FULL, free_bytes=free)


def test_a_number_of_examples_is_taken_as_it_is():
    assert choose(3).num_examples == 3


def test_memory_decides_on_an_accelerator():
    """What is free, less a tenth, less what training keeps, less what every micro-batch takes."""
    assert choose(free=20 * GIB).num_tokens == int((0.9 * 20 - 12 - 1) * GIB / 1e6)
    assert choose(free=30 * GIB).num_tokens == int((0.9 * 30 - 12 - 1) * GIB / 1e6)


def test_the_longest_example_always_fits_and_there_is_a_most():
    assert choose(free=GIB // 100, longest=900).num_tokens == 900
    assert choose(free=4000 * GIB).num_tokens == 32_768


def test_a_cpu_computes_in_small_micro_batches():
    assert choose(device="cpu").num_tokens == 1024
    assert choose(device="cpu", longest=5000).num_tokens == 5000


def test_random_numbers_come_again():
    device = torch.device("cpu")
    before = read_random_state(device)
    first = torch.rand(3)
    restore_random_state(device, before)
    assert torch.equal(first, torch.rand(3))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("MPS backend out of memory"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_running_out_of_memory_is_recognised(error, expected):
    assert is_out_of_memory(error) is expected


def test_the_advice_fits_what_was_tried():
    error = make_memory_error(1, 700, checkpointing=True)
    assert isinstance(error, DeviceMemoryError)
    assert "micro_batch_size" not in str(error)
    assert "gradient_checkpointing" not in str(error)
    assert "data.max_tokens: 350" in str(error)
