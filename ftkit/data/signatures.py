"""MinHash signatures of records, by which those that may be alike are found without comparing all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftkit.data.shingles import ShingleWeights, hash_shingles, normalize_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Record = tuple[str, ...]
"""The texts that say what a row is, as many in every row."""

_NUM_HASHES = 64
_RECALL = 0.999
_FULL_ENOUGH = 0.5  # pieces of less weight are in so many texts that they would make all of them candidates
_NONE = 0xFFFFFFFF
_FACTORS = tuple(
    int.from_bytes(hashlib.blake2b(b"%d" % place, digest_size=8).digest(), "little") | 1
    for place in range(_NUM_HASHES)
)


@dataclass(frozen=True)
class Signatures:
    """What is kept of records to find them by."""

    digests: NDArray[np.uint64]
    """Hash of the normalised texts, shape (records,)."""
    bands: NDArray[np.uint32]
    """Hash of a few smallest hashes, shape (bands, records); equal ones make two records candidates."""
    is_empty: NDArray[np.bool_]
    """Where a band has nothing to go by, shape (bands, records)."""
    sketch: NDArray[np.uint8]
    """The last 8 bits of each smallest hash, shape (records, hashes), to estimate a similarity from."""


def choose_rows_per_band(threshold: float) -> int:
    """Choose how many smallest hashes a band has: as many as still find 999 of 1,000 at the threshold."""
    for rows in (8, 4, 2):
        if 1 - (1 - threshold**rows) ** (_NUM_HASHES // rows) >= _RECALL:
            return rows
    return 1


def sign_records(records: Sequence[Record], weights: ShingleWeights, rows_per_band: int) -> Signatures:
    """Make the signatures of some records; their texts take turns in the bands.

    Args:
        records: not none of them.
        weights: which pieces of the texts say enough to be looked for.
        rows_per_band: smallest hashes of a band, a divisor of 64.
    """
    import numpy as np

    num_texts, num_bands = len(records[0]), _NUM_HASHES // rows_per_band
    columns = [[normalize_text(record[place]) for record in records] for place in range(num_texts)]
    smallest = np.empty((num_bands, rows_per_band, len(records)), dtype=np.uint32)
    is_empty = np.empty((num_bands, len(records)), dtype=np.bool_)
    for place, texts in enumerate(columns):
        hashes, bounds = hash_shingles(texts)
        is_kept = weights.weigh(hashes) >= _FULL_ENOUGH
        bounds = np.concatenate([[0], np.cumsum(is_kept)])[bounds]
        for band in range(place, num_bands, num_texts):
            smallest[band] = _find_smallest(hashes[is_kept], bounds, band * rows_per_band, rows_per_band)
            is_empty[band] = np.diff(bounds) == 0
    digests = [_digest(record) for record in zip(*columns, strict=True)]
    sketch = (smallest & np.uint32(255)).astype(np.uint8).reshape(_NUM_HASHES, -1).T
    return Signatures(
        np.array(digests, dtype=np.uint64), _join_bands(smallest), is_empty, np.ascontiguousarray(sketch)
    )


def _find_smallest(
    hashes: NDArray[np.uint64], bounds: NDArray[np.int64], first: int, number: int
) -> NDArray[np.uint32]:
    """Find each text's smallest hash under some of the 64 hash functions, shape (number, texts)."""
    import numpy as np

    is_there = np.diff(bounds) > 0
    found = np.full((number, len(bounds) - 1), _NONE, dtype=np.uint32)
    if is_there.any():
        starts = bounds[:-1][is_there]
        for row in range(number):
            # multiply-shift (Dietzfelbinger et al. 1997) with fixed odd factors
            shuffled = (hashes * np.uint64(_FACTORS[first + row])) >> np.uint64(32)
            found[row, is_there] = np.minimum.reduceat(shuffled.astype(np.uint32), starts)
    return found


def _join_bands(smallest: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Hash the smallest hashes of each band to one, shape (bands, records)."""
    import numpy as np

    joined = np.zeros((smallest.shape[0], smallest.shape[2]), dtype=np.uint64)
    for row in range(smallest.shape[1]):
        joined = (joined ^ smallest[:, row]) * np.uint64(0xFF51AFD7ED558CCD)
        joined ^= joined >> np.uint64(29)
    bands: NDArray[np.uint32] = (joined >> np.uint64(32)).astype(np.uint32)
    return bands


def _digest(texts: Sequence[str]) -> int:
    content = "".join(f"{len(text)} {text}" for text in texts).encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little")
