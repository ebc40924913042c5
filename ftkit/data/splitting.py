"""Splits of a table by the content of its rows, and the splits that a recipe asks for.

Each row is a number from 0 to 2**64 that follows from its content, the seed and the split's name. A
share takes the rows below that share of the range, so adding rows moves none of the old ones, and
equal rows, which have equal numbers, are never on both sides.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ftkit.data.rows import Rows
from ftkit.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ftkit.recipe import DataSection

logger = logging.getLogger(__name__)

_FEWEST_EXPECTED = 40  # so many rows in the mean are missed by chance once in e**40 cases


def split_sources(sources: Mapping[str, Rows], section: DataSection, *, seed: int) -> dict[str, Rows]:
    """Split off the training rows what the recipe does not name a source for.

    Test rows are split off first. Shares and numbers are of the training rows as they came, so 10% and
    10% leave 80%.

    Args:
        sources: the rows of `train`, and of `validation` and `test` where they have a source.
        section: `data` of the recipe.
        seed: decides which rows are split off; equal seeds, equal splits.

    Returns:
        The splits `train`, `validation` and `test`, those that there are.

    Raises:
        DataError: a share that leaves no rows.
    """
    train = sources["train"]
    splits: dict[str, Rows] = {}
    shares_taken = 0.0
    for name, setting in (("test", section.test), ("validation", section.validation)):
        if isinstance(setting, float):
            if shares_taken + setting >= 1:
                taken = f"{setting:.0%}, beside {shares_taken:.0%} for test,"
                raise DataError(f"data.{name}: {taken} leaves no rows to train on; set smaller shares")
            train, splits[name] = split_rows(train, setting / (1 - shares_taken), seed=seed, name=name)
            shares_taken += setting
        elif isinstance(setting, int):
            train, splits[name] = split_rows(train, setting, seed=seed, name=name)
        elif setting is not None:
            splits[name] = sources[name]
    return {"train": train, **splits}


def split_rows(
    rows: Rows, share_or_number: float, *, seed: int, name: str = "validation"
) -> tuple[Rows, Rows]:
    """Split rows off a table by their content.

    Args:
        rows: the table.
        share_or_number: a share between 0 and 1 as a float: about that share of the rows; or a number
            of rows as an int: exactly so many different ones, with all their repetitions.
        seed: another seed takes other rows.
        name: of the split that is taken off, such as `test`; another name takes other rows. Taking two
            splits off one table needs two names.

    Returns:
        What is left, and what was taken off; both in the order of the table. With a share, both have
        at least one row: a table so small that its share is empty by chance gives the row with the
        smallest number.

    Raises:
        DataError: one of the two would be empty.
    """
    import numpy as np

    numbers = make_split_numbers(rows.hashes, seed, name)
    find_limit = _find_share_limit if isinstance(share_or_number, float) else _find_number_limit
    # numpy would compare its 64-bit numbers with a plain int as floats, which lack the last bits
    is_taken = numbers <= np.uint64(find_limit(numbers, share_or_number, f"data.{name}"))
    taken, left = rows.select(np.flatnonzero(is_taken)), rows.select(np.flatnonzero(~is_taken))
    if not (len(taken) and len(left)):
        num_different = len(np.unique(numbers))
        found = f"{len(rows):,} rows" + f", {num_different:,} different" * (num_different < len(rows))
        missing = "to train on" if len(taken) else "in it"
        raise DataError(
            f"data.{name}: {share_or_number} leaves no rows {missing}; there are {found}; "
            "set a smaller number, a share such as 10%, a file of its own, or null"
        )
    logger.info("%s: %s of %s rows, split off by content", name, f"{len(taken):,}", f"{len(rows):,}")
    return left, taken


def make_split_numbers(hashes: NDArray[np.uint64], seed: int, name: str) -> NDArray[np.uint64]:
    """Mix the hashes of rows with a seed and a name.

    A bijection (the finaliser of MurmurHash3), so different rows stay different.

    Args:
        hashes: of the rows' contents, shape (rows,).
        seed: any whole number.
        name: of the split.

    Returns:
        Numbers that look evenly distributed over 64 bits, shape (rows,).
    """
    import numpy as np

    salt = hashlib.blake2b(f"{name}:{seed}".encode(), digest_size=8).digest()
    mixed: NDArray[np.uint64] = hashes ^ np.uint64(int.from_bytes(salt, "little"))
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        mixed ^= mixed >> np.uint64(33)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(33)
    return mixed


def _find_number_limit(numbers: NDArray[np.uint64], number: float, where: str) -> int:
    """Find the largest number of the rows that are taken, when so many different ones are."""
    import numpy as np

    if number < 1:
        raise DataError(f"{where}: a number of rows is at least 1; found {number}")
    distinct = np.unique(numbers)
    return int(distinct[min(int(number), len(distinct)) - 1])


def _find_share_limit(numbers: NDArray[np.uint64], share: float, where: str) -> int:
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
