"""Splits and records made by hand, as if models had been run over them."""

import math
from types import SimpleNamespace

import datasets

from ftkit.data import load_rows
from ftkit.tasks import Encoding


def make_split(rows, lengths=None, owners=None, **encoding):
    """Make a split of rows; `lengths` are tokens of each example, `owners` the row of each."""
    lengths = lengths or [len(str(row)) for row in rows]
    owners = list(range(len(rows))) if owners is None else owners
    examples = datasets.Dataset.from_dict(
        {"row": owners, "input_ids": [[7] * length for length in lengths]},
    )
    return SimpleNamespace(
        name="test",
        rows=load_rows(rows, split_name="test"),
        examples=examples,
        encoding=Encoding(max_tokens=100, too_long="truncate", **encoding),
    )


def make_label_records(true, found, sure=0.9, num_labels=2):
    """Make records of text classification: right labels, predicted ones, and how sure the model is."""
    rest = math.log((1 - sure) / (num_labels - 1))
    records = []
    for row, (label, prediction) in enumerate(zip(true, found, strict=True)):
        logs = [math.log(sure) if place == prediction else rest for place in range(num_labels)]
        records.append(
            {
                "row": row,
                "prediction": prediction,
                "log_probabilities": logs,
                "label": label,
                "loss": -logs[label],
            }
        )
    return records
