"""Text classification: one label for a text, or for two together.

Several labels for a text are `ftkit.tasks.multi_label`, a number is `ftkit.tasks.regression`: the same
task in a recipe, chosen by `data.problem_type` or by what the rows have for labels.
"""

from __future__ import annotations

import importlib
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from ftkit.data import Column
from ftkit.errors import RecipeError
from ftkit.tasks.label_names import choose_problem_type, find_unknown, order_labels, read_label
from ftkit.tasks.protocol import Encoding, LossOptions, Row, Task
from ftkit.tasks.text_encoding import (
    SHORTENINGS,
    TEXT_COLUMNS,
    compute_logits,
    count_weights,
    make_collate,
    make_encode,
    pool_windows,
)

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ftkit.recipe import DataSection

logger = logging.getLogger(__name__)

VERSION = 3
SUMMARY = "give a text, or a pair of texts, one label, several labels or a number"
COLUMNS = (
    *TEXT_COLUMNS,
    Column("label", "labels", required=True, meaning="a word or a whole number; a list of them; a number"),
)
READS = frozenset(
    {
        *("data.label_names", "data.problem_type", "data.label_separator", "data.stride"),
        *("training.class_weights", "training.label_smoothing_factor"),
    }
)
MODEL_CLASS = "AutoModelForSequenceClassification"
ADAPTER_TYPE = "SEQ_CLS"
METRIC_KINDS = ("labels", "losses")
FORM_METRIC_KINDS = ("labels", "losses", "label_sets", "label_probabilities", "numbers")
"""Those of all its forms: what can be asked for before the labels are read."""
METRICS = ("macro_f1", "accuracy", "loss")
TOO_LONG = SHORTENINGS
GENERATES = False
PROBLEM_TYPE = "single_label"
FORMS = {"multi_label": "ftkit.tasks.multi_label", "regression": "ftkit.tasks.regression"}
"""Other problem types, and the modules that solve them."""


def choose_form(data: DataSection, rows: Iterable[Row]) -> Task | None:
    """Return the module for the labels that the rows have; None for this one.

    Raises:
        RecipeError: the recipe separates labels where there is one for each row.
    """
    if data.stride != "auto" and data.too_long != "windows":
        logger.warning("data.stride: not used; only data.too_long: windows reads it")
    found: str = data.problem_type
    if data.label_separator and found == "single_label":
        raise RecipeError(
            "data.label_separator: separates several labels, and data.problem_type is single_label; "
            "take one of the two out"
        )
    if found == "auto":
        found = choose_problem_type(rows, data.label_separator)
        if found != PROBLEM_TYPE:
            logger.info("data.problem_type: auto is %s, by the labels of the rows", found)
    return get_form(found)


def get_form(problem_type: str) -> Task | None:
    """Return the module of a problem type; None for this one."""
    name = FORMS.get(problem_type)
    return None if name is None else cast(Task, importlib.import_module(name))


def prepare_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Say in the configuration what the head's numbers mean."""
    model.config.problem_type = "single_label_classification"


def check_row(row: Row, encoding: Encoding) -> str | None:
    """Say whether the label is missing or outside the names; without labels there is nothing to say."""
    if not encoding.labelled:
        return None
    name = read_label(row.get("label"))
    if name is None:
        return f"column 'label' is {row.get('label')!r}; a label is a word or a whole number"
    return find_unknown((encoding.label_names or {}).get(name, name), encoding.labels)


def read_labels(rows: Iterable[Row], label_names: Sequence[str] | Mapping[str, str] | None) -> dict[str, int]:
    """Return label names in the order of their ids, each with its number of rows; see `order_labels`."""
    found = Counter(name for row in rows if (name := read_label(row.get("label"))) is not None)
    return order_labels(found, label_names)


def _read_target(row: Row, encoding: Encoding) -> int:
    """Return the id of the row's label."""
    name = read_label(row["label"]) or ""
    return encoding.labels.index((encoding.label_names or {}).get(name, name))


encode = make_encode(_read_target)
collate = make_collate("long")
count_items = count_weights


