"""Labels as rows have them: read, named, put in order, counted."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ftkit.errors import DataError
from ftkit.tasks.protocol import Row

NUM_SHOWN = 10


def read_label(value: Any) -> str | None:
    """Return the name of a label as written in a row: words as they are, whole numbers as digits."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) else None


def read_label_set(value: Any, separator: str | None) -> list[str] | None:
    """Return the names of all labels of a row: a list, a separated text, or one label alone.

    An empty list or text is a row without any label; None is returned for what is no label.
    """
    if isinstance(value, str):
        parts = value.split(separator) if separator else [value]
        return [part.strip() for part in parts if part.strip()]
    if not isinstance(value, list):
        name = read_label(value)
        return None if name is None else [name]
    names = [read_label(each) for each in value]
    return None if None in names else [name for name in names if name is not None]


def read_number(value: Any) -> float | None:
    """Return a finite number, also one that is written as text; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def order_labels(
    found: Mapping[str, int], label_names: Sequence[str] | Mapping[str, str] | None
) -> dict[str, int]:
    """Return label names in the order of their ids, each with its number of rows.

    The order is the recipe's list where it gives one; otherwise whole numbers by value and words by
    their text, so that it does not depend on the order of the rows.

    Args:
        found: labels as rows have them, with their number of rows.
        label_names: of the recipe.

    Raises:
        DataError: fewer than two labels.
    """
    mapping = label_names if isinstance(label_names, Mapping) else {}
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


def find_unknown(name: str, labels: Sequence[str]) -> str | None:
    """Say that a label is not among the names, and what to do; None where it is."""
    if not labels or name in labels:
        return None
    known = ", ".join(repr(label) for label in labels[:NUM_SHOWN])
    known += f" and {len(labels) - NUM_SHOWN} more" if len(labels) > NUM_SHOWN else ""
    near = difflib.get_close_matches(name.lower(), labels, 1) or labels[:1]
    fix = f"data.label_names: {{{name}: {near[0]}}}"
    return f"column 'label' is {name!r}; the labels are {known}; to map it: {fix}"


def choose_problem_type(rows: Iterable[Row], separator: str | None) -> str:
    """Tell from the labels what kind of answer they ask for.

    Returns:
        `multi_label` where a row has a list of labels or the recipe says what separates them; `regression`
        where all labels are numbers and one is not whole; otherwise `single_label`.
    """
    if separator:
        return "multi_label"
    all_numbers, has_fraction = True, False
    for row in rows:
        value = row.get("label")
        if isinstance(value, list):
            return "multi_label"
        number = read_number(value) if all_numbers else None
        all_numbers = all_numbers and number is not None
        has_fraction = has_fraction or (number is not None and not number.is_integer())
    return "regression" if all_numbers and has_fraction else "single_label"
