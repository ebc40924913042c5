"""How long rows are in tokens: rows that are too long, and percentiles over all of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from ftkit.tasks.protocol import Encoding, Reject

PERCENTILES = (50, 90, 95, 99)

_NUM_TOKENS = re.compile(r"\d+(?= tokens, the limit is )")


def report_too_long(reject: Reject, index: int, num_tokens: int, encoding: Encoding) -> None:
    """Report a row that has more than `max_tokens` tokens, under the rule that the recipe chose."""
    reject(index, f"too_long:{encoding.too_long}", describe_too_long(num_tokens, encoding.max_tokens))


def describe_too_long(num_tokens: int, limit: int) -> str:
    """Say how long a row is; `read_num_tokens` reads the number back."""
    return f"{num_tokens} tokens, the limit is {limit}"


def read_num_tokens(detail: str) -> int | None:
    """Read how long a row was from what was reported; None where that says nothing of it."""
    match = _NUM_TOKENS.match(detail)
    return int(match[0]) if match else None


@dataclass
class Lengths:
    """Tokens of rows, counted: each row once, with the tokens that it has before it is cut or split.

    Where documents are joined to blocks, each block counts and not each document.
    """

    counts: Counter[int] = field(default_factory=Counter)
    """Number of tokens -> how many rows have it."""
    _too_long: int | None = None
    """The row that was reported last: its length is counted, its examples are not."""

    def note_rejected(self, index: int, rule: str, detail: str) -> None:
        """Count a row that is too long; other reports say nothing of lengths."""
        num_tokens = read_num_tokens(detail) if rule.startswith("too_long:") else None
        if num_tokens is not None:
            self.counts[num_tokens] += 1
            self._too_long = index

    def watch(self, examples: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Pass examples on and count those of rows that are not too long."""
        for example in examples:
            if example["row"] != self._too_long:
                self.counts[count_input_tokens(example)] += 1
            yield example

    def describe(self) -> dict[str, int]:
        """Return the number of rows, the percentiles, the longest, and the sum of all, in tokens."""
        return describe_lengths(self.counts)


def count_input_tokens(example: Mapping[str, Any]) -> int:
    """Count the tokens that `max_tokens` limits: of a row with several inputs, those of the longest."""
    return max(example["sizes"]) if "sizes" in example else len(example["input_ids"])


def describe_lengths(counts: Mapping[int, int]) -> dict[str, int]:
    """Summarise lengths.

    Args:
        counts: length in tokens -> how many there are.

    Returns:
        `number`, `p50`, `p90`, `p95`, `p99` (so many percent are no longer than that), `longest`, `total`;
        empty where there is nothing to count.
    """
    if not counts:
        return {}
    lengths = sorted(counts)
    reached = list(accumulate(counts[length] for length in lengths))
    number = reached[-1]
    percentiles = {
        f"p{percent}": next(
            length for length, up_to in zip(lengths, reached, strict=True) if up_to * 100 >= percent * number
        )
        for percent in PERCENTILES
    }
    total = sum(length * count for length, count in counts.items())
    return {"number": number, **percentiles, "longest": lengths[-1], "total": total}


def say_lengths(lengths: Mapping[str, int], encoding: Encoding) -> str:
    """Say in one line how long rows are and what the limit is."""
    shown = ", ".join(f"{percent} % up to {lengths[f'p{percent}']:,}" for percent in PERCENTILES)
    return (
        f"{lengths['total']:,} tokens; {shown}, the longest {lengths['longest']:,} "
        f"(max_tokens {encoding.max_tokens:,})"
    )
