"""How much of what the device can compute a training uses: model FLOPs utilisation.

Counted is what the model needs for its tokens, as in Chowdhery et al., "PaLM" (2022), appendix B: two
operations for each weight and token forward, two for the gradient that goes on down, two for that of a
trained weight, and attention. Padding, recomputed layers and logits of unlabelled positions do not count,
however many are computed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.tasks.padding import IGNORED

if TYPE_CHECKING:
    import torch

SIZE = 1024
"""Side of the matrices whose product is timed, on a CPU; four times as much on an accelerator."""
TIMES = 8


@dataclass(frozen=True)
class Work:
    """Floating point operations of a training step, forward and backward.

    Attributes:
        per_token: of the body, for a token of the input.
        per_target: of the decoder of an encoder-decoder, for a token of the target.
        per_label: of the head, for a position that has a label.
        per_pair: of attention, for a token and one that it sees, in all layers.
        is_causal: whether a token sees only those before it.
    """

    per_token: float
    per_target: float = 0.0
    per_label: float = 0.0
    per_pair: float = 0.0
    is_causal: bool = False

    def count(self, batch: Mapping[str, torch.Tensor]) -> float:
        """Return the operations that the rows of a micro-batch need, padding not counted."""
        lengths = batch["attention_mask"].sum(-1).double()
        pairs = float((lengths**2).sum()) / (2 if self.is_causal else 1)
        labels = batch.get("labels")
        has_tokens = labels is not None and labels.dim() == 2 and not labels.is_floating_point()
        num_labels = int((labels != IGNORED).sum()) if labels is not None and has_tokens else 0
        return (
            float(lengths.sum()) * self.per_token
            + num_labels * (self.per_target + self.per_label)
            + pairs * self.per_pair
        )


def measure_work(model: Any) -> Work:
    """Read from a model's weights, and from which of them are trained, what a token takes.

    Args:
        model: with its adapter, if it has one. Of mixtures of experts, a token takes its share.
    """
    import torch

    config = model.config.get_text_config()
    tables = {id(part.weight) for part in model.modules() if isinstance(part, torch.nn.Embedding)}
    head = model.get_output_embeddings()
    tables |= {id(head.weight)} if head is not None else set()
    decoder = _list_decoder(model)
    sums = {False: 0.0, True: 0.0}
    for name, weights in model.named_parameters():
        if weights.dim() > 1 and id(weights) not in tables:
            share = _read_expert_share(config) if ".experts." in name else 1.0
            sums[id(weights) in decoder] += share * weights.numel() * (6 if weights.requires_grad else 4)
    layers, width = getattr(config, "num_hidden_layers", 0), getattr(config, "hidden_size", 0)
    return Work(
        per_token=sums[False],
        per_target=sums[True],
        per_label=0.0 if head is None else head.weight.numel() * (6 if head.weight.requires_grad else 4),
        per_pair=12.0 * layers * width,
        is_causal=not decoder and bool(getattr(config, "is_decoder", False) or _predicts_next(model)),
    )


def _predicts_next(model: Any) -> bool:
    return any("CausalLM" in name or "LMHeadModel" in name for name in map(_name, _unwrap(model)))


def _unwrap(model: Any) -> list[Any]:
    return [model, model.get_base_model()] if hasattr(model, "get_base_model") else [model]


def _name(model: Any) -> str:
    return type(model).__name__


def _list_decoder(model: Any) -> set[int]:
    """Return the ids of the weights that see targets and not inputs."""
    if not getattr(model.config, "is_encoder_decoder", False):
        return set()
    inner = _unwrap(model)[-1]
    return {id(weights) for weights in inner.get_decoder().parameters()}


def _read_expert_share(config: Any) -> float:
    names = ("num_local_experts", "num_experts", "n_routed_experts")
    number = next((getattr(config, name) for name in names if getattr(config, name, None)), 1)
    return float(getattr(config, "num_experts_per_tok", None) or number) / number


def measure_peak(device: torch.device, dtype: torch.dtype) -> float:
    """Time a matrix product and return the operations a second of the fastest of some.

    Args:
        device: where.
        dtype: what training computes in.
    """
    import torch

    size = SIZE if device.type == "cpu" else 4 * SIZE
    one, other = (torch.ones(size, size, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(TIMES):
        wait_for(device)
        started = time.perf_counter()
        one @ other
        wait_for(device)
        best = min(best, time.perf_counter() - started)
    return 2.0 * size**3 / best


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was given; a CPU always has."""
    import torch

    if device.type != "cpu":
        torch.accelerator.synchronize(device)
