"""The lines of metrics.jsonl as curves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_POINTS = 600
"""Points of one curve on the page: more than it is wide."""

SMOOTHED_FROM = 12
"""A curve of fewer points is shown as it is."""


@dataclass(frozen=True)
class Curve:
    """One number over the steps of a run."""

    name: str
    title: str
    unit: str
    steps: tuple[float, ...]
    values: tuple[float, ...]
    smoothed: tuple[float, ...] = ()
    """The values with the noise taken off, at the same steps; empty where there are too few."""

    evaluations: tuple[tuple[float, float], ...] = ()
    """The same number on the validation rows: (step, value)."""


@dataclass(frozen=True)
class Course:
    """How training went."""

    curves: tuple[Curve, ...]
    scores: tuple[Curve, ...]
    """Scores on the validation rows, beside the loss."""

    evaluations: tuple[int, ...]
    """Steps after which the validation rows were scored."""

    checkpoints: tuple[int, ...]
    """Steps after which a checkpoint was written."""


KINDS = (
    ("loss", "Loss", "nats", 1.0),
    ("learning_rate", "Learning rate", "", 1.0),
    ("grad_norm", "Gradient norm", "before clipping", 1.0),
    ("tokens_per_second", "Throughput", "tokens/s", 1.0),
    ("utilisation", "Model FLOPs utilisation", "% of a measured matrix product", 100.0),
    ("peak_memory_gb", "Memory", "GB, the most so far", 1.0),
)
"""Key in metrics.jsonl, title, unit, factor."""

NOISY = frozenset({"loss", "grad_norm", "tokens_per_second", "utilisation"})


def read_course(lines: Iterable[Mapping[str, Any]]) -> Course:
    """Sort the lines of metrics.jsonl into curves, evaluations and checkpoints."""
    lines = [line for line in lines if isinstance(line.get("step"), int)]
    found = (_make_curve(lines, *kind) for kind in KINDS)
    names = dict.fromkeys(
        key for line in lines for key in line if key.startswith("eval_") and key != "eval_loss"
    )
    scores = (_read_points(lines, name) for name in names)
    return Course(
        curves=tuple(curve for curve in found if curve is not None),
        scores=tuple(
            Curve(name, f"{name[5:]} on validation rows", "", *zip(*points, strict=True))
            for name, points in zip(names, scores, strict=True)
            if len(points) > 1
        ),
        evaluations=tuple(
            dict.fromkeys(line["step"] for line in lines if any(key.startswith("eval_") for key in line))
        ),
        checkpoints=tuple(dict.fromkeys(line["step"] for line in lines if line.get("checkpoint"))),
    )


def _make_curve(
    lines: Sequence[Mapping[str, Any]], name: str, title: str, unit: str, factor: float
) -> Curve | None:
    points = _read_points(lines, name)
    if not points:
        return None
    steps, values = zip(*points, strict=True)
    values = tuple(value * factor for value in values)
    smoothed = smooth(values) if name in NOISY and len(values) >= SMOOTHED_FROM else ()
    kept = thin_out(values)
    return Curve(
        name,
        title,
        unit,
        tuple(steps[place] for place in kept),
        tuple(values[place] for place in kept),
        tuple(smoothed[place] for place in kept) if smoothed else (),
        tuple(_read_points(lines, "eval_loss")) if name == "loss" else (),
    )


def _read_points(lines: Iterable[Mapping[str, Any]], name: str) -> list[tuple[float, float]]:
    """Return (step, value) of each line that has a finite value."""
    return [
        (line["step"], float(line[name]))
        for line in lines
        if isinstance(line.get(name), (int, float)) and math.isfinite(line[name])
    ]


def smooth(values: Sequence[float], *, share: float = 0.05) -> tuple[float, ...]:
    """Take the noise off: an exponential mean that forgets over a share of the curve.

    It is corrected for its start, as Adam's means are, so that the first value is the first one.
    """
    weight = 1 - 1 / max(2.0, share * len(values))
    mean, total, smoothed = 0.0, 0.0, []
    for value in values:
        mean = weight * mean + (1 - weight) * value
        total = weight * total + (1 - weight)
        smoothed.append(mean / total)
    return tuple(smoothed)


def thin_out(values: Sequence[float], most: int = MOST_POINTS) -> list[int]:
    """Choose places that keep a curve's shape: of each stretch its lowest and its highest point."""
    if len(values) <= most:
        return list(range(len(values)))
    stretch = 2 * len(values) / (most - 2)
    kept = {0, len(values) - 1}
    start = 0.0
    while start < len(values):
        places = range(int(start), min(len(values), max(int(start) + 1, int(start + stretch))))
        kept |= {min(places, key=values.__getitem__), max(places, key=values.__getitem__)}
        start += stretch
    return sorted(kept)
