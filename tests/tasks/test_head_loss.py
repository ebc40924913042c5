"""Loss and gradients made in chunks are those of the full logits."""

import pytest
import torch
import transformers
from torch.nn.functional import cross_entropy

from ftkit.tasks import head_loss
from ftkit.tasks.head_loss import Transform, find_transform, list_losses, sum_losses
from ftkit.tasks.supervised_positions import compute_logits

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 120,
    "head_dim": 8,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
CAUSAL = {
    "llama": {},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4},
    "gemma2": {"final_logit_softcapping": 5.0},
    "cohere": {"logit_scale": 0.25},
    "granite": {"logits_scaling": 4.0},
    "phi": {},  # its head has a bias
    "mixtral": {"num_local_experts": 2},
}
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}


def make_model(name, auto_class="AutoModelForCausalLM", **options):
    torch.manual_seed(0)
    options = {**SIZES, **CAUSAL.get(name, {}), **options}
    return (
        getattr(transformers, auto_class)
        .from_config(transformers.AutoConfig.for_model(name, **options))
        .eval()
    )


def make_work(name):
    """A model, what it reads, some positions of it and what should stand there."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 120, (3, 11), generator=generator)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if name == "bert":
        model = make_model("bert", "AutoModelForMaskedLM")
    elif name == "t5":
        model = make_model("t5", "AutoModelForSeq2SeqLM", **T5)
        inputs["decoder_input_ids"] = torch.randint(3, 120, (3, 11), generator=generator)
    else:
        model = make_model(name)
    positions = torch.rand(3, 11, generator=generator) < 0.6
    targets = torch.randint(3, 120, (int(positions.sum()),), generator=generator)
    return model, inputs, positions, targets


def slow_sum(model, inputs, positions, targets, weights=None, smoothing=0.0):
    """The obvious way: all logits, then those of the positions."""
    logits = model(**inputs).logits[positions].float()
    losses = cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
    return (losses if weights is None else losses * weights).sum()


def differentiate_both(name, **options):
    model, inputs, positions, targets = make_work(name)
    weights = torch.linspace(0, 2, len(targets)) if options.get("weights") else None
    smoothing = options["smoothing"]
    results = []
    for fast in (True, False):
        model.zero_grad()
        if fast:
            loss = sum_losses(model, inputs, positions, targets, weights=weights, label_smoothing=smoothing)
        else:
            loss = slow_sum(model, inputs, positions, targets, weights, smoothing)
        (loss * 0.37).backward()
        grads = {key: each.grad.clone() for key, each in model.named_parameters() if each.grad is not None}
        results.append((loss.detach(), grads))
    return results


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(head_loss, "CHUNK", 7)


@pytest.mark.parametrize("options", [{"smoothing": 0.0}, {"smoothing": 0.1, "weights": True}])
@pytest.mark.parametrize("name", [*CAUSAL, "bert", "t5"])
def test_loss_and_gradients_are_those_of_the_full_logits(name, options):
    (fast, fast_grads), (slow, slow_grads) = differentiate_both(name, **options)
    # float32, the same sums in another order
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-5)
    for key, gradient in slow_grads.items():
        torch.testing.assert_close(fast_grads[key], gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama", Transform()),
        ("gemma2", Transform(cap=5.0)),
        ("cohere", Transform(scale=0.25)),
        ("granite", Transform(scale=0.25)),
        ("bert", Transform()),
    ],
)
def test_what_stands_behind_the_head_is_found_by_trying(name, expected):
    model, inputs, _, _ = make_work(name)
    assert find_transform(model, inputs) == expected


def test_logits_that_come_about_otherwise_are_the_model_s_own(caplog):
    caplog.set_level("INFO")
    model, inputs, positions, targets = make_work("llama")
    forward = model.forward

    def doubled(*args, **kwargs):
        output = forward(*args, **kwargs)
        output.logits = output.logits * 2 + 1
        return output

    model.forward = doubled
    assert find_transform(model, inputs) is None
    logits = doubled(**inputs).logits[positions]
    expected = cross_entropy(logits, targets, reduction="sum")
    for _ in range(2):
        torch.testing.assert_close(sum_losses(model, inputs, positions, targets), expected)
    assert caplog.text.count("LlamaForCausalLM makes its logits otherwise than by one linear layer") == 1
    losses, best = list_losses(model, inputs, positions, targets, with_best=True)
    torch.testing.assert_close(losses.sum(), expected)
    assert torch.equal(best, logits.argmax(-1))


@pytest.mark.parametrize("name", ["llama", "gemma2", "bert", "t5"])
def test_losses_one_by_one_are_those_of_the_full_logits(name):
    model, inputs, positions, targets = make_work(name)
    with torch.no_grad():
        losses, best = list_losses(model, inputs, positions, targets, with_best=True)
        logits = compute_logits(model, inputs, positions)
    torch.testing.assert_close(losses, cross_entropy(logits, targets, reduction="none"), rtol=1e-5, atol=1e-5)
    assert torch.equal(best, logits.argmax(-1))


def test_logits_of_all_positions_never_exist_at_once(monkeypatch):
    model, inputs, positions, targets = make_work("llama")
    find_transform(model, inputs)
    sizes = []
    linear = torch.nn.functional.linear

    def spy(x, weight, bias=None):
        out = linear(x, weight, bias)
        sizes.append(out.shape[0] if out.shape[-1] == 120 else 0)
        return out

    monkeypatch.setattr(torch.nn.functional, "linear", spy)
    sum_losses(model, inputs, positions, targets)
    assert max(sizes) == 7


def test_a_frozen_head_gets_no_gradient():
    model, inputs, positions, targets = make_work("llama")
    model.lm_head.weight.requires_grad_(False)
    sum_losses(model, inputs, positions, targets).backward()
    assert model.lm_head.weight.grad is None
    assert model.model.layers[0].mlp.up_proj.weight.grad.abs().sum() > 0


def test_nothing_supervised_is_a_loss_of_zero_with_gradients():
    model, inputs, positions, targets = make_work("llama")
    loss = sum_losses(model, inputs, torch.zeros_like(positions), targets[:0])
    loss.backward()
    assert float(loss.detach()) == 0
    assert not model.model.layers[0].mlp.up_proj.weight.grad.any()


@pytest.mark.parametrize("name", ["llama", "bert"])
def test_under_autocast_the_products_are_short_and_the_sums_are_not(name):
    model, inputs, positions, targets = make_work(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fast = sum_losses(model, inputs, positions, targets)
        slow = slow_sum(model, inputs, positions, targets)
    fast.backward()
    assert fast.dtype == torch.float32
    # 8 bits in the products, and their order differs
    torch.testing.assert_close(fast, slow, rtol=1e-2, atol=1e-2)
    head = model.get_output_embeddings().weight
    assert head.grad.dtype == torch.float32


def test_scaled_gradients_of_float16_go_the_usual_way():
    model, inputs, positions, targets = make_work("llama")
    with torch.autocast("cpu", dtype=torch.float16):
        assert head_loss._is_scaled(model)
    assert not head_loss._is_scaled(model)
    assert find_transform(model, inputs) is not None
    assert targets.shape == (int(positions.sum()),)


def test_a_head_that_is_sharded_over_devices_computes_its_own_logits():
    model, inputs, _, _ = make_work("llama")
    model.lm_head.weight.ds_id = 3  # DeepSpeed's mark: the weights are elsewhere
    assert find_transform(model, inputs) is None
