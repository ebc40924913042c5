"""The metrics that a recipe names: checked before the work starts, computed after it."""

import functools
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

from ftkit.errors import MetricError
from ftkit.metrics.catalogue import METRICS, describe_metrics
from ftkit.metrics.loading import load_metric
from ftkit.metrics.scoring import score


def check_metrics(names: Sequence[str], kind: str) -> None:
    """Refuse metrics that nobody knows and those that score something else; needs no rows.

    Args:
        names: ftkit's own, or what `evaluate.load` takes.
        kind: what will be scored, a key of `METRIC_KINDS`.
    """
    for name in names:
        info = METRICS.get(name)
        if info is None:
            _load_other(name)
        elif info.kind != kind:
            fitting = ", ".join(fit.name for fit in describe_metrics(kind))
            message = (
                f"it scores {info.kind}, and here are {kind.replace('_', ' ')}; metrics that fit: {fitting}"
            )
            raise MetricError(f"metric {name!r}: {message}")


def compute_metrics(
    names: Sequence[str], kind: str, *, predictions: Any, references: Any
) -> dict[str, float]:
    """Compute metrics of one kind, by name, in the order given.

    Args:
        names: ftkit's own, or what `evaluate.load` takes.
        kind: what is scored, a key of `METRIC_KINDS`.
        predictions: one per row, as `METRIC_KINDS` says.
        references: one per row.
    """
    check_metrics(names, kind)
    return {
        name: score(name, predictions, references)
        if name in METRICS
        else _score_other(name, predictions, references)
        for name in names
    }


@functools.cache
def _load_other(name: str) -> Any:
    return load_metric(name)


def _score_other(name: str, predictions: Any, references: Any) -> float:
    try:
        found = _load_other(name).compute(predictions=predictions, references=references)
    except Exception as error:  # whatever a script from the hub raises
        first_line = str(error).strip().split("\n")[0] or type(error).__name__
        raise MetricError(f"metric {name!r}: its script cannot score these rows; {first_line}") from error
    return _pick_value(name, found)


def _pick_value(name: str, found: Mapping[str, Any]) -> float:
    """Take the one number of a metric that may report several."""
    values = {key: float(value) for key, value in found.items() if isinstance(value, numbers.Real)}
    own_name = name.rsplit("/", 1)[-1].removesuffix(".py")
    for key in (own_name, "score", *(values if len(values) == 1 else ())):
        if key in values:
            return values[key]
    message = f"it reports {', '.join(map(str, found))}, and none is called {own_name} or score"
    raise MetricError(f"metric {name!r}: {message}; name a metric that gives one number")
