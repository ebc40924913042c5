"""Predictions as a file: JSON lines, CSV or parquet."""

from __future__ import annotations

import csv
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import RecipeError
from ftkit.runs import check_writable, open_binary_to_replace, open_to_replace, write_json_lines

if TYPE_CHECKING:
    import pyarrow

logger = logging.getLogger(__name__)

Predictions = Sequence[Mapping[str, Any]]


def check_output(output: str | os.PathLike[str]) -> Path:
    """Check, before anything is computed, that predictions can be written to a file.

    Raises:
        RecipeError: no writer knows its suffix.
        RunError: its folder cannot be written to.
    """
    path = Path(output)
    if path.suffix.lower() not in WRITERS:
        raise RecipeError(
            f"{path}: predictions are written by the name's suffix, {', '.join(WRITERS)}; "
            f"found {path.suffix or 'none'}; choose another name"
        )
    check_writable(path.parent)
    return path


def write_predictions(path: Path, predictions: Predictions) -> None:
    """Write predictions in their order, in the format of the file's suffix; the file appears whole.

    In CSV, what is neither text nor a number is JSON, and null is an empty field. In parquet, nested
    values keep their structure.
    """
    WRITERS[path.suffix.lower()](path, predictions)


def write_csv(path: Path, predictions: Predictions) -> None:
    """Write a table with a header; see `write_predictions`."""
    with open_to_replace(path) as file:
        writer = csv.DictWriter(file, list_columns(predictions), lineterminator="\n")
        writer.writeheader()
        for prediction in predictions:
            writer.writerow({name: _write_cell(value) for name, value in prediction.items()})


def write_parquet(path: Path, predictions: Predictions) -> None:
    """Write a table whose nested values keep their structure; see `write_predictions`."""
    import pyarrow as pa
    import pyarrow.parquet

    names = list_columns(predictions)
    table = pa.table({name: _make_column(name, [each.get(name) for each in predictions]) for name in names})
    with open_binary_to_replace(path) as file:
        pyarrow.parquet.write_table(table, file)


def list_columns(predictions: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names that any of the predictions has, in the order in which they come."""
    return list(dict.fromkeys(name for prediction in predictions for name in prediction))


def _write_cell(value: Any) -> Any:
    """Write a value so that it can be read back: a text as it is, null as nothing, else as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _make_column(name: str, values: list[Any]) -> pyarrow.Array:
    import pyarrow as pa

    try:
        return pa.array(values)
    except pa.ArrowException:  # values of several types, which a column of parquet cannot hold
        logger.warning("column %r has values of several types; written as JSON", name)
        return pa.array([json.dumps(value, ensure_ascii=False) for value in values])


WRITERS = {".jsonl": write_json_lines, ".csv": write_csv, ".parquet": write_parquet}
"""Suffix of a file -> what writes it."""
