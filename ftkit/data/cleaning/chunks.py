"""Rows put through rules on single rows, some at a time: in this process, or on all cores.

A rule looks at one row alone, so it does not matter which process does it. Chunks come back in their order,
and both ways call the same function: the result does not depend on the number of cores.
"""

from __future__ import annotations

import io
import pickle
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from ftkit.data.changes import Action, ChangeWriter
from ftkit.data.cleaning.rules import RowRule, make_rule
from ftkit.data.columns import Column
from ftkit.data.row_json import hash_row, read_stored, write_row
from ftkit.data.rows import Rows, rename_row
from ftkit.errors import DataError
from ftkit.recipe.sections.cleaning import CleaningRule, Function

ROWS_AT_ONCE, CHARACTERS_AT_ONCE = 1000, 1_000_000
"""Most rows of a chunk, and most characters of their JSON; whichever comes first."""

FEWEST_BYTES = 4_000_000
"""Rows of fewer bytes are cleaned in this process: others take about a second to start."""

_AHEAD_PER_CORE = 3  # chunks that are waited for, so that no core waits and memory does not grow


@dataclass(frozen=True)
class Cleaning:
    """What is done to each row, as it can be sent to another process."""

    rules: tuple[CleaningRule, ...]
    columns: tuple[Column, ...]
    """The task's, for rules that name no columns."""
    renamed: Mapping[str, str]
    """Task's column -> the file's column, where they differ."""
    repeated_lines: frozenset[int] = frozenset()

    def make_rules(self) -> list[RowRule]:
        """Make the rules, which cannot be sent themselves."""
        return [make_rule(rule, self.columns, repeated_lines=self.repeated_lines) for rule in self.rules]


class KeptRow(NamedTuple):
    """A row that is kept, under the file's names."""

    number: int
    """In the table that is cleaned, from 0."""
    text: str
    """As JSON."""
    digest: int
    """`hash_row` of it."""
    names: tuple[str, ...]


@dataclass(frozen=True)
class CleanedChunk:
    """What became of some rows."""

    rows: list[KeptRow]
    entries: str
    """JSON lines about those that were dropped or changed, as `ChangeWriter` writes them."""
    counts: Counter[tuple[str, Action]]


def clean_chunks(rows: Rows, cleaning: Cleaning) -> Iterator[CleanedChunk]:
    """Clean a table, in order; on all cores where there are enough rows to pay for the processes.

    Raises:
        DataError: a user's function fails, or a process is ended from outside.
    """
    rules = cleaning.make_rules()  # here too, so that what is missing is said before processes start
    chunks, cores = cut_chunks(rows), count_cores(rows, cleaning)
    if cores > 1:
        yield from _clean_on_cores(chunks, cleaning, cores)
        return
    for start, texts in chunks:
        yield clean_texts(texts, start, cleaning, rules)


def count_cores(rows: Rows, cleaning: Cleaning) -> int:
    """Count the processes that are worth starting: as many as cores, or 1 for few rows."""
    storage = rows.storage
    num_bytes = storage.num_bytes * len(rows) // max(1, storage.table.num_rows)
    here_alone = any(
        isinstance(rule.options, Function) and rule.options.name.startswith("__main__:")
        for rule in cleaning.rules
    )  # another process has another __main__
    if num_bytes < FEWEST_BYTES or here_alone:
        return 1
    from joblib import cpu_count

    return int(cpu_count())


def cut_chunks(rows: Rows) -> Iterator[tuple[int, list[str]]]:
    """Cut the JSON texts of rows into chunks, each with the index of its first row."""
    start, texts, num_characters = 0, list[str](), 0
    for text in rows.iterate_texts():
        texts.append(text)
        num_characters += len(text)
        if len(texts) >= ROWS_AT_ONCE or num_characters >= CHARACTERS_AT_ONCE:
            yield start, texts
            start, texts, num_characters = start + len(texts), [], 0
    if texts:
        yield start, texts


def clean_texts(
    texts: Sequence[str], start: int, cleaning: Cleaning, rules: Sequence[RowRule]
) -> CleanedChunk:
    """Clean a chunk.

    Args:
        texts: rows as JSON.
        start: index of the first one in its table.
        cleaning: names the columns.
        rules: what `cleaning.make_rules` made.
    """
    file = io.StringIO()
    changes, kept = ChangeWriter(file), list[KeptRow]()
    taken = frozenset({*cleaning.renamed, *cleaning.renamed.values()})
    for index, text in enumerate(texts, start):
        row = apply_rules(index, rename_row(read_stored(text), cleaning.renamed, taken), rules, changes)
        if row is not None:
            stored = {cleaning.renamed.get(name, name): value for name, value in row.items()}
            kept.append(KeptRow(index, write_row(stored), hash_row(stored), tuple(stored)))
    return CleanedChunk(kept, file.getvalue(), changes.counts)


def apply_rules(
    index: int, row: Mapping[str, Any], rules: Sequence[RowRule], changes: ChangeWriter
) -> Mapping[str, Any] | None:
    """Put one row through all rules, until one leaves it out."""
    for rule in rules:
        outcome = rule.apply(row)
        if outcome is None:
            continue
        if outcome.row is None:
            changes.drop(index, rule.name, outcome.detail, row)
            return None
        after = outcome.row
        differing = [name for name in {**row, **after} if row.get(name) != after.get(name)]
        before, now = ({name: each[name] for name in differing if name in each} for each in (row, after))
        changes.change(index, rule.name, outcome.detail, before, now)
        row = after
    return row


def _clean_on_cores(
    chunks: Iterable[tuple[int, list[str]]], cleaning: Cleaning, cores: int
) -> Iterator[CleanedChunk]:
    # loky's processes, unlike multiprocessing's, neither inherit threads nor run the user's script again.
    from joblib.externals.loky import ProcessPoolExecutor
    from joblib.externals.loky.process_executor import BrokenProcessPool

    packed = pickle.dumps(cleaning)
    waiting = deque[Any]()
    try:
        with ProcessPoolExecutor(max_workers=cores) as pool:
            for start, texts in chunks:
                waiting.append(pool.submit(_clean_packed, packed, start, texts))
                if len(waiting) > cores * _AHEAD_PER_CORE:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise DataError(
            f"data.clean: one of {cores} processes that clean rows was ended, most likely for lack of "
            "memory; free some, or allow fewer: LOKY_MAX_CPU_COUNT=1"
        ) from error


def _clean_packed(packed: bytes, start: int, texts: list[str]) -> CleanedChunk:
    return clean_texts(texts, start, *_unpack(packed))


@lru_cache(maxsize=1)
def _unpack(packed: bytes) -> tuple[Cleaning, list[RowRule]]:
    """Make the rules once in each process."""
    cleaning: Cleaning = pickle.loads(packed)
    return cleaning, cleaning.make_rules()
