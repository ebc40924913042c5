"""Mistakes in rows, collected: how many there are, and the first few in words."""

from __future__ import annotations

from dataclasses import dataclass, field

from ftkit.errors import DataError

NUM_SHOWN = 5


@dataclass
class Problems:
    """A count of mistakes that keeps only the first few, so that a million of them cost no memory."""

    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, where: str, problem: str) -> None:
        """Note one mistake.

        Args:
            where: file and line, such as `data/train.jsonl:1042`.
            problem: what is wrong and what was found.
        """
        self.count += 1
        if len(self.first) < NUM_SHOWN:
            self.first.append(f"{where}: {problem}")

    def raise_any(self, *, where: str, num_rows: int, remedy: str | None = None) -> None:
        """Raise what was collected; return if there was nothing.

        Args:
            where: the data as a whole, such as `data/train.jsonl`.
            num_rows: how many rows were looked at.
            remedy: what to do about it, a sentence; None to fix or delete the rows.

        Raises:
            DataError: one mistake on one line, more with their count and the first of them.
        """
        if self.count == 1:
            raise DataError(f"{self.first[0]}. {remedy or 'Fix this row, or delete it.'}")
        if self.count > 1:
            shown = "" if self.count == len(self.first) else f"; the first {len(self.first)}"
            lines = [f"{where}: {self.count:,} problems in {num_rows:,} rows{shown}:"]
            lines += [f"  {each}" for each in self.first]
            raise DataError("\n".join([*lines, remedy or "Fix these rows, or delete them."]))


def show(value: object, *, longest: int = 60) -> str:
    """Make a short text of a value for a message, on one line."""
    text = repr(value) if isinstance(value, str) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
