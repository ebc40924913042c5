"""What is in a split, in numbers: rows, columns, labels, lengths, repetitions, languages."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ftkit.data.cleaning.languages import identify_language
from ftkit.data.columns import Column
from ftkit.data.rows import Rows
from ftkit.data.texts import find_text_columns, list_texts
from ftkit.errors import MissingDependencyError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)
_NUM_BARS = 10
_LANGUAGE_SAMPLE = 1000
_MOST_LABELS = 1000


@dataclass(frozen=True)
class Lengths:
    """How long the texts of rows are, in characters."""

    percentiles: Mapping[int, int]
    """Percentile, 0 to 100 -> length."""
    bars: Sequence[tuple[int, int, int]]
    """A histogram: from, to (not included), number of rows; the bars widen with the lengths."""


@dataclass(frozen=True)
class SplitStatistics:
    """A split in numbers."""

    split: str
    num_rows: int
    columns: Mapping[str, int]
    """Column -> in how many rows of the source it is."""
    labels: Mapping[str, int]
    """Label -> number of rows, most frequent first; empty without a column of labels."""
    lengths: Lengths
    num_repeated: int
    """Rows that are equal to an earlier one."""
    languages: Mapping[str, int] | None
    """Language -> number of rows, of `num_identified`; None where py3langid is not installed."""
    num_identified: int
    """Rows whose language was looked at: all, or a sample spread evenly over the split."""

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return asdict(self)


def describe_rows(rows: Rows, columns: Sequence[Column], *, split: str) -> SplitStatistics:
    """Count a split; its rows are read once, and again for a sample of languages.

    Args:
        rows: the split.
        columns: the task's, which say where texts and labels are.
        split: its name.
    """
    import numpy as np

    names = find_text_columns(columns)
    label_columns = [column.name for column in columns if column.kind in ("label", "labels")]
    labels = Counter[str]()
    lengths = np.zeros(len(rows), dtype=np.int64)
    for index, row in enumerate(rows):
        lengths[index] = sum(len(text) for name in names for text in list_texts(row.get(name)))
        for name in label_columns:
            _count_labels(labels, row.get(name))
    languages, num_identified = _count_languages(rows, names)
    return SplitStatistics(
        split=split,
        num_rows=len(rows),
        columns=dict(rows.storage.columns),
        labels=dict(labels.most_common()),
        lengths=measure_lengths(lengths),
        num_repeated=len(rows) - len(np.unique(rows.hashes)),
        languages=languages,
        num_identified=num_identified,
    )


def measure_lengths(lengths: NDArray[np.int64]) -> Lengths:
    """Put lengths into percentiles and a histogram whose bars begin at powers of two.

    Args:
        lengths: one or more, shape (rows,).
    """
    import numpy as np

    found = np.percentile(lengths, PERCENTILES, method="lower").tolist()
    edges = [0] + [2**power for power in range(int(lengths.max()).bit_length() + 1)]
    counts = np.histogram(lengths, bins=edges)[0].tolist()
    bars = list(zip(edges[:-1], edges[1:], counts, strict=True))
    first = next(place for place, bar in enumerate(bars) if bar[2])
    bars = bars[first:]
    if len(bars) > _NUM_BARS:  # the few shortest together
        head = bars[: len(bars) - _NUM_BARS + 1]
        bars = [(head[0][0], head[-1][1], sum(bar[2] for bar in head)), *bars[len(head) :]]
    return Lengths(dict(zip(PERCENTILES, map(int, found), strict=True)), bars)


def _count_labels(labels: Counter[str], value: Any) -> None:
    for each in value if isinstance(value, list) else [value]:
        name = "missing" if each is None else str(each)
        if name in labels or len(labels) < _MOST_LABELS:
            labels[name] += 1
        else:
            labels["other labels"] += 1


def _count_languages(rows: Rows, names: Sequence[str]) -> tuple[dict[str, int] | None, int]:
    counts = Counter[str]()
    try:
        for text in _sample_texts(rows, names):
            found = identify_language(text)
            counts["too short to tell" if found is None else found[0]] += 1
    except MissingDependencyError as error:
        logger.info("no languages: %s", error)
        return None, 0
    return dict(counts.most_common()), counts.total()


def _sample_texts(rows: Rows, names: Sequence[str]) -> Iterator[str]:
    step = max(1, len(rows) // _LANGUAGE_SAMPLE)
    for row in rows.select(range(0, len(rows), step)):
        yield "\n".join(text for name in names for text in list_texts(row.get(name)))
