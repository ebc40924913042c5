"""The estimate of memory: exact where it can be compared, and a model that is as it was before."""

import copy

import pytest
import torch
import transformers

from ftkit.models import Precision
from ftkit.models.adapter import add_adapter
from ftkit.models.skeleton import make_skeleton
from ftkit.recipe import AdapterSection, TrainingSection
from ftkit.training import footprint
from ftkit.training.empty_step import find_depth
from ftkit.training.footprint import count_states, measure_footprint, measure_scoring, measure_training

FLOAT32 = Precision("float32", None, "tests")
LLAMA = transformers.LlamaConfig(
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=7,
    num_attention_heads=4,
    num_key_value_heads=2,
    vocab_size=600,
)
BERT = transformers.BertConfig(
    hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, vocab_size=99
)


def skeleton(config=LLAMA, name="AutoModelForCausalLM", dtype="float32", **options):
    return make_skeleton(config, getattr(transformers, name), dtype=dtype, **options)


def measure(model, precision=FLOAT32, row_tokens=64, device_type="cuda", **options):
    return measure_footprint(model, precision, row_tokens=row_tokens, device_type=device_type, **options)


def count_kept_bytes(model, num_rows, row_tokens):
    """The slow obvious version: run a real step, and add up what autograd keeps for the backward pass."""
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    weights = {each.untyped_storage().data_ptr() for each in [*model.parameters(), *model.buffers()]}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.model(input_ids=torch.zeros(num_rows, row_tokens, dtype=torch.long)).last_hidden_state.sum()
    return sum(size for place, size in kept.items() if place not in weights)


def test_what_a_token_takes_is_what_autograd_keeps_of_it():
    """Beside it the loss of the head keeps hidden states, and gradients of them."""
    model = transformers.LlamaForCausalLM(LLAMA)
    kept = count_kept_bytes(model, 16, 64) - count_kept_bytes(model, 8, 64)
    found = measure(model).per_token * 8 * 64
    assert kept <= found <= 1.1 * kept


def test_a_few_blocks_say_what_all_of_them_take(monkeypatch):
    few = measure(skeleton())
    monkeypatch.setattr(footprint, "DEPTHS", (7, 7))
    whole = measure(skeleton())
    assert few.per_token == whole.per_token
    assert few.fixed == whole.fixed


def test_a_loaded_model_and_a_skeleton_take_the_same():
    model = transformers.LlamaForCausalLM(LLAMA)
    assert measure(model) == measure(skeleton())


def test_a_model_is_as_it_was_before():
    model = transformers.LlamaForCausalLM(LLAMA).eval()
    before = copy.deepcopy(model.state_dict())
    parameters, attention = list(model.parameters()), model.config._attn_implementation
    for device_type in ("cpu", "cuda"):
        measure(model, device_type=device_type, checkpointing=True)
    assert not model.training
    assert not any(getattr(part, "gradient_checkpointing", False) for part in model.modules())
    assert model.config._attn_implementation == attention
    assert len(model.model.layers) == 7
    assert all(one is other for one, other in zip(parameters, model.parameters(), strict=True))
    assert all(each.grad is None for each in parameters)
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())


def test_weights_gradients_and_adam_of_full_tuning():
    found = measure(skeleton())
    size = 4 * found.num_parameters
    assert found.num_trained == found.num_parameters
    assert found.weights == pytest.approx(size, rel=1e-3)  # and the buffers of the positions
    assert (found.gradients, found.optimiser) == (size, 2 * size)
    assert found.states == found.weights + 3 * size
    assert found.count_total(1000) == found.states + found.count_work(1000)


def test_an_adapter_keeps_little_beside_the_weights():
    full = measure(skeleton())
    model = skeleton(dtype="bfloat16", adapter=AdapterSection(rank=4), task_type="CAUSAL_LM")
    lora = measure(model, Precision("bfloat16", None, "tests"))
    assert lora.num_trained < lora.num_parameters / 5
    assert lora.gradients == 4 * lora.num_trained  # of the adapter, in float32
    assert lora.weights < 0.7 * full.weights
    assert lora.per_token < 0.7 * full.per_token


def test_a_skeleton_with_an_adapter_is_what_the_model_becomes():
    options = {"task_type": "SEQ_CLS"}
    model = transformers.BertForSequenceClassification(BERT)
    real = add_adapter(model, AdapterSection(), **options)
    empty = skeleton(BERT, "AutoModelForSequenceClassification", adapter=AdapterSection(), **options)
    assert {name: each.shape for name, each in real.named_parameters() if each.requires_grad} == {
        name: each.shape for name, each in empty.named_parameters() if each.requires_grad
    }
    assert measure(real) == measure(empty)


def test_checkpointing_keeps_a_part_of_the_activations():
    plain, twice = measure(skeleton()), measure(skeleton(), checkpointing=True)
    assert twice.per_token < plain.per_token / 4
    assert twice.states == plain.states


