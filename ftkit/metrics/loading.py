"""Metrics in the interface of `evaluate`: ftkit's own, and whatever else `evaluate` can load."""

import logging
from typing import Any

from ftkit.errors import MetricError
from ftkit.metrics.catalogue import METRICS, MetricInfo, suggest_metrics
from ftkit.metrics.scoring import score

logger = logging.getLogger(__name__)


def load_metric(name: str) -> Any:
    """Load a metric to call `compute(predictions=..., references=...)` on.

    Args:
        name: one of ftkit's (`METRICS`; needs no network and runs no foreign code), or anything
            that `evaluate.load` takes: a metric of the hub, a script.

    Returns:
        An `evaluate.Metric`; one of ftkit's own computes `{name: score}`.

    Raises:
        MetricError: nobody knows the metric, or the hub cannot be reached.
    """
    if name in METRICS:
        return make_metric(METRICS[name])
    import evaluate

    logger.info("metric %s is not ftkit's own: evaluate loads it, and runs the script behind it", name)
    try:
        return evaluate.load(name)
    except Exception as error:  # whatever a script from the hub raises
        message = f"metric {name!r}: neither ftkit nor evaluate.load has it here; {suggest_metrics(name)}"
        raise MetricError(message) from error


def make_metric(info: MetricInfo) -> Any:
    """Make an `evaluate.Metric` that computes one of ftkit's metrics, in memory and without the network."""
    import evaluate

    from ftkit.metrics.inputs import check_rows  # here, because it imports numpy

    class OwnMetric(evaluate.Metric):  # type: ignore[misc]
        """One of ftkit's metrics."""

        def __init__(self) -> None:
            super().__init__(keep_in_memory=True)
            self.info.module_name = info.name

        def _info(self) -> Any:
            return evaluate.MetricInfo(
                description=f"{info.meaning} ({info.unit})",
                citation=info.source,
                inputs_description="",
                features=_make_features(info.kind),
            )

        def _build_data_dir(self) -> str:
            """Make no folder in the hub's cache: nothing is kept, and the cache may be read-only."""
            return ""

        def add_batch(self, *, predictions: Any = None, references: Any = None, **_: Any) -> None:
            """Add rows to what `compute` will score."""
            missing = [
                side
                for side, rows in (("predictions", predictions), ("references", references))
                if rows is None
            ]
            if missing:
                raise MetricError(
                    f"{info.name}: {missing[0]} are missing; give both predictions and references"
                )
            check_rows(info.name, predictions, references)
            try:
                super().add_batch(predictions=predictions, references=references)
            except ValueError as error:
                raise MetricError(f"{info.name}: {error}") from error

        def _compute(self, predictions: Any, references: Any, **options: Any) -> dict[str, float]:
            return {info.name: score(info.name, predictions, references, **options)}

    return OwnMetric()


def _make_features(kind: str) -> Any:
    """Say what `evaluate` shall accept, in the words of `datasets`; alternatives as a list.

    Labels and counts are taken as floats: a column of whole numbers would cut 0.7 to 0 silently,
    where the metric itself refuses it.
    """
    from datasets import Features, Sequence, Value

    text, number = Value("string"), Value("float64")
    sides: dict[str, list[tuple[Any, Any]]] = {
        "labels": [(text, text), (number, number)],
        "label_sets": [(Sequence(number), Sequence(number))],
        "label_probabilities": [(Sequence(number), Sequence(number))],
        "numbers": [(number, number)],
        "losses": [(number, number)],
        "byte_losses": [(number, number)],
        "counts": [(number, number)],
        "texts": [(text, text), (text, Sequence(text))],
        "json_texts": [(text, text), (text, Sequence(text))],
        "schemas": [(text, text)],
        "samples": [(number, number)],
        "tags": [(Sequence(text), Sequence(text))],
        "answers": [(text, Sequence(text))],
    }
    choices = [
        Features(predictions=predictions, references=references) for predictions, references in sides[kind]
    ]
    return choices if len(choices) > 1 else choices[0]
