"""Encoded rows on disk: prepared once for one content and one set of settings."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.data.cache_entries import ENTRY_NAME, Use, find_or_make_entry
from ftkit.data.cache_misses import find_nearest_entry, say_what_changed
from ftkit.data.changes import ChangeFile, ChangeWriter, read_counts, write_counts
from ftkit.data.mapped_files import MappedFile
from ftkit.errors import DataError
from ftkit.sources import cache_folder

if TYPE_CHECKING:
    import datasets
    import pyarrow

logger = logging.getLogger(__name__)

FORMAT_VERSION = 3
"""Raised whenever examples are laid out otherwise on disk."""

EXAMPLES_FILE, REJECTED_FILE, ABOUT_FILE = "examples.arrow", "rejected.jsonl", "about.json"
EXAMPLES_AT_ONCE, TOKENS_AT_ONCE = 4000, 1_000_000
"""Most examples, and most token ids, that are in memory before they are written; whichever comes first."""

Reject = Callable[[int, str, str], None]
"""Called with (row index, rule, detail) for every row that is changed or left out."""


@dataclass(frozen=True)
class Prepared:
    """Examples, and what happened to the rows that they were made of."""

    examples: datasets.Dataset
    """Memory-mapped; token ids are 32-bit integers."""
    rejected: ChangeFile
    """One entry per call of `reject`: `row` (its index), `rule`, `action`, `detail`."""
    summary: Mapping[str, Any]
    """What `describe` returned when the examples were made."""
    use: Use | None = field(default=None, repr=False, compare=False)


def prepare_examples(
    make: Callable[[Reject], Iterator[dict[str, Any]]],
    *,
    key: Mapping[str, Any],
    describe: Callable[[], Mapping[str, Any]] = dict,
    names: Mapping[str, Any] | None = None,
) -> Prepared:
    """Make examples and keep them on disk, or find those that were made under the same key.

    Args:
        make: yields examples: dicts that all have the same keys, with numbers, texts, or lists or
            arrays of these. It is called only when nothing is cached, so checks belong inside it.
        key: everything that the examples depend on, as JSON values: fingerprints, settings, versions.
        describe: is called when all examples are made; its JSON values are kept with them.
        names: what people call these examples, such as the files; kept, but no part of the key.

    Raises:
        DataError: not one example was made.
        ValueError: an example has other keys or types than the first ones.
    """
    content = _write_key(key)

    def fill(folder: Path) -> None:
        changed = say_what_changed(json.loads(content), names or {})
        counts = _write_examples(make, folder)
        about = {"key": json.loads(content), "names": names or {}, "changed": changed, **counts}
        about["summary"] = dict(describe())
        (folder / ABOUT_FILE).write_text(json.dumps(about, ensure_ascii=False, indent=1), encoding="utf-8")

    name = hashlib.sha256(content.encode()).hexdigest()
    return find_or_make_entry("prepared", name, fill, lambda folder: _read_prepared(folder, name))


def has_examples(key: Mapping[str, Any]) -> bool:
    """Tell whether there are examples that were made under a key."""
    name = hashlib.sha256(_write_key(key).encode()).hexdigest()
    return (cache_folder() / "prepared" / name / ENTRY_NAME).exists()


def say_why_missing(key: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    """Say in what a key differs from the nearest one that there are examples of.

    Args:
        key: as for `prepare_examples`.
        names: what people call the examples.
    """
    nearest = find_nearest_entry(json.loads(_write_key(key)), names)
    if nearest is None or nearest[0].get("names") != dict(names):
        return "for the first time"
    return f"since last time changed: {'; '.join(nearest[1])}"


def _write_key(key: Mapping[str, Any]) -> str:
    return json.dumps({"format": FORMAT_VERSION, **key}, sort_keys=True, ensure_ascii=False)


def _write_examples(make: Callable[[Reject], Iterator[dict[str, Any]]], folder: Path) -> dict[str, Any]:
    """Stream examples and rejected rows into a folder, and return their counts."""
    with (folder / REJECTED_FILE).open("w", encoding="utf-8") as file:
        changes = ChangeWriter(file)
        num_examples = _write_arrow(make(changes.reject), folder / EXAMPLES_FILE)
    if num_examples == 0:
        counts = ", ".join(f"{rule}: {count:,}" for (rule, _), count in changes.counts.most_common())
        raise DataError(
            f"no examples are left to train or score on; rows left out by rule: {counts or 'none'}; "
            "give other rows, or loosen the rules"
        )
    return {"num_examples": num_examples, "rejected": write_counts(changes.counts)}


def _write_arrow(examples: Iterator[dict[str, Any]], path: Path) -> int:
    """Write examples in batches, under the schema of the first batch."""
    import pyarrow as pa

    batches = _in_batches(examples)
    first = next(batches, None)
    if first is None:
        return 0
    schema = make_schema(first)
    num_examples = 0
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, schema) as writer:
        for batch in chain([first], batches):
            writer.write_batch(_make_batch(batch, schema, num_examples))
            num_examples += len(batch)
    return num_examples


def _in_batches(examples: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    num_tokens = 0
    for example in examples:
        batch.append(example)
        num_tokens += len(example.get("input_ids", ()))
        if len(batch) >= EXAMPLES_AT_ONCE or num_tokens >= TOKENS_AT_ONCE:
            yield batch
            batch, num_tokens = [], 0
    if batch:
        yield batch


def make_schema(examples: list[dict[str, Any]]) -> pyarrow.Schema:
    """Infer Arrow types from some examples; whole numbers in lists, which are token ids, get 32 bits."""
    import pyarrow as pa

    def shrink(kind: pyarrow.DataType) -> pyarrow.DataType:
        if not pa.types.is_list(kind):
            return kind
        inner = kind.value_type
        narrow = pa.types.is_integer(inner) or pa.types.is_null(inner)
        return pa.list_(pa.int32() if narrow else shrink(inner))

    names = list(examples[0])
    return pa.schema([(name, shrink(pa.array([each.get(name) for each in examples]).type)) for name in names])


def _make_batch(batch: list[dict[str, Any]], schema: pyarrow.Schema, start: int) -> pyarrow.RecordBatch:
    """Make an Arrow batch; `start` is the number of its first example, for errors."""
    import pyarrow as pa

    names = set(schema.names)
    for index, example in enumerate(batch, start):
        if example.keys() != names:
            raise ValueError(
                f"example {index} has the keys {sorted(example)}; the first one has {sorted(names)}"
            )
    try:
        arrays = [pa.array([example[field.name] for example in batch], field.type) for field in schema]
    except (pa.ArrowException, OverflowError) as error:
        raise ValueError(
            f"examples {start} to {start + len(batch) - 1} do not have the types of the first ones, "
            f"{dict(zip(schema.names, map(str, schema.types), strict=True))}: {error}"
        ) from error
    return pa.record_batch(arrays, schema=schema)


def hold_examples(examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give examples the values that they would come back with from the disk: plain lists and numbers."""
    if not examples:
        return []
    held: list[dict[str, Any]] = _make_batch(examples, make_schema(examples), 0).to_pylist()
    return held


