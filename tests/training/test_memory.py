import pytest
from transformers import LlamaConfig

from ftkit.errors import DeviceMemoryError
from ftkit.training.memory import choose_limit, estimate_bytes_per_token, is_out_of_memory, make_memory_error

GIB = 2**30


def choose(setting="auto", device="cuda", free=80 * GIB, per_token=10**6, longest=500):
    return choose_limit(
        setting, device_type=device, free_bytes=free, bytes_per_token=per_token, longest=longest
    )


def test_a_number_of_examples_is_taken_as_it_is():
    assert choose(3).num_examples == 3


def test_memory_decides_on_an_accelerator():
    small, large = choose(free=8 * GIB), choose(free=16 * GIB)
    assert large.num_tokens == pytest.approx(2 * small.num_tokens, rel=1e-3)


def test_the_longest_example_always_fits_and_there_is_a_most():
    assert choose(free=GIB // 100, longest=900).num_tokens == 900
    assert choose(free=4000 * GIB).num_tokens == 32_768


def test_a_cpu_computes_in_small_micro_batches():
    assert choose(device="cpu").num_tokens == 1024


def test_the_estimate_grows_with_the_model_and_falls_with_checkpointing():
    small = LlamaConfig(hidden_size=256, num_hidden_layers=4, vocab_size=1000)
    large = LlamaConfig(hidden_size=512, num_hidden_layers=8, vocab_size=1000)
    options = {"bytes_per_value": 2, "checkpointing": False, "has_lm_head": False}
    assert estimate_bytes_per_token(large, **options) == 4 * estimate_bytes_per_token(small, **options)
    checkpointed = estimate_bytes_per_token(large, **{**options, "checkpointing": True})
    assert checkpointed < estimate_bytes_per_token(large, **options) / 10


def test_logits_count_for_language_models():
    config = LlamaConfig(hidden_size=256, num_hidden_layers=4, vocab_size=50_000)
    options = {"bytes_per_value": 2, "checkpointing": False}
    with_head = estimate_bytes_per_token(config, **options, has_lm_head=True)
    assert with_head - estimate_bytes_per_token(config, **options, has_lm_head=False) == 500_000


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
