"""Near duplicates among texts: MinHash with locality-sensitive hashing, then the exact similarity.

The similarity of two texts is the weight of the pieces that both have, over the weight of those that
either has (weighted Jaccard, 0 to 1; see `ftkit.data.shingles`). Records of several texts are as similar
as the least similar of them. Candidates are found by hashes (Broder 1997; Leskovec, Rajaraman and Ullman,
Mining of Massive Datasets, chapter 3) and then compared in full, so that none is found wrongly; of the
pairs at the threshold 999 in 1,000 become candidates, of those above it more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.data.shingles import ShingleWeights, hash_shingles, normalize_text, weigh_shingles
from ftkit.data.signatures import Record, Signatures, choose_rows_per_band, sign_records

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Table = tuple[NDArray[np.generic], NDArray[np.int64]]
    """Sorted keys, and the record of each."""

NEAR_DUPLICATES_VERSION = 1
"""Raised whenever other duplicates are found in the same texts, so that no stored finding is stale."""

_SLACK = 0.2  # four standard errors of a similarity that is estimated from 64 hashes
_MOST_CANDIDATES = 8  # of a record in a band, the first ones
_MOST_RECORDS, _MOST_CHARACTERS = 4096, 2_000_000  # of a batch, whichever comes first
_SAMPLE = 20_000


@dataclass(frozen=True)
class Match:
    """A record that is like another one."""

    index: int
    """Of the record, from 0."""
    other: int
    """The record that it is like, from 0: of the other table, or an earlier one of the same."""
    similarity: float
    """From the threshold to 1."""
    is_exact: bool
    """Whether the texts are equal once case, compatible forms and white space are."""


def find_matches(
    records: Iterable[Record], others: Sequence[Record], *, threshold: float, weights: ShingleWeights
) -> Iterator[Match]:
    """Find the records that are like one of another table; memory grows with that table alone.

    Args:
        records: read once, in order.
        others: the table to look in, read in order and by index.
        threshold: least similarity, above 0 and at most 1.
        weights: what `weigh_records` returned for both tables.

    Yields:
        For each record that has one, the likest of the other records among the candidates.
    """
    if not others:
        return
    index = _Index(others, threshold, weights)
    for start, batch in _cut_batches(records):
        yield from index.match(batch, start)


def find_repetitions(
    records: Sequence[Record], *, threshold: float, weights: ShingleWeights
) -> Iterator[Match]:
    """Find the records that are like an earlier one of the same table, which may be one itself.

    Args:
        records: the table, read in order and by index.
        threshold: least similarity, above 0 and at most 1.
        weights: what `weigh_records` returned for the table.

    Yields:
        For each record that has one, the likest earlier one among the candidates.
    """
    if not records:
        return
    index = _Index(records, threshold, weights)
    for start, batch in _cut_batches(records):
        yield from index.match(batch, start, only_earlier=True)


def weigh_records(*tables: Iterable[Record]) -> ShingleWeights:
    """Count in how many records each piece is; give large tables as a sample of some 20,000 records."""
    return weigh_shingles(
        ["\x1f".join(map(normalize_text, record)) for record in batch]
        for table in tables
        for _, batch in _cut_batches(table)
    )


class _Index:
    """A table of records, ready to be looked into."""

    def __init__(self, records: Sequence[Record], threshold: float, weights: ShingleWeights) -> None:
        import numpy as np

        self.records, self.threshold, self.weights = records, threshold, weights
        self.rows_per_band = choose_rows_per_band(threshold)
        parts = [self._sign(batch) for _, batch in _cut_batches(records)]
        self.sketch = np.concatenate([part.sketch for part in parts])
        self.by_digest = _sort(np.concatenate([part.digests for part in parts]))
        bands = np.concatenate([part.bands for part in parts], axis=1)
        is_empty = np.concatenate([part.is_empty for part in parts], axis=1)
        self.by_band = [_sort(*each) for each in zip(bands, is_empty, strict=True)]

    def match(self, batch: Sequence[Record], start: int, *, only_earlier: bool = False) -> Iterator[Match]:
        """Find the likest record of the table for each of a batch."""
        import numpy as np

        signed = self._sign(batch)
        limits = start + np.arange(len(batch)) if only_earlier else np.full(len(batch), len(self.records))
        left, right = _look_up(self.by_digest, signed.digests, np.arange(len(batch)), 1)
        is_before = right < limits[left]
        equal = dict(zip(left[is_before].tolist(), right[is_before].tolist(), strict=True))
        best = {index: Match(start + index, other, 1.0, is_exact=True) for index, other in equal.items()}
        pairs = [pair for pair in self._find_candidates(signed, limits) if pair[0] not in equal]
        for (index, other), similarity in zip(pairs, self._compare(batch, pairs), strict=True):
            if similarity >= self.threshold and (index not in best or similarity > best[index].similarity):
                best[index] = Match(start + index, other, similarity, is_exact=False)
        yield from (best[index] for index in sorted(best))

    def _sign(self, batch: Sequence[Record]) -> Signatures:
        return sign_records(batch, self.weights, self.rows_per_band)

    def _find_candidates(self, signed: Signatures, limits: NDArray[np.int64]) -> list[tuple[int, int]]:
        """Find pairs of a record of a batch and one of the table that may be alike."""
        import numpy as np

        pairs = set[tuple[int, int]]()
        for band, table in enumerate(self.by_band):
            asked = np.flatnonzero(~signed.is_empty[band])
            left, right = _look_up(table, signed.bands[band], asked, _MOST_CANDIDATES)
            estimates = (signed.sketch[left] == self.sketch[right]).mean(axis=1)
            is_near = (estimates >= self.threshold - _SLACK) & (right < limits[left])
            pairs.update(zip(left[is_near].tolist(), right[is_near].tolist(), strict=True))
        return sorted(pairs)

    def _compare(self, batch: Sequence[Record], pairs: Sequence[tuple[int, int]]) -> list[float]:
        """Compute the similarity of pairs of a record of the batch and one of the table."""
        lefts, rights = sorted({left for left, _ in pairs}), sorted({right for _, right in pairs})
        left_pieces = dict(zip(lefts, _list_pieces([batch[index] for index in lefts]), strict=True))
        right_pieces = dict(zip(rights, _list_pieces([self.records[index] for index in rights]), strict=True))
        return [
            min(
                _compare_pieces(one, other, self.weights)
                for one, other in zip(left_pieces[left], right_pieces[right], strict=True)
            )
            for left, right in pairs
        ]


def _sort(keys: NDArray[np.generic], is_empty: NDArray[np.bool_] | None = None) -> Table:
    """Sort keys, those of the first records first, without the empty ones."""
    import numpy as np

    rows = np.arange(len(keys)) if is_empty is None else np.flatnonzero(~is_empty)
    order = rows[np.argsort(keys[rows], kind="stable")]
    return keys[order], order


def _look_up(
    table: Table, keys: NDArray[np.generic], asked: NDArray[np.int64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the first few records with the key of each of the asked ones; returns both sides of the pairs."""
    import numpy as np

    known, records = table
    starts = known.searchsorted(keys[asked], side="left")
    counts = (known.searchsorted(keys[asked], side="right") - starts).clip(0, most)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(asked, counts), records[np.repeat(starts, counts) + within]


