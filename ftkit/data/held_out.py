"""Which rows of a table are held out: by number of each row, of its group, within its label, or by time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]
    Numbers = NDArray[np.uint64]

_FEWEST_EXPECTED = 40  # so many rows in the mean are missed by chance once in e**40 cases


def choose_by_number(numbers: Numbers, share_or_number: float, where: str, *, whole: bool = False) -> Mask:
    """Choose the rows with the smallest numbers; those with equal numbers stay together.

    Args:
        numbers: of each row (or of its group, which all its rows have), shape (rows,).
        share_or_number: a share of the range as a float, which no added row moves; or a number of rows.
        where: the setting, for messages.
        whole: whether a number counts rows (of whole groups, until there are as many), and not
            different numbers.

    Returns:
        True for the rows that are held out, shape (rows,).
    """
    import numpy as np

    if isinstance(share_or_number, float):
        limit = _find_share_limit(numbers, share_or_number, where)
    elif share_or_number < 1:
        raise DataError(f"{where}: a number of rows is at least 1; found {share_or_number}")
    else:
        distinct, counts = np.unique(numbers, return_counts=True)
        reached = np.cumsum(counts if whole else np.ones_like(counts))
        limit = int(distinct[min(int(np.searchsorted(reached, share_or_number)), len(distinct) - 1)])
    # numpy would compare its 64-bit numbers with a plain int as floats, which lack the last bits
    chosen: Mask = numbers <= np.uint64(limit)
    return chosen


def choose_in_strata(numbers: Numbers, strata: NDArray[np.int64], share_or_number: float) -> Mask:
    """Choose the rows with the smallest numbers of each stratum, so that it keeps its share.

    A stratum with n different rows gives the nearest whole number to its share of n, at least 1 and at
    most n - 1; a number of rows is dealt out by largest remainder, within the same bounds. When m rows
    are added to a stratum, a share moves at most m of its old rows, and none of another stratum.

    Args:
        numbers: of each row, shape (rows,); equal rows have equal ones.
        strata: of each row, from 0 without gaps, shape (rows,). Each has 2 different rows or more.
        share_or_number: a share as a float; or a number of different rows, from the number of strata to
            the number of different rows less the number of strata.

    Returns:
        True for the rows that are held out, shape (rows,).
    """
    import numpy as np

    sizes = count_different(numbers, strata)
    quotas = _count_shares(sizes, share_or_number)
    chosen = np.zeros(len(numbers), dtype=np.bool_)
    order = np.argsort(strata, kind="stable")
    ends = np.cumsum(np.bincount(strata))
    for end, start, quota in zip(ends, [0, *ends[:-1]], quotas, strict=True):
        rows = order[start:end]
        limit = np.unique(numbers[rows])[quota - 1]
        chosen[rows] = numbers[rows] <= limit
    return chosen


def count_different(numbers: Numbers, strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the different numbers in each stratum, shape (strata,)."""
    import numpy as np

    order = np.lexsort((numbers, strata))
    is_new = np.ones(len(order), dtype=np.bool_)
    is_new[1:] = (numbers[order][1:] != numbers[order][:-1]) | (strata[order][1:] != strata[order][:-1])
    counts: NDArray[np.int64] = np.bincount(strata[order][is_new])
    return counts


def choose_latest(times: NDArray[np.int64], share_or_number: float) -> Mask:
    """Choose the latest rows; those of the same time stay together, with the held-out ones if both are left.

    Adding later rows can only bring held-out rows over to the others, never the other way.

    Args:
        times: of each row, shape (rows,), not all the same.
        share_or_number: a share of the rows as a float, or a number of rows, which equal times make more.

    Returns:
        True for the rows that are held out, shape (rows,).
    """
    import numpy as np

    number = (
        int(share_or_number * len(times) + 0.5) if isinstance(share_or_number, float) else share_or_number
    )
    place = len(times) - min(max(int(number), 1), len(times))
    limit = np.partition(times, place)[place]
    chosen: Mask = times >= limit
    return times > limit if chosen.all() and isinstance(share_or_number, float) else chosen


def _count_shares(sizes: NDArray[np.int64], share_or_number: float) -> NDArray[np.int64]:
    """Count how many different rows each stratum gives."""
    import numpy as np

    if isinstance(share_or_number, float):
        nearest: NDArray[np.int64] = np.floor(sizes * share_or_number + 0.5).astype(np.int64)
        return nearest.clip(1, sizes - 1)
    wanted = sizes * (share_or_number / sizes.sum())
    quotas: NDArray[np.int64] = np.floor(wanted).astype(np.int64).clip(1, sizes - 1)
    while (missing := int(share_or_number - quotas.sum())) != 0:
        step = 1 if missing > 0 else -1
        is_free = quotas < sizes - 1 if missing > 0 else quotas > 1
        urgency = np.where(is_free, (wanted - quotas) * step, -np.inf)
        chosen = np.argsort(-urgency, kind="stable")[: min(abs(missing), int(is_free.sum()))]
        quotas[chosen] += step
    return quotas


def _find_share_limit(numbers: Numbers, share: float, where: str) -> int:
    """Find the largest number of the rows that are taken, when it is a share of the range.

    Where that is none of the rows, or all, by the chance of a small table, one is taken, or left.
    """
    import numpy as np

    if not 0 < share < 1:
        raise DataError(f"{where}: a share is above 0 and below 1; found {share}")
    limit = min(int(share * 2**64), 2**64 - 1)
    smallest, largest = int(numbers.min()), int(numbers.max())
    if limit < smallest:
        if share * len(np.unique(numbers)) > _FEWEST_EXPECTED:
            raise ValueError(f"{where}: was split off these rows before; give each split a name of its own")
        return smallest
    if limit >= largest and smallest < largest:
        return int(numbers[numbers < largest].max())
    return limit
