"""Where a model runs."""

import pytest
import torch

from ftkit.errors import DeviceMemoryError
from ftkit.models import Device, load_model, move_to_device
from ftkit.models.placement import name_device

GPU = Device("cuda", "a GPU", has_bfloat16=True, has_fast_bfloat16=True)


class Recorder:
    def to(self, device):
        self.device = str(device)


@pytest.mark.parametrize(("rank", "expected"), [(None, "cuda:0"), ("3", "cuda:3")])
def test_each_process_has_an_accelerator_of_its_own(rank, expected, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    if rank:
        monkeypatch.setenv("LOCAL_RANK", rank)
    model = Recorder()
    move_to_device(model, GPU)
    assert model.device == expected


@pytest.mark.parametrize("kind", ["cpu", "mps"])
def test_there_is_one_cpu_and_one_apple_device(kind):
    assert str(name_device(kind, 1)) == kind


def test_a_model_too_large_for_its_device_says_how_large_it_is(tiny_llama, make_section, monkeypatch):
    def fail(_self, _device):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate")

    model, _ = load_model(
        make_section(tiny_llama), auto_class="AutoModelForCausalLM", labels=None, dtype="float32", task="chat"
    )
    monkeypatch.setattr(type(model), "to", fail)
    with pytest.raises(DeviceMemoryError, match=r"do not fit on a GPU; they take 0.0 GB as torch.float32"):
        move_to_device(model, GPU)