def _list_pieces(records: Sequence[Record]) -> list[list[NDArray[np.uint64]]]:
    """List the different pieces of each text of each record, sorted."""
    import numpy as np

    if not records:
        return []
    hashes, bounds = hash_shingles([normalize_text(text) for record in records for text in record])
    pieces = [np.unique(hashes[start:end]) for start, end in zip(bounds, bounds[1:], strict=False)]
    size = len(records[0])
    return [pieces[start : start + size] for start in range(0, len(pieces), size)]


def _compare_pieces(one: NDArray[np.uint64], other: NDArray[np.uint64], weights: ShingleWeights) -> float:
    """Compute the weighted Jaccard similarity of two sets of pieces, 1 for equal ones."""
    import numpy as np

    if len(one) == len(other) and (one == other).all():
        return 1.0
    common = np.intersect1d(one, other, assume_unique=True)
    shared = float(weights.weigh(common).sum())
    whole = float(weights.weigh(one).sum() + weights.weigh(other).sum()) - shared
    return shared / whole if whole > 0 else 0.0


def _cut_batches(records: Iterable[Record]) -> Iterator[tuple[int, list[Record]]]:
    """Cut records into batches, each with the index of its first one."""
    start, batch, num_characters = 0, list[Record](), 0
    for record in records:
        batch.append(record)
        num_characters += sum(map(len, record))
        if len(batch) >= _MOST_RECORDS or num_characters >= _MOST_CHARACTERS:
            yield start, batch
            start, batch, num_characters = start + len(batch), [], 0
    if batch:
        yield start, batch
