"""Text classification: one label for a text."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.data import Column
from ftkit.errors import DataError
from ftkit.tasks.batching import in_batches
from ftkit.tasks.padding import IGNORED, pad_inputs, select_inputs
from ftkit.tasks.protocol import Encoding, LossOptions, Reject, Row

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

VERSION = 1
SUMMARY = "give a text one label"
COLUMNS = (
    Column("text", "text", required=True, meaning="what is classified"),
    Column("label", "label", required=True, meaning="its label, a word or a whole number"),
)
READS = frozenset({"data.label_names"})
MODEL_CLASS = "AutoModelForSequenceClassification"
ADAPTER_TYPE = "SEQ_CLS"
METRIC_KINDS = ("labels", "losses")
METRICS = ("macro_f1", "accuracy", "loss")
TOO_LONG = ("truncate", "drop", "error")
GENERATES = False


def read_label(value: Any) -> str | None:
    """Return the name of a label as written in a row: words as they are, whole numbers as digits."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) else None


def check_row(row: Row, encoding: Encoding) -> str | None:
    """Say whether the label is missing or outside the names; without labels there is nothing to say."""
    if not encoding.labelled:
        return None
    name = read_label(row.get("label"))
    if name is None:
        return f"column 'label' is {row.get('label')!r}; a label is a word or a whole number"
    name = (encoding.label_names or {}).get(name, name)
    if encoding.labels and name not in encoding.labels:
        known = ", ".join(repr(label) for label in encoding.labels[:10])
        known += f" and {len(encoding.labels) - 10} more" if len(encoding.labels) > 10 else ""
        near = difflib.get_close_matches(name.lower(), encoding.labels, 1) or encoding.labels[:1]
        fix = f"data.label_names: {{{name}: {near[0]}}}"
        return f"column 'label' is {name!r}; the labels are {known}; to map it: {fix}"
    return None


def read_labels(rows: Iterable[Row], label_names: Sequence[str] | Mapping[str, str] | None) -> dict[str, int]:
    """Return label names in the order of their ids, each with its number of rows.

    The order is the recipe's list where it gives one; otherwise whole numbers by value and words by
    their text, so that it does not depend on the order of the rows.

    Raises:
        DataError: fewer than two classes.
    """
    mapping = label_names if isinstance(label_names, Mapping) else {}
    found = Counter(name for row in rows if (name := read_label(row.get("label"))) is not None)
    counts: Counter[str] = Counter()
    for name, number in found.items():
        counts[mapping.get(name, name)] += number
    if label_names and not isinstance(label_names, Mapping):
        names = [str(name) for name in label_names]
    elif all(name.lstrip("-").isdigit() for name in counts):
        names = sorted(counts, key=int)
    else:
        names = sorted(counts)
    if len(names) < 2:
        where = "data.label_names" if isinstance(label_names, Sequence) and label_names else "data.train"
        raise DataError(
            f"{where}: a classifier needs two classes or more; found {len(names)}: "
            f"{', '.join(repr(name) for name in names) or 'none'}; add rows of another class, or check "
            "data.columns.label"
        )
    return {name: counts[name] for name in names}


def encode(
    rows: Iterable[tuple[int, Row]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    reject: Reject,
) -> Iterator[dict[str, Any]]:
    """Turn texts into token ids with the label's id; what is longer than `max_tokens` is cut on the right."""
    numbers = {name: number for number, name in enumerate(encoding.labels)}
    for batch in in_batches(rows):
        texts = [row["text"] for _, row in batch]
        encoded = tokenizer(texts, return_attention_mask=False, verbose=False)
        for (index, row), ids in zip(batch, encoded["input_ids"], strict=True):
            example = {"row": index, "input_ids": ids}
            if len(ids) > encoding.max_tokens:
                detail = f"{len(ids)} tokens, the limit is {encoding.max_tokens}"
                reject(index, f"too_long:{encoding.too_long}", detail)
                if encoding.too_long != "truncate":
                    continue
                cut = tokenizer(row["text"], truncation=True, max_length=encoding.max_tokens)
                example["input_ids"] = cut["input_ids"]
            if encoding.labelled:
                name = read_label(row["label"]) or ""
                example["labels"] = numbers[(encoding.label_names or {}).get(name, name)]
            yield example


def collate(
    examples: Sequence[Mapping[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    seed: tuple[int, ...],
) -> dict[str, torch.Tensor]:
    """Pad texts into one batch: inputs of shape (rows, tokens), labels (rows,) where there are any."""
    import torch

    batch = pad_inputs(examples, tokenizer)
    batch["row"] = torch.tensor([example["row"] for example in examples])
    if "labels" in examples[0]:
        batch["labels"] = torch.tensor([example["labels"] for example in examples])
    return batch


def count_items(batch: Mapping[str, torch.Tensor]) -> int:
    """Count the rows: the loss is a mean over rows."""
    return int((batch["labels"] != IGNORED).sum())


def compute_loss(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], options: LossOptions
) -> torch.Tensor:
    """Return the cross-entropy summed over the rows, in nats, a scalar."""
    import torch

    logits = model(**select_inputs(batch)).logits.float()
    return torch.nn.functional.cross_entropy(
        logits, batch["labels"], reduction="sum", label_smoothing=options.label_smoothing
    )


def predict(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], examples: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the probabilities of each row and, where the label is known, label and loss in nats."""
    logs = model(**select_inputs(batch)).logits.double().log_softmax(-1)
    records = [
        {
            "row": row,
            "prediction": max(range(len(row_logs)), key=row_logs.__getitem__),
            "log_probabilities": row_logs,
        }
        for row, row_logs in zip(batch["row"].tolist(), logs.tolist(), strict=True)
    ]
    if "labels" in batch:
        for record, label in zip(records, batch["labels"].tolist(), strict=True):
            record |= {"label": label, "loss": -record["log_probabilities"][label]}
    return records


def merge(records: list[dict[str, Any]], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the records as they are: a row is one example."""
    return records


def list_scored(records: Sequence[Mapping[str, Any]], kind: str) -> tuple[Sequence[float], Sequence[int]]:
    """Return predicted and true labels, or for losses those of the rows, each counted once."""
    if kind == "losses":
        return [record["loss"] for record in records], [1] * len(records)
    return [record["prediction"] for record in records], [record["label"] for record in records]


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
