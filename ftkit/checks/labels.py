"""Labels: their order, their rows, and what of the base's head is kept."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from ftkit.checks.findings import Finding, join_some

if TYPE_CHECKING:
    from ftkit.models import Checkpoint

FEWEST_ROWS = 2
"""Rows of a label below which nothing can be learned of it."""
MOST_OF_ONE = 0.99
"""Share of the rows of one label from which on a model that says nothing else looks good."""
MOST_NUMBERS = 30
"""Labels that are whole numbers, above which they look like quantities."""


def check_labels(
    counts: Mapping[str, int], base: Checkpoint, *, one_per_row: bool, given: Sequence[str] = ()
) -> Iterator[Finding]:
    """Look at the labels of the training rows and at the head that learns them.

    Args:
        counts: label names with their numbers of training rows; empty for a task without labels.
        base: the model, with its labels in the order of their ids.
        one_per_row: whether each row has exactly one.
        given: the order that the recipe gives; empty where it gives none.
    """
    if not counts:
        return
    listed = ", ".join(f"{name} {number:,}" for name, number in list(counts.items())[:8])
    more = f" and {len(counts) - 8} more" if len(counts) > 8 else ""
    yield Finding("labels", "note", f"{len(counts)} labels with rows to train on: {listed}{more}")
    yield Finding("labels", "note", describe_head(base))
    yield from _check_counts(counts, one_per_row=one_per_row)
    if base.old_labels and tuple(base.labels) != tuple(base.old_labels):
        yield from _check_other_head(base)
    if given and tuple(given) != tuple(base.labels) and set(given) == set(base.labels):
        order = ", ".join(base.labels)
        message = (
            f"the ids follow the base's own head ({order}), which is kept, and not data.label_names "
            f"({', '.join(given)}); give data.label_names in the order of the base"
        )
        yield Finding("labels", "warning", message)


def describe_head(base: Checkpoint) -> str:
    """Say whether the base's own head is kept."""
    if base.old_labels and tuple(base.old_labels) == tuple(base.labels):
        return f"the base's head knows these labels and is kept, in its order: {join_some(base.labels, 8)}"
    return "the head starts with random weights" if base.head_is_new else "the base's head is kept"


def _check_counts(counts: Mapping[str, int], *, one_per_row: bool) -> Iterator[Finding]:
    empty = [name for name, number in counts.items() if number == 0 and name != "O"]
    rare = [name for name, number in counts.items() if 0 < number < FEWEST_ROWS]
    total = sum(counts.values())
    if empty and one_per_row:
        message = (
            f"no training row has the label {join_some(list(map(repr, empty)))}; add rows, or take it out "
            "of data.label_names"
        )
        yield Finding("labels", "warning", message)
    if rare and one_per_row:
        message = (
            f"fewer than {FEWEST_ROWS} training rows have the label {join_some(list(map(repr, rare)))}; add "
            "rows, or map it to another: data.label_names"
        )
        yield Finding("labels", "warning", message)
    largest = max(counts, key=lambda name: counts[name])
    if one_per_row and total and counts[largest] / total > MOST_OF_ONE:
        share = 100 * counts[largest] / total
        message = (
            f"{share:.4g} % of the training rows are {largest!r}: a model that always says so looks good; "
            "add rows of the others, or set training.class_weights: balanced"
        )
        yield Finding("labels", "warning", message)
    if one_per_row and len(counts) > MOST_NUMBERS and all(name.lstrip("-").isdigit() for name in counts):
        message = (
            f"there are {len(counts)} labels and all are whole numbers; if they are quantities, set "
            "data.problem_type: regression"
        )
        yield Finding("labels", "warning", message)


def _check_other_head(base: Checkpoint) -> Iterator[Finding]:
    """Name a head that is lost because the rows call its labels otherwise, as with LABEL_0 or 0."""
    old, new = base.old_labels, base.labels
    if len(old) != len(new) or not base.head_is_new:
        return
    pairs = _pair_names(new, old)
    if pairs is None:
        return
    mapping = ", ".join(f"{raw}: {name}" for raw, name in pairs)
    message = (
        f"the base's head was trained for {join_some(old)}, and the rows say {join_some(new)}: a new, random "
        f"head starts; if they mean the same, keep the old one: data.label_names: {{{mapping}}}"
    )
    yield Finding("labels", "warning", message)


def _pair_names(new: Sequence[str], old: Sequence[str]) -> list[tuple[str, str]] | None:
    """Pair names that may mean the same: numbers with places, words with the nearest word."""
    if sorted(new) == sorted(str(place) for place in range(len(old))):
        return [(str(place), name) for place, name in enumerate(old)]
    folded = {name.casefold(): name for name in old}
    near = [difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.8) for name in new]
    if not all(near) or len({match[0] for match in near}) < len(new):
        return None
    return [(name, folded[match[0]]) for name, match in zip(new, near, strict=True)]
