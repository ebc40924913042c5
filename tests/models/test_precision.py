"""Number types follow from the device, from what is trained, and from the recipe."""

import itertools

import pytest

from ftkit.errors import ModelError
from ftkit.models import Device, choose_device, choose_precision, read_device

NEW_GPU = Device("cuda", "H100", has_bfloat16=True, has_fast_bfloat16=True)
OLD_GPU = Device("cuda", "V100", has_bfloat16=True, has_fast_bfloat16=False)
NEW_CPU = Device("cpu", "CPU with AMX", has_bfloat16=True, has_fast_bfloat16=True)
OLD_CPU = Device("cpu", "old CPU", has_bfloat16=True, has_fast_bfloat16=False)
APPLE = Device("mps", "Apple GPU", has_bfloat16=True, has_fast_bfloat16=False)
OLDEST = Device("mps", "old Apple GPU", has_bfloat16=False, has_fast_bfloat16=False)
TYPES = ("auto", "float32", "bfloat16", "float16")


@pytest.mark.parametrize(
    ("device", "has_adapter", "weights", "compute"),
    [
        (NEW_GPU, False, "float32", "bfloat16"),
        (NEW_GPU, True, "bfloat16", None),
        (OLD_GPU, False, "float32", "float16"),
        (OLD_GPU, True, "float32", "float16"),
        (NEW_CPU, False, "float32", "bfloat16"),
        (NEW_CPU, True, "bfloat16", None),
        (OLD_CPU, False, "float32", None),
        (OLD_CPU, True, "float32", None),
        (APPLE, False, "float32", None),
        (APPLE, True, "float32", None),
    ],
)
def test_the_automatic_choice(device, has_adapter, weights, compute):
    chosen = choose_precision(device, has_adapter=has_adapter)
    assert (chosen.weights, chosen.compute) == (weights, compute)
    assert chosen.reason.startswith(weights)


@pytest.mark.parametrize(
    ("device", "has_adapter", "dtype", "precision", "weights", "compute"),
    [
        (NEW_GPU, False, "auto", "float32", "float32", None),
        (NEW_GPU, False, "auto", "bfloat16", "float32", "bfloat16"),
        (NEW_GPU, False, "auto", "float16", "float32", "float16"),
        (NEW_GPU, False, "bfloat16", "auto", "bfloat16", None),
        (NEW_GPU, True, "float32", "auto", "float32", "bfloat16"),
        (NEW_GPU, True, "float32", "float32", "float32", None),
        (NEW_GPU, True, "float16", "auto", "float16", "float16"),
        (OLD_GPU, True, "float16", "auto", "float16", "float16"),
        (NEW_GPU, True, "auto", "float32", "float32", None),
        (NEW_CPU, True, "auto", "float32", "float32", None),
        (NEW_CPU, True, "float32", "auto", "float32", "bfloat16"),
        (NEW_CPU, False, "auto", "bfloat16", "float32", "bfloat16"),
        (OLD_CPU, True, "bfloat16", "auto", "bfloat16", None),
        (OLD_CPU, True, "auto", "bfloat16", "bfloat16", None),
        (APPLE, False, "auto", "bfloat16", "float32", "bfloat16"),
    ],
)
def test_what_the_recipe_says_is_done(device, has_adapter, dtype, precision, weights, compute):
    chosen = choose_precision(device, has_adapter=has_adapter, dtype=dtype, precision=precision)
    assert (chosen.weights, chosen.compute) == (weights, compute)
    assert "says so" in chosen.reason


@pytest.mark.parametrize(
    ("device", "has_adapter", "settings", "complaint"),
    [
        (
            NEW_CPU,
            False,
            {"precision": "float16"},
            "training.precision: float16 .*CPU with AMX; set it to bfloat16",
        ),
        (
            OLD_CPU,
            True,
            {"dtype": "float16"},
            "model.dtype: float16 does not train on old CPU; set it to float32",
        ),
        (APPLE, True, {"precision": "float16"}, "does not train on Apple GPU"),
        (OLDEST, True, {"dtype": "bfloat16"}, "model.dtype: old Apple GPU has no bfloat16"),
        (OLDEST, False, {"precision": "bfloat16"}, "training.precision: old Apple GPU has no bfloat16"),
        (
            NEW_GPU,
            False,
            {"dtype": "float16"},
            "float16 weights cannot be trained.*training.precision: float16",
        ),
        (NEW_GPU, True, {"dtype": "bfloat16", "precision": "float32"}, "float32 does not go with .*bfloat16"),
        (NEW_GPU, True, {"dtype": "bfloat16", "precision": "float16"}, "float16 does not go with"),
    ],
)
def test_what_cannot_be_is_an_error_that_says_what_can(device, has_adapter, settings, complaint):
    with pytest.raises(ModelError, match=complaint):
        choose_precision(device, has_adapter=has_adapter, **settings)


@pytest.mark.parametrize(
    "device", [NEW_GPU, OLD_GPU, NEW_CPU, OLD_CPU, APPLE], ids=lambda device: device.name
)
def test_every_combination_is_either_refused_or_followed(device):
    for has_adapter, dtype, precision in itertools.product((True, False), TYPES, TYPES):
        try:
            chosen = choose_precision(device, has_adapter=has_adapter, dtype=dtype, precision=precision)
        except ModelError:
            continue
        assert dtype in ("auto", chosen.weights)
        computed = chosen.compute or chosen.weights
        assert precision in ("auto", computed)
        assert not (chosen.compute == "float16" and device.kind == "cpu")


@pytest.mark.parametrize(
    ("available", "kind"),
    [
        ({}, "cpu"),
        ({"cuda": False, "mps": False}, "cpu"),
        ({"mps": True}, "mps"),
        ({"cuda": True, "mps": True, "xpu": True}, "cuda"),
        ({"cuda": False, "xpu": True}, "xpu"),
    ],
)
def test_the_best_kind_of_device_is_chosen(available, kind):
    assert choose_device(available) == kind


def test_this_machines_cpu_is_read():
    device = read_device("cpu")
    assert device.kind == "cpu"
    assert device.has_bfloat16
    assert device.name.startswith("CPU (")


@pytest.mark.parametrize(("ability", "fast"), [("amx_bf16", True), ("avx512_bf16", True), ("avx2", False)])
def test_a_cpu_is_fast_in_bfloat16_when_it_has_the_instructions(monkeypatch, ability, fast):
    import torch

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {ability: True})
    assert read_device("cpu").has_fast_bfloat16 is fast


@pytest.mark.parametrize(("native", "fast"), [(True, True), (False, False)])
def test_emulated_bfloat16_of_a_gpu_does_not_count_as_fast(monkeypatch, native, fast):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "V100")
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native
    )
    device = read_device()
    assert (device.kind, device.has_bfloat16, device.has_fast_bfloat16) == ("cuda", True, fast)