def write_held(examples: list[dict[str, Any]], path: Path) -> None:
    """Write examples to a file of their own; `read_held` reads them back."""
    _write_arrow(iter(examples), path)


def read_held(path: Path) -> list[dict[str, Any]]:
    """Read what `write_held` wrote; nothing where there were none."""
    import pyarrow as pa

    if not path.exists():
        return []
    with pa.OSFile(str(path)) as file:
        held: list[dict[str, Any]] = pa.ipc.open_stream(file).read_all().to_pylist()
    return held


def _read_prepared(folder: Path, fingerprint: str) -> Prepared:
    """Map a complete entry of the cache; raise ValueError if it is damaged."""
    import datasets
    import pyarrow as pa
    from datasets.table import MemoryMappedTable

    about = json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))
    mapped = MappedFile(folder / EXAMPLES_FILE)
    table = MemoryMappedTable(pa.ipc.open_stream(mapped.open()).read_all(), str(folder / EXAMPLES_FILE))
    mapped.release()
    if table.num_rows != about["num_examples"]:
        raise ValueError(f"{table.num_rows} examples instead of {about['num_examples']}")
    rejected = ChangeFile(folder / REJECTED_FILE, read_counts(about["rejected"]))
    examples = datasets.Dataset(table, fingerprint=fingerprint)
    return Prepared(examples, rejected, about["summary"], Use(folder))
