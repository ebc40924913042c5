"""A stream of rows cleaned and encoded while it is read, by the functions that prepare stored rows."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.data.changes import ChangeWriter
from ftkit.data.cleaning.chunks import Cleaning
from ftkit.data.examples import hold_examples
from ftkit.data.row_streams import Place, RowStream, clean_chunk, open_stream
from ftkit.data.rows import Rows
from ftkit.tasks.encoding import make_examples
from ftkit.tasks.lengths import Lengths
from ftkit.tasks.protocol import Encoding, Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ftkit.recipe import DataSection


@dataclass(frozen=True)
class EncodedChunk:
    """The examples of some rows, and what became of these rows."""

    examples: list[dict[str, Any]]
    """As they would come from the disk; `row` counts the rows that cleaning keeps, from the first one on."""
    places: list[str]
    """Where the row of each example stands: file and line."""
    changes: list[dict[str, Any]]
    """What was dropped or changed, as in rejected.jsonl."""
    num_read: int
    num_kept: int
    """Rows that cleaning kept."""
    end: Place
    """Where the stream goes on."""


@dataclass(frozen=True)
class ExampleStream:
    """Rows that become examples while they are read."""

    rows: RowStream
    cleaning: Cleaning
    task: Task
    tokenizer: PreTrainedTokenizerBase
    encoding: Encoding
    buffer_size: int = 0
    """Examples of which a random one is trained on next; 0 for the order of the source."""
    max_rejected: float | None = None
    """Largest share of the rows that may be dropped; None for any."""

    def read(self, start: Place, *, num_read: int, num_kept: int) -> Iterator[EncodedChunk]:
        """Yield examples from a place on.

        Args:
            start: where to go on.
            num_read: rows before it.
            num_kept: how many of them cleaning kept.

        Raises:
            DataError: rows that are broken, lack a column or do not fit the task; names file and line.
        """
        rules = self.cleaning.make_rules()
        for rows, end in self.rows.read(start):
            kept, entries, _ = clean_chunk(rows, self.cleaning, rules)
            changes = list(_place_changes(entries, rows, num_read))
            examples, entries = self._encode(kept) if len(kept) else ([], "")
            changes += _place_changes(entries, kept, num_kept)
            places = [kept.where(example["row"]) for example in examples]
            for example in examples:
                example["row"] += num_kept
            yield EncodedChunk(examples, places, changes, len(rows), len(kept), end)
            num_read, num_kept = num_read + len(rows), num_kept + len(kept)

    def _encode(self, rows: Rows) -> tuple[list[dict[str, Any]], str]:
        file = io.StringIO()
        changes = ChangeWriter(file)
        made = make_examples(self.task, rows, self.tokenizer, self.encoding, Lengths(), changes.reject)
        return hold_examples(list(made)), file.getvalue()


def open_examples(
    data: DataSection, task: Task, tokenizer: PreTrainedTokenizerBase, encoding: Encoding
) -> ExampleStream:
    """Open the training rows of a recipe as a stream of examples.

    Args:
        data: the recipe's section.
        task: the task.
        tokenizer: the model's.
        encoding: what examples depend on beside rows and tokenizer.
    """
    rows = open_stream(data)
    cleaning = Cleaning(tuple(data.clean), tuple(task.COLUMNS), rows.columns)
    return ExampleStream(rows, cleaning, task, tokenizer, encoding, data.shuffle_buffer, data.max_rejected)


def _place_changes(entries: str, rows: Rows, num_before: int) -> Iterator[dict[str, Any]]:
    """Name split and source of what was written about rows."""
    for entry in map(json.loads, entries.splitlines()):
        row = entry.pop("row")
        yield {"split": "train", "source": rows.where(row), "row": row + num_before, **entry}
