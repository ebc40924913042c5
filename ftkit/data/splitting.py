"""Splits of a table by the content of its rows, and the splits that a recipe asks for.

Each row is a number from 0 to 2**64 that follows from its content (or from its group), the seed and the
split's name. A share takes the rows below that share of the range, so adding rows moves none of the old
ones, and equal rows, which have equal numbers, are never on both sides.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from ftkit.data.held_out import choose_by_number, choose_in_strata, choose_latest, count_different
from ftkit.data.problems import show
from ftkit.data.rows import Rows
from ftkit.data.split_columns import find_column, hash_values, read_times
from ftkit.data.times import show_time
from ftkit.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ftkit.recipe import DataSection

logger = logging.getLogger(__name__)

By = Literal["random", "stratified", "group", "time"]


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
    train, how = sources["train"], section.split
    splits: dict[str, Rows] = {}
    shares_taken = 0.0
    for name, wanted in (("test", section.test), ("validation", section.validation)):
        setting = wanted
        if isinstance(setting, float):
            if shares_taken + setting >= 1:
                taken = f"{setting:.0%}, beside {shares_taken:.0%} for test,"
                raise DataError(f"data.{name}: {taken} leaves no rows to train on; set smaller shares")
            setting, shares_taken = setting / (1 - shares_taken), shares_taken + setting
        if isinstance(setting, (int, float)):
            train, splits[name] = split_rows(
                train, setting, seed=seed, name=name, by=how.by, column=how.column
            )
        elif setting is not None:
            splits[name] = sources[name]
    if how.by != "random" and not any(
        isinstance(each, (int, float)) for each in (section.test, section.validation)
    ):
        logger.warning("data.split: by: %s does nothing, since no split is a share or a number", how.by)
    return {"train": train, **splits}


def split_rows(
    rows: Rows,
    share_or_number: float,
    *,
    seed: int,
    name: str = "validation",
    by: By = "random",
    column: str | None = None,
) -> tuple[Rows, Rows]:
    """Split rows off a table by what they hold.

    Args:
        rows: the table.
        share_or_number: a share between 0 and 1 as a float: about that share of the rows, or of the
            groups; or a number as an int: so many different rows with all their repetitions, or whole
            groups until there are so many rows, or so many latest rows.
        seed: another seed takes other rows.
        name: of the split that is taken off, such as `test`; another name takes other rows. Taking two
            splits off one table needs two names.
        by: `random`; `stratified`: the same share of every value of `column`; `group`: all rows of a
            value of `column`, or none; `time`: the latest by `column`.
        column: by the task's name or the file's; None for `random`, or for `stratified` by `label`.

    Returns:
        What is left, and what was taken off; both in the order of the table and with at least one row.

    Raises:
        DataError: one of the two would be empty, or the column is not fit to split by.
    """
    import numpy as np

    where = f"data.{name}"
    if by == "random":
        numbers = make_split_numbers(rows.hashes, seed, name)
        is_taken, how = choose_by_number(numbers, share_or_number, where), "content"
    elif by == "group":
        is_taken, how = _choose_groups(rows, str(column), share_or_number, seed=seed, name=name)
    elif by == "stratified":
        is_taken, how = _choose_stratified(rows, column or "label", share_or_number, seed=seed, name=name)
    else:
        is_taken, how = _choose_latest(rows, str(column), share_or_number)
    taken, left = rows.select(np.flatnonzero(is_taken)), rows.select(np.flatnonzero(~is_taken))
    if not (len(taken) and len(left)):
        num_different = len(np.unique(rows.hashes))
        found = f"{len(rows):,} rows" + f", {num_different:,} different" * (num_different < len(rows))
        missing = "to train on" if len(taken) else "in it"
        raise DataError(
            f"{where}: {share_or_number} leaves no rows {missing}; there are {found}; "
            "set a smaller number, a share such as 10%, a file of its own, or null"
        )
    logger.info("%s: %s of %s rows, split off by %s", name, f"{len(taken):,}", f"{len(rows):,}", how)
    return left, taken


def _choose_groups(
    rows: Rows, column: str, share_or_number: float, *, seed: int, name: str
) -> tuple[NDArray[np.bool_], str]:
    """Choose whole groups, and say how many of how many."""
    import numpy as np

    numbers = make_split_numbers(hash_values(rows, column), seed, name)
    num_groups = len(np.unique(numbers))
    if num_groups == 1:
        raise DataError(
            f"data.split.column: {column!r} is the same in all {len(rows):,} rows, so that no group of them "
            "can be held out; name another column, or split: random"
        )
    is_taken = choose_by_number(numbers, share_or_number, f"data.{name}", whole=True)
    num_taken = len(np.unique(numbers[is_taken]))
    share = share_or_number if isinstance(share_or_number, float) else share_or_number / len(rows)
    if not share / 2 <= is_taken.mean() <= share * 2:
        logger.warning(
            "%s: groups of %r are large: %.1f%% of the rows were asked for, whole groups have %.1f%%",
            *(name, column, 100 * share, 100 * is_taken.mean()),
        )
    return is_taken, f"group: {num_taken:,} of {num_groups:,} values of {column!r}"


def _choose_stratified(
    rows: Rows, column: str, share_or_number: float, *, seed: int, name: str
) -> tuple[NDArray[np.bool_], str]:
    """Choose the same share of every value of a column, and say so."""
    import numpy as np

    where = f"data.{name}"
    if isinstance(share_or_number, float) and not 0 < share_or_number < 1:
        raise DataError(f"{where}: a share is above 0 and below 1; found {share_or_number}")
    numbers = make_split_numbers(rows.hashes, seed, name)
    _, first_rows, strata = np.unique(hash_values(rows, column), return_index=True, return_inverse=True)
    sizes = count_different(numbers, strata)
    if (rare := np.flatnonzero(sizes < 2)).size:
        values = [show(rows[int(first_rows[place])][find_column(rows, column)]) for place in rare[:5]]
        raise DataError(
            f"{where}: {len(rare):,} of {len(sizes):,} values of {column!r} have one row (repetitions aside) "
            f"where a stratified split needs one for each side: {', '.join(values)}"
            f"{', ...' if len(rare) > len(values) else ''}. Add rows, join rare values, or take split: random"
        )
    most = int(sizes.sum()) - len(sizes)
    if not isinstance(share_or_number, float) and not len(sizes) <= share_or_number <= most:
        raise DataError(
            f"{where}: with a row of each of {len(sizes):,} values of {column!r} on both sides, between "
            f"{len(sizes):,} and {most:,} rows can be held out; found {share_or_number}"
        )
    taken = choose_in_strata(numbers, strata, share_or_number)
    return taken, f"content within {column!r}, every value of which ({len(sizes):,}) is on both sides"


def _choose_latest(rows: Rows, column: str, share_or_number: float) -> tuple[NDArray[np.bool_], str]:
    """Choose the latest rows, and say from when on."""
    times = read_times(rows, column)
    if (times == times[0]).all():
        raise DataError(
            f"data.split.column: {column!r} is {show_time(int(times[0]))} in all {len(rows):,} rows, so that "
            "none is later; name another column, or split: random"
        )
    is_taken = choose_latest(times, share_or_number)
    return is_taken, f"time: {column!r} from {show_time(int(times[is_taken].min()))} on"


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
