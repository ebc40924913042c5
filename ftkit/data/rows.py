"""A table of rows as the user wrote them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, overload

from ftkit.data.row_json import name_place, read_stored
from ftkit.data.storage import Storage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False, repr=False)
class Rows(Sequence[dict[str, Any]]):
    """A sequence of rows; each comes as a new dict with exactly the values that were written.

    Mixed types, nesting, missing keys and the order of keys survive. Rows lie on disk and are read when
    asked for.
    """

    storage: Storage
    sources: tuple[str, ...]
    """Names of the files, in the order of the storage's `source`."""
    columns: Mapping[str, str]
    """Task's column -> the file's column, where they differ."""
    indices: NDArray[np.int64] | None = None
    """Which rows of the storage these are; None for all."""
    specs: tuple[int, ...] = (0,)
    """Which of the things that the recipe named each file belongs to, in the order of `sources`."""

    def __len__(self) -> int:
        return self.storage.table.num_rows if self.indices is None else len(self.indices)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Rows: ...
    def __getitem__(self, index: int | slice) -> dict[str, Any] | Rows:
        if isinstance(index, slice):
            return self.select(range(*index.indices(len(self))))
        return self._rename(read_stored(self.storage.read_text(self._find(index))))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self._rename, map(read_stored, self.iterate_texts()))

    def __repr__(self) -> str:
        return f"<Rows: {len(self):,} rows of {self.name}; columns: {', '.join(self.column_names)}>"

    @property
    def name(self) -> str:
        """What messages call the table as a whole."""
        first = self.sources[0]
        return first if len(self.sources) == 1 else f"{first} and {len(self.sources) - 1} more"

    @property
    def column_names(self) -> list[str]:
        """The columns that rows have, under the task's names; a single row may lack some."""
        return list(self._rename(dict.fromkeys(self.storage.columns)))

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """Hash of each row's content, shape (rows,); equal rows have equal ones in every file."""
        hashes = self.storage.read_numbers("hash")
        return hashes if self.indices is None else hashes[self.indices]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content of these rows in this order, and of the names of their columns."""
        digest = hashlib.sha256(self.storage.key.encode())
        digest.update(json.dumps(sorted(self.columns.items())).encode())
        digest.update(b"all" if self.indices is None else self.indices.tobytes())
        return digest.hexdigest()

    def where(self, index: int) -> str:
        """Say where a row stands: `data/train.jsonl:1042`, its line; `train[5]`, its index from 0.

        Args:
            index: of the row in these rows, from 0.
        """
        source, place = self.storage.read_place(self._find(index))
        return name_place(self.sources[source], place)

    def iterate_places(self) -> Iterator[tuple[int, int]]:
        """Yield the number of the source and the place in it of each row, in order."""
        if self.indices is None or _is_ascending(self.indices):
            return self._choose(self.storage.read_places())
        return map(self.storage.read_place, self.indices.tolist())

    def find(self, places: Collection[str]) -> dict[str, int]:
        """Find rows by where they stand, as `where` says it: place -> index, for those that are there."""
        found: dict[str, int] = {}
        for index, (source, place) in enumerate(self.iterate_places()):
            name = name_place(self.sources[source], place)
            if name in places:
                found[name] = index
        return found

    def select(self, indices: Iterable[int]) -> Rows:
        """Take some rows, in the given order.

        Args:
            indices: of rows in these rows, from 0.

        Raises:
            IndexError: there is no such row.
        """
        import numpy as np

        chosen = np.fromiter(indices, dtype=np.int64) if not isinstance(indices, np.ndarray) else indices
        if len(chosen) and not 0 <= chosen.min() <= chosen.max() < len(self):
            raise IndexError(f"rows from 0 to {len(self) - 1} exist; found {chosen.min()} to {chosen.max()}")
        chosen = chosen.astype(np.int64)
        return replace(self, indices=chosen if self.indices is None else self.indices[chosen])

    def _find(self, index: int) -> int:
        """Turn an index in these rows, counted from the end if negative, into one of the storage."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index}: there are {len(self)} rows")
        index = index % len(self)
        return index if self.indices is None else int(self.indices[index])

    def iterate_texts(self) -> Iterator[str]:
        """Yield each row as JSON text, under the file's names, in order."""
        if self.indices is None or _is_ascending(self.indices):
            return self._choose(self.storage.read_texts())
        return map(self.storage.read_text, self.indices.tolist())

    def _choose(self, batches: Iterable[Sequence[Item]]) -> Iterator[Item]:
        """Choose what belongs to these rows, which stand in the storage's order, of what belongs to all."""
        start = 0
        for batch in batches:
            if self.indices is None:
                yield from batch
                continue
            first, last = self.indices.searchsorted([start, start + len(batch)])
            for position in (self.indices[first:last] - start).tolist():
                yield batch[position]
            start += len(batch)

    def _rename(self, row: dict[str, Any]) -> dict[str, Any]:
        return rename_row(row, self.columns, self._taken)

    @cached_property
    def _taken(self) -> frozenset[str]:
        """Names that the mapping takes from, and names that it gives."""
        return frozenset({*self.columns.values(), *self.columns})


def rename_row(row: dict[str, Any], columns: Mapping[str, str], taken: frozenset[str]) -> dict[str, Any]:
    """Put the mapped columns of a row under the task's names.

    A column of the file that another one is mapped onto is left out; `load_rows` says so.

    Args:
        row: under the file's names.
        columns: task's column -> the file's column, where they differ.
        taken: all names in `columns`, on both sides.
    """
    if not columns:
        return row
    mapped = {task: row[file] for task, file in columns.items() if file in row}
    return {**mapped, **{name: value for name, value in row.items() if name not in taken}}


def _is_ascending(indices: NDArray[np.int64]) -> bool:
    return bool((indices[1:] > indices[:-1]).all())
