"""Scores over arrays and texts; each metric knows its own direction.

Importing this room imports nothing heavy: `evaluate`, scikit-learn, sacrebleu and rouge-score come
in with the first score.
"""

from ftkit.metrics.catalogue import METRIC_KINDS, METRICS, MetricInfo, describe_metrics, get_info
from ftkit.metrics.loading import load_metric
from ftkit.metrics.scoring import get_ratio, has_sums, measure_rows, score, score_rows, score_sums
from ftkit.metrics.selection import check_metrics, compute_metrics

__all__ = [
    "METRICS",
    "METRIC_KINDS",
    "MetricInfo",
    "check_metrics",
    "compute_metrics",
    "describe_metrics",
    "get_info",
    "get_ratio",
    "has_sums",
    "load_metric",
    "measure_rows",
    "score",
    "score_rows",
    "score_sums",
]
