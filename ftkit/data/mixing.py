"""Sources mixed in exact proportions: which examples an epoch has, as a pure function of seed and epoch."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ftkit.errors import DataError
from ftkit.recipe.paths import show_source
from ftkit.recipe.values import names_source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ftkit.data.rows import Rows
    from ftkit.recipe import DataSection

logger = logging.getLogger(__name__)

_LONGEST_EPOCH = 100  # times all examples; a longer one is a slip of the pen in a weight


@dataclass(frozen=True)
class MixedSource:
    """One source, and its part in an epoch."""

    name: str
    examples: NDArray[np.int64]
    """Its examples, by number, shape (examples,)."""
    num_per_epoch: int

    def draw(self, seed: int, epoch: int, number: int) -> NDArray[np.int64]:
        """Draw its examples of an epoch; over the epochs all come equally often, but for one time.

        The source is gone through again and again, each time in a new order; an epoch is a section of
        that way.

        Args:
            seed: of the run.
            epoch: from 0.
            number: of the source, so that two sources of equal size have different orders.
        """
        import numpy as np

        size, start = len(self.examples), epoch * self.num_per_epoch
        first, last = start // size, (start + self.num_per_epoch - 1) // size
        passes = [
            np.random.default_rng((seed, number + 1, time, 1)).permutation(size)
            for time in range(first, last + 1)
        ]
        order = np.concatenate(passes)[start - first * size :][: self.num_per_epoch]
        drawn: NDArray[np.int64] = self.examples[order]
        return drawn


@dataclass(frozen=True)
class Mixture:
    """How much of each source an epoch has."""

    sources: tuple[MixedSource, ...]

    def __len__(self) -> int:
        return sum(source.num_per_epoch for source in self.sources)

    def order_epoch(self, seed: int, epoch: int) -> list[int]:
        """Return the examples of an epoch in order: of each source exactly its number, shuffled together."""
        import numpy as np

        parts = [
            source.draw(seed, epoch, number)
            for number, source in enumerate(self.sources)
            if source.num_per_epoch
        ]
        drawn = np.concatenate(parts)
        order: list[int] = drawn[np.random.default_rng((seed, epoch)).permutation(len(drawn))].tolist()
        return order

    def describe(self) -> list[dict[str, Any]]:
        """Return for report.json: each source's name, examples, and examples of an epoch."""
        return [
            {"name": each.name, "examples": len(each.examples), "per_epoch": each.num_per_epoch}
            for each in self.sources
        ]

    def __str__(self) -> str:
        lines = [f"mixing: an epoch has {len(self):,} examples"]
        for each in self.sources:
            times, share = each.num_per_epoch / len(each.examples), each.num_per_epoch / len(self)
            lines.append(
                f"  {share:6.1%}  {each.num_per_epoch:,} of the {len(each.examples):,} of {each.name}"
                + f" (each {times:.2g} times)" * (times > 1)
            )
        return "\n".join(lines)


def list_specs(train: Any) -> Any:
    """List what `data.train` names, without the weights; rows in memory come back as they are."""
    if not isinstance(train, list) or not any(map(names_source, train)):
        return train
    return [spec for source in train for spec in _list_names(source)]


def make_mixture(section: DataSection, rows: Rows, example_rows: NDArray[np.int64]) -> Mixture | None:
    """Decide how much of each source of `data.train` an epoch has.

    Args:
        section: `data` of the recipe.
        rows: the training rows.
        example_rows: the row of each example, shape (examples,).

    Returns:
        The mixture; None where every example comes once an epoch.

    Raises:
        DataError: a source of which no row is left, or weights that make an epoch absurdly long.
    """
    import numpy as np

    train, temperature = section.train, section.mixing.temperature
    entries = train if isinstance(train, list) else [train]
    if temperature is None and not any(map(names_source, entries)):
        return None
    numbers = find_source_numbers(entries, rows)[example_rows]
    members = [np.flatnonzero(numbers == number) for number in range(len(entries))]
    names = [", ".join(map(show_source, _list_names(each))) for each in entries]
    if empty := [name for name, some in zip(names, members, strict=True) if not len(some)]:
        raise DataError(
            f"data.train: no row of {' and '.join(empty)} is left to train on; take the source out"
        )
    counts = count_per_epoch(
        entries,
        [len(some) for some in members],
        temperature=temperature,
        until_all=section.mixing.stopping_strategy == "all_exhausted",
    )
    mixture = Mixture(tuple(map(MixedSource, names, members, counts)))
    if len(mixture) > _LONGEST_EPOCH * len(numbers):
        raise DataError(
            f"data.train: by these weights an epoch has {len(mixture):,} examples, of {len(numbers):,} that "
            "there are; raise the smallest weight, or take data.mixing.stopping_strategy: first_exhausted"
        )
    logger.info("%s", mixture)
    return mixture


def find_source_numbers(entries: Sequence[Any], rows: Rows) -> NDArray[np.int64]:
    """Find which entry of `data.train` each row comes from, shape (rows,)."""
    import numpy as np

    owners = [number for number, entry in enumerate(entries) for _ in _list_names(entry)]
    of_part = np.array([owners[spec] for spec in rows.specs], dtype=np.int64)
    parts = rows.storage.read_numbers("source")
    numbers: NDArray[np.int64] = of_part[parts if rows.indices is None else parts[rows.indices]]
    return numbers


def count_per_epoch(
    entries: Sequence[Any], sizes: Sequence[int], *, temperature: float | None, until_all: bool
) -> list[int]:
    """Count the examples of each source in an epoch.

    Sources with a number of `rows` give that number. Of the others, those with weights share the rest in
    proportion, the nearest whole numbers by largest remainder; where none has a weight, each gives all.

    Args:
        entries: of `data.train`.
        sizes: examples of each.
        temperature: makes weights of the sizes; None to take those of the entries, 1 where one has none.
        until_all: whether an epoch goes on until the last source is through, or ends before the first
            one would have to be repeated.
    """
    settings = [each if isinstance(each, Mapping) else {} for each in entries]
    counts = [int(each.get("rows") or size) for each, size in zip(settings, sizes, strict=True)]
    free = [place for place, each in enumerate(settings) if each.get("rows") is None]
    if temperature is None and not any(settings[place].get("weight") for place in free):
        return counts
    weights = [
        Fraction(sizes[place] ** (1 / temperature) if temperature else settings[place].get("weight") or 1)
        for place in free
    ]
    lengths = [sizes[place] * sum(weights) / weight for place, weight in zip(free, weights, strict=True)]
    total = -(-max(lengths) // 1) if until_all else min(lengths) // 1
    for place, count in zip(free, _apportion(int(total), weights), strict=True):
        counts[place] = count
    return counts


def _apportion(total: int, weights: Sequence[Fraction]) -> list[int]:
    """Deal out a whole number in proportion, by largest remainder."""
    exact = [total * weight / sum(weights) for weight in weights]
    counts = [int(each // 1) for each in exact]
    order = sorted(range(len(exact)), key=lambda place: counts[place] - exact[place])
    for place in order[: total - sum(counts)]:
        counts[place] += 1
    return counts


def _list_names(entry: Any) -> list[str]:
    source = entry["source"] if isinstance(entry, Mapping) else entry
    return list(source) if isinstance(source, list) else [str(source)]
