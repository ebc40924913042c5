"""Common accelerators, from the data sheets of their makers."""

from __future__ import annotations

from dataclasses import dataclass

from ftkit.errors import RecipeError
from ftkit.models.precision import Device
from ftkit.sources.nearest import find_nearest

GIB = 1024**3
TERA = 10**12


@dataclass(frozen=True)
class Accelerator:
    """One device, as its data sheet has it."""

    name: str
    """What `--device` takes."""
    title: str
    memory_gib: int
    """What the data sheet calls GB: drivers show about as many GiB."""
    tera_flops: float
    """Peak of the matrix units in 16 bits with sums in 32, without sparsity."""
    gb_per_second: int
    """Bandwidth of the memory."""
    source: str
    has_bfloat16: bool = True

    @property
    def device(self) -> Device:
        """What it can do, as ftkit chooses number types by it."""
        return Device("cuda", self.title, self.has_bfloat16, self.has_bfloat16)


_NVIDIA = "https://www.nvidia.com/en-us/data-center"
ACCELERATORS = {
    each.name: each
    for each in (
        Accelerator("t4", "NVIDIA T4", 16, 65, 320, f"{_NVIDIA}/tesla-t4/", has_bfloat16=False),
        Accelerator("v100", "NVIDIA V100 SXM2 32 GB", 32, 125, 900, f"{_NVIDIA}/v100/", has_bfloat16=False),
        Accelerator("a10", "NVIDIA A10", 24, 125, 600, f"{_NVIDIA}/products/a10-gpu/"),
        Accelerator("l4", "NVIDIA L4", 24, 121, 300, f"{_NVIDIA}/l4/"),
        Accelerator("l40s", "NVIDIA L40S", 48, 362, 864, f"{_NVIDIA}/l40s/"),
        Accelerator("a100-40gb", "NVIDIA A100 SXM 40 GB", 40, 312, 1555, f"{_NVIDIA}/a100/"),
        Accelerator("a100", "NVIDIA A100 SXM 80 GB", 80, 312, 2039, f"{_NVIDIA}/a100/"),
        Accelerator("h100", "NVIDIA H100 SXM 80 GB", 80, 989, 3350, f"{_NVIDIA}/h100/"),
        Accelerator("h200", "NVIDIA H200 SXM", 141, 989, 4800, f"{_NVIDIA}/h200/"),
        Accelerator("rtx3090", "GeForce RTX 3090", 24, 71, 936, "NVIDIA Ampere GA102 whitepaper"),
        Accelerator("rtx4090", "GeForce RTX 4090", 24, 165, 1008, "NVIDIA Ada GPU architecture whitepaper"),
    )
}
"""Name -> the accelerator."""


def find_accelerator(name: str) -> Accelerator:
    """Return an accelerator by its name.

    Raises:
        RecipeError: it is not in the table; names the nearest, and all there are.
    """
    found = ACCELERATORS.get(name.lower().replace("_", "-"))
    if found is None:
        near = find_nearest(name.lower(), list(ACCELERATORS), most=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise RecipeError(f"--device: {name} is not in the table{hint}; there are {', '.join(ACCELERATORS)}")
    return found
