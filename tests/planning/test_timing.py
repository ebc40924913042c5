import pytest
import torch
import transformers

from ftkit.models import Precision
from ftkit.planning.accelerators import ACCELERATORS
from ftkit.planning.choices import Kind
from ftkit.planning.timing import (
    LAUNCH_SECONDS,
    UTILISATION,
    count_matrix_weights,
    count_operations,
    estimate_training_seconds,
)
from ftkit.training.footprint import Footprint

H100 = ACCELERATORS["h100"]
FULL = Kind("full", Precision("float32", "bfloat16", ""), checkpointing=False)


def estimate(
    num_matrix_weights=7 * 10**9, num_operations=0, num_tokens=10**6, micro_batch_tokens=8192, kind=FULL
):
    footprint = Footprint(
        weights=4 * num_matrix_weights,
        gradients=0,
        optimiser=0,
        fixed=0,
        per_token=0.0,
        num_parameters=num_matrix_weights,
        num_trained=num_matrix_weights,
        num_operations=num_operations,
    )
    return estimate_training_seconds(
        H100,
        kind,
        footprint,
        num_matrix_weights=num_matrix_weights,
        num_tokens=num_tokens,
        num_steps=10,
        micro_batch_tokens=micro_batch_tokens,
    )


def test_large_micro_batches_wait_for_arithmetic():
    assert estimate() == pytest.approx(6 * 7e9 * 1e6 / (UTILISATION * 989e12))


def test_small_micro_batches_wait_for_memory():
    assert estimate(micro_batch_tokens=8) == pytest.approx(3 * 28e9 * (1e6 / 8) / 3350e9)


def test_small_models_wait_for_their_operations_to_be_started():
    found = estimate(num_matrix_weights=10**6, num_operations=2000)
    assert found == pytest.approx(LAUNCH_SECONDS * 2000 * 10**6 / 8192)


def test_every_step_is_a_micro_batch_at_least():
    found = estimate(num_matrix_weights=10**6, num_operations=2000, num_tokens=100)
    assert found == pytest.approx(LAUNCH_SECONDS * 2000 * 10)


def test_the_optimiser_reads_and_writes_all_it_keeps():
    footprint = Footprint(0, 10**9, 2 * 10**9, 0, 0.0, 1, 1, 0)
    seconds = estimate_training_seconds(
        H100, FULL, footprint, num_matrix_weights=0, num_tokens=1, num_steps=10, micro_batch_tokens=1
    )
    assert seconds == pytest.approx(10 * 7e9 / 3350e9)


def test_an_adapter_saves_the_gradients_of_weights_and_checkpointing_adds_a_pass():
    lora = Kind("lora", FULL.precision, checkpointing=False)
    assert [count_operations(kind) for kind in (FULL, lora)] == [6, 4]
    assert count_operations(Kind("lora", FULL.precision, checkpointing=True)) == 6


def test_the_weights_that_multiply_are_counted_and_tables_are_not():
    """Beside it torch's own counter of floating-point operations, of a real forward pass."""
    from torch.utils.flop_counter import FlopCounterMode

    config = transformers.LlamaConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, vocab_size=600
    )
    model = transformers.LlamaForCausalLM(config)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=torch.zeros(1, 8, dtype=torch.long))
    counted = 2 * count_matrix_weights(model) * 8
    assert counted == pytest.approx(counter.get_total_flops(), rel=0.02)  # attention itself is the rest
