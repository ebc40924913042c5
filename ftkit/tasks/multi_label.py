"""Text classification with any number of labels for a text, each decided for itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import exp, log1p
from typing import TYPE_CHECKING, Any

from ftkit.tasks import text_classification
from ftkit.tasks.label_names import find_unknown, order_labels, read_label_set
from ftkit.tasks.protocol import Encoding, LossOptions, Row
from ftkit.tasks.text_encoding import (
    SHORTENINGS,
    compute_logits,
    count_weights,
    make_collate,
    make_encode,
    pool_windows,
)

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

VERSION = 2
SUMMARY = "give a text, or a pair of texts, any number of labels"
COLUMNS = text_classification.COLUMNS
READS = text_classification.READS
MODEL_CLASS = text_classification.MODEL_CLASS
ADAPTER_TYPE = text_classification.ADAPTER_TYPE
METRIC_KINDS = ("label_sets", "label_probabilities", "losses")
METRICS = ("multilabel_micro_f1", "multilabel_macro_f1", "average_precision", "loss")
TOO_LONG = SHORTENINGS
GENERATES = False
PROBLEM_TYPE = "multi_label"
THRESHOLD = 0.5
"""From which probability on a label is given, until `find_threshold` knows better."""


def prepare_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Say in the configuration what the head's numbers mean."""
    model.config.problem_type = "multi_label_classification"


def check_row(row: Row, encoding: Encoding) -> str | None:
    """Say whether a label is outside the names or given twice; a row without any label is good."""
    if not encoding.labelled:
        return None
    found = read_label_set(row.get("label"), encoding.label_separator)
    if found is None:
        return f"column 'label' is {row.get('label')!r}; labels are words or whole numbers, in a list"
    names = [(encoding.label_names or {}).get(name, name) for name in found]
    twice = [name for name, number in Counter(names).items() if number > 1]
    if twice:
        return f"column 'label' has {twice[0]!r} more than once; name each label once"
    return next((problem for name in names if (problem := find_unknown(name, encoding.labels))), None)


def read_labels(
    rows: Iterable[Row],
    label_names: Sequence[str] | Mapping[str, str] | None,
    *,
    separator: str | None = None,
) -> dict[str, int]:
    """Return label names in the order of their ids, each with its number of rows; see `order_labels`."""
    found: Counter[str] = Counter()
    for row in rows:
        found.update(set(read_label_set(row.get("label"), separator) or ()))
    return order_labels(found, label_names)


def _read_target(row: Row, encoding: Encoding) -> list[int]:
    """Return 0 or 1 for each label."""
    found = read_label_set(row["label"], encoding.label_separator) or []
    names = {(encoding.label_names or {}).get(name, name) for name in found}
    return [int(label in names) for label in encoding.labels]


encode = make_encode(_read_target)
collate = make_collate("float32")
count_items = count_weights


def compute_loss(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], options: LossOptions
) -> torch.Tensor:
    """Return the binary cross-entropy, averaged over labels and summed over rows, in nats, a scalar.

    A class weight multiplies what a label costs where it should be given, as torch's `pos_weight` does.
    """
    import torch

    logits = compute_logits(model, batch).float()
    weights = torch.tensor(options.class_weights, device=logits.device) if options.class_weights else None
    smoothing = options.label_smoothing
    targets = batch["labels"] * (1 - smoothing) + smoothing / 2
    losses = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, targets, pos_weight=weights, reduction="none"
    ).mean(-1)
    return (losses * batch["weights"].to(losses)).sum()


