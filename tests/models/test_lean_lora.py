"""LoRA layers with fewer steps give what peft's own give."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch import nn

from ftkit.models.lean_lora import make_lora_lean


class Small(nn.Module):
    def __init__(self, *, bias):
        super().__init__()
        self.first = nn.Linear(24, 32, bias=bias)
        self.second = nn.Linear(32, 8, bias=bias)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))


def make_pair(dtype=torch.float32, *, bias=True, **options):
    """The same model with an adapter twice: as peft has it, and made lean."""
    torch.manual_seed(0)
    settings = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **options}
    slow = get_peft_model(Small(bias=bias).to(dtype), LoraConfig(**settings))
    for name, weights in slow.named_parameters():
        if "lora_B" in name:  # begins as zeros, which would hide the gradient of A
            nn.init.normal_(weights)
    fast = copy.deepcopy(slow)
    return slow, fast, make_lora_lean(fast)


def run(model, x):
    x = x.clone().requires_grad_()
    out = model(x)
    (out.float() * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    grads = {name: weights.grad for name, weights in model.named_parameters() if weights.grad is not None}
    return out, {**grads, "x": x.grad}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 24), (2, 7, 24)])
def test_outputs_and_gradients_are_those_of_peft(bias, shape):
    slow, fast, number = make_pair(bias=bias)
    assert number == 2
    x = torch.randn(shape)
    (slow_out, slow_grads), (fast_out, fast_grads) = run(slow, x), run(fast, x)
    # float32, the same sums in another order
    torch.testing.assert_close(fast_out, slow_out, rtol=1e-5, atol=1e-5)
    assert fast_grads.keys() == slow_grads.keys()
    for name, gradient in slow_grads.items():
        torch.testing.assert_close(fast_grads[name], gradient, rtol=1e-4, atol=1e-4)


def test_in_bfloat16_the_adapter_and_its_gradients_stay_float32():
    slow, fast, _ = make_pair(torch.bfloat16)
    x = torch.randn(64, 24, dtype=torch.bfloat16)
    (slow_out, slow_grads), (fast_out, fast_grads) = run(slow, x), run(fast, x)
    assert fast_out.dtype == slow_out.dtype == torch.bfloat16
    # both round to 8 bits, at different places
    torch.testing.assert_close(fast_out, slow_out, rtol=0.05, atol=0.1)
    for name, gradient in slow_grads.items():
        assert fast_grads[name].dtype == gradient.dtype
        error = (fast_grads[name].float() - gradient.float()).norm() / gradient.float().norm()
        assert error < 0.03


@pytest.mark.parametrize("options", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}])
def test_layers_that_do_more_are_left_to_peft(options):
    _, fast, number = make_pair(**options)
    assert number == 0
    assert "forward" not in vars(fast.base_model.model.first)


def test_a_disabled_or_merged_adapter_is_peft_s():
    _, fast, _ = make_pair()
    x = torch.randn(3, 24)
    with_adapter = fast(x)
    with fast.disable_adapter():
        without = fast(x)
    assert not torch.allclose(with_adapter, without)
    merged = fast.merge_and_unload()
    torch.testing.assert_close(merged(x), with_adapter, rtol=1e-4, atol=1e-4)
    assert isinstance(merged.first, nn.Linear)


def test_under_autocast_peft_computes():
    slow, fast, _ = make_pair()
    x = torch.randn(3, 24)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(fast(x), slow(x), rtol=0, atol=0)
