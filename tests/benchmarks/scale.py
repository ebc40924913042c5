"""Full fine-tuning on 1 to 512 accelerators, on paper: memory, communication and efficiency by formulas.

    python tests/benchmarks/scale.py --billions 7

Nothing here is measured. Bytes per parameter are those of ftkit: weights, gradient and AdamW's two moments in
float32; under FSDP weights travel in bfloat16, twice a micro-batch, and gradients once. A ring moves
(N - 1) / N of what it gathers or scatters through each device (Patarasuk and Yuan 2009, "Bandwidth optimal
all-reduce algorithms"); FSDP's three rounds are those of ZeRO-3 (Rajbhandari et al. 2020, section 7.2.2).
A step computes 6 operations a parameter and token (Kaplan et al. 2020, section 2.1). The devices are H100
SXM: 989 Tflop/s in bfloat16, of which `SHARE` is reached, 450 GB/s each way within a host of 8 (NVLink 4),
and 50 GB/s each between hosts (InfiniBand NDR, a port each), by NVIDIA's data sheets. No communication is
hidden behind computation.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

FLOPS, SHARE = 989e12, 0.4
WITHIN, BETWEEN = 450e9, 50e9
PER_HOST = 8
STATE_BYTES, WEIGHT_BYTES, GRADIENT_BYTES, TRAVEL_BYTES = 16, 4, 4, 2


@dataclass(frozen=True)
class Estimate:
    """One way to spread a run over some devices."""

    num_devices: int
    strategy: str
    memory_bytes: float
    """Weights, gradients and optimiser of one device while it trains, activations aside."""
    scoring_bytes: float
    """The same while it scores, with the whole weights beside."""
    traffic_bytes: float
    """Sent by each device in a step."""
    efficiency: float
    """Share of the time that is computation, where none of it hides the communication."""


def estimate(num_parameters: float, num_devices: int, strategy: str, *, tokens: int) -> Estimate:
    """Estimate one step of one micro-batch a device.

    Args:
        num_parameters: all trained.
        num_devices: of which each host has eight.
        strategy: `ddp`, `fsdp` over all devices, or `hybrid`: shards within a host, copies between hosts.
        tokens: that one device computes in a step.
    """
    shards = {"ddp": 1, "fsdp": num_devices, "hybrid": min(num_devices, PER_HOST)}[strategy]
    copies = num_devices // shards
    state = num_parameters * STATE_BYTES / shards
    sharding = 3 * TRAVEL_BYTES * num_parameters * (shards - 1) / shards
    reducing = 2 * GRADIENT_BYTES * num_parameters / shards * (copies - 1) / copies
    seconds = sharding / (WITHIN if shards <= PER_HOST else BETWEEN)
    seconds += reducing / (WITHIN if num_devices <= PER_HOST else BETWEEN)
    compute = 6 * num_parameters * tokens / (FLOPS * SHARE)
    return Estimate(
        num_devices=num_devices,
        strategy=strategy,
        memory_bytes=state,
        scoring_bytes=state + (num_parameters * WEIGHT_BYTES if shards > 1 else 0),
        traffic_bytes=sharding + reducing,
        efficiency=compute / (compute + seconds),
    )


def make_table(num_parameters: float, *, tokens: int) -> str:
    """Write a table in Markdown for 1, 8, 64 and 512 devices."""
    lines = [
        "| devices | strategy | memory of each, training | scoring | sent by each, a step | efficiency |",
        "|---:|---|---:|---:|---:|---:|",
    ]
    for number in (1, 8, 64, 512):
        for strategy in ("ddp", "fsdp", "hybrid"):
            if strategy == "hybrid" and number <= PER_HOST or strategy == "fsdp" and number == 1:
                continue
            each = estimate(num_parameters, number, strategy, tokens=tokens)
            sizes = (each.memory_bytes, each.scoring_bytes, each.traffic_bytes)
            shown = " | ".join(f"{size / 1e9:.1f} GB" for size in sizes)
            lines.append(f"| {number} | {strategy} | {shown} | {100 * each.efficiency:.0f} % |")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--billions", type=float, default=7.0, help="parameters")
    parser.add_argument("--tokens", type=int, default=16_384, help="tokens a device and step")
    options = parser.parse_args()
    print(make_table(options.billions * 1e9, tokens=options.tokens))


if __name__ == "__main__":
    main()
