"""The operations of a step are those that torch counts."""

import pytest
import torch
import transformers
from torch.utils.flop_counter import FlopCounterMode

from ftkit.models import add_adapter
from ftkit.recipe import AdapterSection
from ftkit.training.utilisation import measure_peak, measure_work

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 120,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 0,
}
MODELS = {
    "llama": ("AutoModelForCausalLM", {}),
    "gpt2": ("AutoModelForCausalLM", {"n_embd": 32, "n_layer": 2, "n_head": 4}),
    "bert": ("AutoModelForMaskedLM", {}),
    "mixtral": ("AutoModelForCausalLM", {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "t5": ("AutoModelForSeq2SeqLM", {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}),
}


def make_model(name):
    torch.manual_seed(0)
    auto_class, options = MODELS[name]
    config = transformers.AutoConfig.for_model(name, **{**SIZES, **options})
    options = {"experts_implementation": "eager"} if name == "mixtral" else {}  # torch counts no grouped_mm
    return getattr(transformers, auto_class).from_config(config, attn_implementation="eager", **options)


def make_batch():
    ids = torch.randint(3, 120, (3, 24), generator=torch.Generator().manual_seed(1))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}


def count_by_torch(model, batch):
    with FlopCounterMode(display=False) as counter:
        model(**batch).loss.backward()
    return counter.get_total_flops()


@pytest.mark.parametrize("name", MODELS)
def test_a_step_takes_the_operations_that_torch_counts(name):
    model, batch = make_model(name), make_batch()
    expected = count_by_torch(model, batch)
    # eager attention computes the pairs that a causal one does not see; T5's decoder attends twice more
    assert measure_work(model).count(batch) == pytest.approx(expected, rel=0.15)


def test_frozen_weights_take_no_gradient():
    model, batch = make_model("llama"), make_batch()
    whole = measure_work(model).count(batch)
    adapted = add_adapter(model, AdapterSection(rank=2), task_type="CAUSAL_LM")
    found = measure_work(adapted).count(batch)
    assert found < 0.85 * whole
    # peft's own layers compute the gradient of their inputs at the first layer too, which needs none
    assert found == pytest.approx(count_by_torch(adapted, batch), rel=0.15)


def test_padding_and_positions_without_a_label_count_for_nothing():
    work, batch = measure_work(make_model("llama")), make_batch()
    longer = {
        "attention_mask": torch.nn.functional.pad(batch["attention_mask"], (0, 50)),
        "labels": torch.nn.functional.pad(batch["labels"], (0, 50), value=-100),
    }
    assert work.count(longer) == work.count(batch)
    muted = {**batch, "labels": torch.full_like(batch["labels"], -100)}
    assert work.count(muted) == work.count(batch) - batch["labels"].numel() * work.per_label


def test_a_classifier_has_no_head_to_count():
    config = transformers.AutoConfig.for_model("bert", **SIZES)
    work = measure_work(transformers.AutoModelForSequenceClassification.from_config(config))
    batch = {**make_batch(), "labels": torch.tensor([0, 1, 1])}
    assert work.count(batch) == pytest.approx(72 * work.per_token + 3 * 24**2 * work.per_pair)


def test_the_peak_is_a_speed_that_this_device_has():
    found = measure_peak(torch.device("cpu"), torch.float32)
    assert 1e8 < found < 1e14