def test_a_shorter_type_to_compute_in_takes_less_for_a_token_and_more_for_the_weights():
    plain, mixed = measure(skeleton()), measure(skeleton(), Precision("float32", "bfloat16", "tests"))
    assert mixed.per_token < plain.per_token
    assert mixed.fixed > plain.fixed
    assert measure(skeleton(), Precision("float32", "float16", "tests")).per_token > mixed.per_token  # logits


def test_attention_with_dropout_keeps_its_square_on_a_cpu_only():
    config = copy.deepcopy(BERT)
    config.max_position_embeddings = 1024
    model = skeleton(config, "AutoModelForSequenceClassification")
    on_cpu = [measure(model, row_tokens=tokens, device_type="cpu").per_token for tokens in (64, 512)]
    on_cuda = [measure(model, row_tokens=tokens).per_token for tokens in (64, 512)]
    assert on_cpu[1] > 2 * on_cpu[0]
    assert on_cuda[1] == pytest.approx(on_cuda[0], rel=0.01)


@pytest.mark.parametrize(
    "name",
    ["SequenceClassification", "TokenClassification", "QuestionAnswering", "MultipleChoice", "MaskedLM"],
)
def test_every_head_of_an_encoder_is_measured(name):
    found = measure(skeleton(BERT, f"AutoModelFor{name}"), row_tokens=32)
    assert not found.is_guess
    assert found.per_token > 0


def test_an_encoder_decoder_is_measured():
    config = transformers.T5Config(d_model=32, d_kv=8, d_ff=64, num_layers=3, num_heads=4, vocab_size=99)
    found = measure(skeleton(config, "AutoModelForSeq2SeqLM"))
    assert not found.is_guess


def test_experts_are_guessed_or_measured_and_never_nothing():
    config = transformers.MixtralConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, vocab_size=99
    )
    assert measure(skeleton(config)).per_token > 0


def test_a_model_that_cannot_run_without_values_is_guessed(monkeypatch):
    def fail(*_):
        raise RuntimeError("control flow depends on values")

    exact = measure(skeleton())
    monkeypatch.setattr(footprint, "run_empty_step", fail)
    guess = measure(skeleton())
    assert guess.is_guess
    assert guess.states == exact.states
    assert exact.per_token / 3 < guess.per_token < 3 * exact.per_token


def test_the_blocks_of_a_model_are_found():
    assert find_depth(skeleton()) == 7
    assert find_depth(torch.nn.Linear(2, 2)) == 0


@pytest.mark.parametrize(
    ("optim", "momentum", "number"),
    [
        ("adamw_torch_fused", False, 2.0),
        ("adamw_bnb_8bit", False, 0.5),
        ("sgd", False, 0.0),
        ("sgd", True, 1.0),
        ("adafactor", False, 0.01),
        ("lion_32bit", False, 1.0),
    ],
)
def test_what_optimisers_keep(optim, momentum, number):
    assert count_states(optim, momentum=momentum) == number


@pytest.mark.parametrize(("optim", "number"), [("AdamW", 2), ("SGD", 0)])
def test_optimisers_of_torch_keep_that(optim, number):
    weights = torch.nn.Parameter(torch.ones(1000))
    optimizer = getattr(torch.optim, optim)([weights], lr=0.1)
    weights.sum().backward()
    optimizer.step()
    kept = sum(each.numel() for state in optimizer.state.values() for each in state.values() if each.dim())
    assert kept == number * 1000
    assert count_states(optim.lower(), momentum=False) == number


def test_settings_of_the_recipe_reach_the_estimate():
    plain = measure_training(skeleton(), FLOAT32, TrainingSection(), longest=64, device_type="cuda")
    section = TrainingSection(optim="sgd", gradient_checkpointing=True)
    lean = measure_training(skeleton(), FLOAT32, section, longest=64, device_type="cuda")
    assert plain == measure(skeleton())
    assert lean.optimiser == 0
    assert lean.per_token < plain.per_token / 4
    assert lean.count_tokens(lean.count_work(100)) == pytest.approx(100, abs=1)
    assert lean.count_tokens(0) == 0


def test_scoring_takes_a_part_of_what_training_takes():
    model = skeleton()
    scoring = measure_scoring(model, FLOAT32, row_tokens=64, device_type="cuda")
    assert 0 < scoring < measure(model).per_token


def test_operations_are_counted_for_all_blocks():
    deep, checkpointed = measure(skeleton()), measure(skeleton(), checkpointing=True)
    config = copy.deepcopy(LLAMA)
    config.num_hidden_layers, config.layer_types = 14, None
    twice = measure(skeleton(config))
    assert 1.5 * deep.num_operations < twice.num_operations < 2 * deep.num_operations
    assert checkpointed.num_operations > deep.num_operations
