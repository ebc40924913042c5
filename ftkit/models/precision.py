"""Choose the device and the number types by what the hardware does well."""

from __future__ import annotations

from dataclasses import dataclass

from ftkit.errors import ModelError


@dataclass(frozen=True)
class Device:
    """What a device can do.

    Attributes:
        kind: `cuda`, `xpu`, `mps` or `cpu`, as torch names it.
        name: for people.
        has_bfloat16: whether it computes in bfloat16 at all.
        has_fast_bfloat16: whether its matrix units do, so that bfloat16 is faster than float32.
    """

    kind: str
    name: str
    has_bfloat16: bool
    has_fast_bfloat16: bool


@dataclass(frozen=True)
class Precision:
    """Number types of a run.

    Attributes:
        weights: type that the weights are loaded and kept in.
        compute: type that autocast computes in; None without autocast.
        reason: why, in words for people.
    """

    weights: str
    compute: str | None
    reason: str


def choose_precision(
    device: Device, *, has_adapter: bool, dtype: str = "auto", precision: str = "auto"
) -> Precision:
    """Choose number types for training.

    With an adapter the base is frozen and its weights can be short. In full fine-tuning they stay in
    float32, because usual updates are lost in the 8 significant bits of bfloat16; autocast computes
    in a shorter type where that is faster.

    Args:
        device: what it can do.
        has_adapter: whether the base is frozen under an adapter.
        dtype: the recipe's `model.dtype`: of the weights, or `auto`.
        precision: the recipe's `training.precision`: of the computation, or `auto`.

    Raises:
        ModelError: types that the device cannot train in; says which it can.
    """
    _check_possible(device, has_adapter=has_adapter, dtype=dtype, precision=precision)
    weights, why_weights = _choose_weights(device, has_adapter, dtype, precision)
    compute, why_compute = _choose_compute(device, precision)
    if weights == "bfloat16" or compute == "float32":
        compute = None
    elif weights == "float16":
        compute, why_compute = "float16", "as the weights"
    if weights == "bfloat16":
        return Precision(weights, None, f"bfloat16 ({why_weights})")
    if compute is None:
        why_compute = "" if precision == "auto" else "; training.precision says so"
        return Precision(weights, None, f"{weights} ({why_weights}{why_compute})")
    return Precision(
        weights, compute, f"{weights} weights ({why_weights}), computed in {compute} ({why_compute})"
    )


def choose_device(available: dict[str, bool]) -> str:
    """Choose the kind of device to run on.

    Args:
        available: which kinds there are, such as `{"cuda": False, "mps": True}`.

    Returns:
        The first there is of cuda, xpu and mps, else cpu.
    """
    return next((kind for kind in ("cuda", "xpu", "mps") if available.get(kind)), "cpu")


def read_device(kind: str | None = None) -> Device:
    """Ask torch what a device of this machine can do; the best one's when no kind is given."""
    import torch

    kind = kind or choose_device(
        {
            "cuda": torch.cuda.is_available(),
            "xpu": torch.xpu.is_available(),
            "mps": torch.backends.mps.is_available(),
        }
    )
    if kind == "cuda":
        # Without emulation: before Ampere, bfloat16 runs but slower than float32.
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return Device(kind, torch.cuda.get_device_name(), torch.cuda.is_bf16_supported(), native)
    if kind == "xpu":
        native = torch.xpu.is_bf16_supported()
        return Device(kind, torch.xpu.get_device_name(), native, native)
    if kind == "mps":
        return Device(kind, "Apple GPU", has_bfloat16=True, has_fast_bfloat16=False)
    is_fast = _has_bfloat16_units()
    return Device("cpu", f"CPU ({torch.backends.cpu.get_cpu_capability()})", True, is_fast)


def _has_bfloat16_units() -> bool:
    """Tell whether the CPU multiplies matrices in bfloat16 by itself: AVX-512 BF16, AMX, or Arm's."""
    import torch

    if not hasattr(torch.cpu, "get_capabilities"):  # older than 2.12
        return bool(torch.cpu._is_avx512_bf16_supported())
    abilities = torch.cpu.get_capabilities()
    return any(abilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def _check_possible(device: Device, *, has_adapter: bool, dtype: str, precision: str) -> None:
    for key, value in {"model.dtype": dtype, "training.precision": precision}.items():
        if value == "float16" and device.kind not in ("cuda", "xpu"):
            instead = "bfloat16" if device.has_fast_bfloat16 else "float32"
            raise ModelError(f"{key}: float16 does not train on {device.name}; set it to {instead} or auto")
        if value == "bfloat16" and not device.has_bfloat16:
            raise ModelError(f"{key}: {device.name} has no bfloat16; set it to float32 or auto")
    if dtype == "float16" and not has_adapter:
        raise ModelError(
            "model.dtype: float16 weights cannot be trained themselves, their gradients vanish; set it to "
            "auto, and training.precision: float16 to compute in float16"
        )
    if dtype in ("bfloat16", "float16") and precision not in ("auto", dtype):
        raise ModelError(
            f"training.precision: {precision} does not go with model.dtype: {dtype}; set one of them to auto"
        )


def _choose_weights(device: Device, has_adapter: bool, dtype: str, precision: str) -> tuple[str, str]:
    if dtype != "auto":
        return dtype, "model.dtype says so"
    if not has_adapter:
        return "float32", "small updates count in full fine-tuning"
    if precision == "bfloat16":
        return "bfloat16", "training.precision says so, and the base is frozen"
    if precision == "auto" and device.has_fast_bfloat16:
        return "bfloat16", f"fast on {device.name}, and the base is frozen"
    why = "training.precision says so" if precision != "auto" else f"bfloat16 is not faster on {device.name}"
    return "float32", why


def _choose_compute(device: Device, precision: str) -> tuple[str | None, str]:
    if precision != "auto":
        return precision, "training.precision says so"
    if device.has_fast_bfloat16:
        return "bfloat16", f"fast on {device.name}"
    if device.kind in ("cuda", "xpu"):
        return "float16", f"{device.name} has no fast bfloat16; the loss is scaled"
    return None, f"bfloat16 is not faster on {device.name}"