def compute_loss(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], options: LossOptions
) -> torch.Tensor:
    """Return the cross-entropy summed over the rows, in nats, a scalar.

    With class weights, each row counts by the weight of its label; `balanced` ones are 1 on average.
    """
    import torch

    logits = compute_logits(model, batch).float()
    weights = torch.tensor(options.class_weights, device=logits.device) if options.class_weights else None
    losses = torch.nn.functional.cross_entropy(
        logits, batch["labels"], weight=weights, reduction="none", label_smoothing=options.label_smoothing
    )
    return (losses * batch["weights"].to(losses)).sum()


def predict(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], examples: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the probabilities of each text and, where the label is known, label and loss in nats."""
    logs = compute_logits(model, batch).double().log_softmax(-1).tolist()
    labels = batch["labels"].tolist() if "labels" in batch else [None] * len(logs)
    return [
        _make_record(row, row_logs, label)
        for row, row_logs, label in zip(batch["row"].tolist(), logs, labels, strict=True)
    ]


def _make_record(row: int, logs: list[float], label: int | None) -> dict[str, Any]:
    best = max(range(len(logs)), key=logs.__getitem__)
    record = {"row": row, "prediction": best, "log_probabilities": logs}
    return record if label is None else {**record, "label": label, "loss": -logs[label]}


def merge(records: list[dict[str, Any]], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Make one record of the windows of each row: the mean of their log-probabilities, made to add up."""
    from math import exp, log

    if len({record["row"] for record in records}) == len(records):
        return records
    merged = []
    for record, means in pool_windows(records, "log_probabilities"):
        highest = max(means)
        total = highest + log(sum(exp(mean - highest) for mean in means))
        merged.append(_make_record(record["row"], [mean - total for mean in means], record.get("label")))
    return merged


def list_scored(records: Sequence[Mapping[str, Any]], kind: str) -> tuple[Sequence[float], Sequence[int]]:
    """Return predicted and true labels, or for losses those of the rows, each counted once."""
    if kind == "losses":
        return [record["loss"] for record in records], [1] * len(records)
    return [record["prediction"] for record in records], [record["label"] for record in records]


def list_probabilities(records: Sequence[Mapping[str, Any]]) -> tuple[list[list[float]], list[list[int]]]:
    """Return the probability of each label, and 1 for the right one, a list of each per row."""
    from math import exp

    logs = [record["log_probabilities"] for record in records]
    true = [
        [int(place == record["label"]) for place in range(len(row))]
        for row, record in zip(logs, records, strict=True)
    ]
    return [[exp(log) for log in row] for row in logs], true


def present(prediction: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return names for ids, and probabilities from the most to the least likely label."""
    from math import exp

    logs = prediction["log_probabilities"]
    order = sorted(range(len(logs)), key=lambda index: -logs[index])
    shown = {"row": prediction["row"], "prediction": labels[prediction["prediction"]]}
    if "label" in prediction:
        shown |= {"label": labels[prediction["label"]], "loss": prediction["loss"]}
    return {**shown, "probabilities": {labels[index]: exp(logs[index]) for index in order}}


def predict_trivially(
    predictions: Sequence[Mapping[str, Any]], label_counts: Sequence[int]
) -> list[dict[str, Any]] | None:
    """Return records that give every row the most frequent label, with the labels' shares in training."""
    from math import log

    if not sum(label_counts):
        return None
    logs = [log(max(count, 0.5) / sum(label_counts)) for count in label_counts]  # unseen: half a row
    most = max(range(len(logs)), key=logs.__getitem__)
    answer = {"prediction": most, "log_probabilities": logs}
    return [{**record, **answer, "loss": -logs[record["label"]]} for record in predictions]


def explain(predictions: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """Return precision, recall, F1 and rows of each class, by its name."""
    from ftkit.metrics.classification import score_per_class

    found = [record["prediction"] for record in predictions]
    true = [record["label"] for record in predictions]
    table = score_per_class(found, true, label_names=labels)
    return {"per_class": [vars(line) for line in table]}
