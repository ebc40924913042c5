"""Text classification whose answer is a number, such as how alike two sentences are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.errors import DataError
from ftkit.tasks import text_classification
from ftkit.tasks.label_names import read_number
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
SUMMARY = "give a text, or a pair of texts, a number"
COLUMNS = text_classification.COLUMNS
READS = frozenset({"data.problem_type", "data.stride"})
MODEL_CLASS = text_classification.MODEL_CLASS
ADAPTER_TYPE = text_classification.ADAPTER_TYPE
METRIC_KINDS = ("numbers",)
METRICS = ("rmse", "pearson", "spearman")
TOO_LONG = SHORTENINGS
GENERATES = False
PROBLEM_TYPE = "regression"
OUTPUT = "LABEL_0"
"""What transformers calls the one number of a head, so that the head of a regression model is kept."""


def prepare_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Say in the configuration what the head's number means."""
    model.config.problem_type = "regression"


def check_row(row: Row, encoding: Encoding) -> str | None:
    """Say whether the label is no finite number; without labels there is nothing to say."""
    if not encoding.labelled or read_number(row.get("label")) is not None:
        return None
    return f"column 'label' is {row.get('label')!r}; regression needs a number in every row"


def read_labels(rows: Iterable[Row], label_names: Sequence[str] | Mapping[str, str] | None) -> dict[str, int]:
    """Return the name of the one output, with the number of rows.

    Raises:
        DataError: no row has a number.
    """
    number = sum(read_number(row.get("label")) is not None for row in rows)
    if not number:
        raise DataError("data.train: regression needs numbers in column 'label'; found none")
    return {OUTPUT: number}


def _read_target(row: Row, encoding: Encoding) -> float | None:
    """Return the row's number."""
    return read_number(row["label"])


encode = make_encode(_read_target)
collate = make_collate("float64")
count_items = count_weights


def compute_loss(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], options: LossOptions
) -> torch.Tensor:
    """Return the squared error summed over the rows, in the label's unit squared, a scalar."""
    errors = compute_logits(model, batch).float().squeeze(-1) - batch["labels"].float()
    return (errors**2 * batch["weights"].to(errors)).sum()


def predict(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], examples: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the number of each text and, where it is known, the true one."""
    found = compute_logits(model, batch).double().squeeze(-1).tolist()
    records = [
        {"row": row, "numbers": [number]} for row, number in zip(batch["row"].tolist(), found, strict=True)
    ]
    if "labels" in batch:
        for record, label in zip(records, batch["labels"].tolist(), strict=True):
            record["label"] = label
    return records


def merge(records: list[dict[str, Any]], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Make one record of the windows of each row: the mean of their numbers."""
    merged = []
    for record, (mean,) in pool_windows(records, "numbers"):
        kept = {name: value for name, value in record.items() if name != "numbers"}
        merged.append({**kept, "prediction": mean})
    return merged


def list_scored(records: Sequence[Mapping[str, Any]], kind: str) -> tuple[Sequence[float], Sequence[float]]:
    """Return predicted and true numbers."""
    return [record["prediction"] for record in records], [record["label"] for record in records]


def present(prediction: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return the number, beside the true one where it is known."""
    return dict(prediction)


def predict_trivially(
    predictions: Sequence[Mapping[str, Any]], label_counts: Sequence[int]
) -> list[dict[str, Any]] | None:
    """Return records that give every row the mean of these very rows: the constant with the least error."""
    if not predictions:
        return None
    mean = sum(record["label"] for record in predictions) / len(predictions)
    return [{**record, "prediction": mean} for record in predictions]


def explain(predictions: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """Return nothing further."""
    return {}