def predict(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], examples: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the log-odds of each label and, where labels are known, these and the loss in nats."""
    logits = compute_logits(model, batch).double().tolist()
    labels = batch["labels"].int().tolist() if "labels" in batch else [None] * len(logits)
    return [
        _make_record(row, row_logits, row_labels)
        for row, row_logits, row_labels in zip(batch["row"].tolist(), logits, labels, strict=True)
    ]


def _make_record(row: int, logits: list[float], labels: list[int] | None) -> dict[str, Any]:
    record = {"row": row, "logits": logits}
    if labels is None:
        return record
    losses = [_soft_plus(-logit if label else logit) for logit, label in zip(logits, labels, strict=True)]
    return {**record, "labels": labels, "loss": sum(losses) / len(losses)}


def _soft_plus(value: float) -> float:
    return max(value, 0.0) + log1p(exp(-abs(value)))


def _list_probabilities(record: Mapping[str, Any]) -> list[float]:
    return [exp(-_soft_plus(-logit)) for logit in record["logits"]]


def merge(records: list[dict[str, Any]], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Make one record of the windows of each row: the mean log-odds of each label.

    That is the mean of the log-probabilities for and against it, made to add up.
    """
    if len({record["row"] for record in records}) == len(records):
        return records
    return [
        _make_record(record["row"], means, record.get("labels"))
        for record, means in pool_windows(records, "logits")
    ]


def find_threshold(records: Sequence[Mapping[str, Any]]) -> float:
    """Find the probability from which on giving a label scores the highest micro-F1 on these records."""
    from ftkit.metrics.thresholds import find_label_threshold

    return find_label_threshold(*list_scored(records, "label_probabilities")).value


def list_scored(records: Sequence[Mapping[str, Any]], kind: str) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return labels given and true as 0 and 1, or probabilities of labels, or losses of rows."""
    if kind == "losses":
        return [record["loss"] for record in records], [1] * len(records)
    true = [record["labels"] for record in records]
    if kind == "label_probabilities":
        return [_list_probabilities(record) for record in records], true
    return [_decide(record) for record in records], true


def list_probabilities(records: Sequence[Mapping[str, Any]]) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return the probability of each label, and 1 for those that hold, a list of each per row."""
    return list_scored(records, "label_probabilities")


def _decide(record: Mapping[str, Any]) -> list[int]:
    threshold = record.get("threshold", THRESHOLD)
    return [int(probability >= threshold) for probability in _list_probabilities(record)]


def present(prediction: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return the names of the labels given, and all probabilities from the most to the least likely."""
    probabilities = _list_probabilities(prediction)
    order = sorted(range(len(labels)), key=lambda place: -probabilities[place])
    given = _decide(prediction)
    shown: dict[str, Any] = {
        "row": prediction["row"],
        "prediction": [labels[place] for place in order if given[place]],
    }
    if "labels" in prediction:
        true = [label for label, holds in zip(labels, prediction["labels"], strict=True) if holds]
        shown |= {"label": true, "loss": prediction["loss"]}
    shown["threshold"] = prediction.get("threshold", THRESHOLD)
    return {**shown, "probabilities": {labels[place]: probabilities[place] for place in order}}


def predict_trivially(
    predictions: Sequence[Mapping[str, Any]], label_counts: Sequence[int]
) -> list[dict[str, Any]] | None:
    """Return records that give every row the same labels: the best that can be done without reading.

    Probabilities are the labels' shares in these very rows, and the threshold is the best one on them,
    so that no constant answer scores a higher micro-F1 or a lower loss.
    """
    from math import log

    if not predictions:
        return None
    true = [record["labels"] for record in predictions]
    rows = len(true)
    shares = [min(max(sum(column), 0.5), rows - 0.5) / rows for column in zip(*true, strict=True)]
    logits = [log(share / (1 - share)) for share in shares]
    records = [_make_record(record["row"], logits, record["labels"]) for record in predictions]
    threshold = find_threshold(records)
    return [{**record, "threshold": threshold} for record in records]


def explain(predictions: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """Return precision, recall, F1 and rows of each label, and the threshold that was used."""
    from ftkit.metrics.classification import score_per_class

    table = score_per_class(*list_scored(predictions, "label_sets"), label_names=labels)
    threshold = predictions[0].get("threshold", THRESHOLD) if predictions else THRESHOLD
    return {"threshold": threshold, "per_class": [vars(line) for line in table]}
