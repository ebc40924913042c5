"""The story of `ftkit data stats`: the rows of a recipe in numbers, after cleaning and splitting."""

from __future__ import annotations

import html
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.data import Changes, prepare_rows
from ftkit.data.statistics import SplitStatistics, describe_rows
from ftkit.pipeline.starting import read_recipe
from ftkit.recipe import Recipe
from ftkit.reporting.widths import draw_bar, measure_width, pad
from ftkit.tasks import get_task

_MOST_SHOWN = 12
_BAR = "background:#4c78a8;height:0.8em"
Bars = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class DataStats:
    """The rows of a recipe in numbers; printed as text, shown in a notebook as tables with bars."""

    splits: Mapping[str, SplitStatistics]
    num_read: Mapping[str, int]
    """Rows read, by the setting that names their source."""
    changes: Changes
    """Every row that was dropped or changed."""

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "read": dict(self.num_read),
            "splits": {name: split.as_dict() for name, split in self.splits.items()},
            "changes": self.changes.list_counts(),
        }

    def __str__(self) -> str:
        return "\n".join(_write_lines(self))

    def _repr_html_(self) -> str:
        parts = [f"<p>{html.escape(_describe_read(self))}</p>"]
        for title, bars in _list_tables(self):
            largest = max((number for _, number in bars), default=1) or 1
            rows = "".join(
                f"<tr><td>{html.escape(name)}</td><td style='text-align:right'>{number:,}</td>"
                f"<td><div style='{_BAR};width:{200 * number / largest:.0f}px'></div></td></tr>"
                for name, number in bars
            )
            parts.append(f"<h4>{html.escape(title)}</h4><table>{rows}</table>")
        return "".join(parts)


def describe_data(recipe: Recipe | str | os.PathLike[str] | None = None, **sections: Any) -> DataStats:
    """Count the rows of a recipe: labels, lengths, repetitions, languages, and what cleaning did.

    Args:
        recipe: a recipe or its file; None to give the sections as keyword arguments.
        sections: as in a recipe.

    Raises:
        FtkitError: anything that the user can mend.
    """
    recipe = read_recipe(recipe, sections)
    columns = get_task(recipe.task).COLUMNS
    prepared = prepare_rows(recipe.data, seed=recipe.training.seed, columns=columns)
    splits = {name: describe_rows(rows, columns, split=name) for name, rows in prepared.splits.items()}
    return DataStats(splits, prepared.num_read, prepared.changes)


def _describe_read(stats: DataStats) -> str:
    read = ", ".join(f"{number:,} for data.{name}" for name, number in stats.num_read.items())
    return f"rows read: {read}; kept: " + ", ".join(
        f"{name} {split.num_rows:,}" for name, split in stats.splits.items()
    )


def _list_tables(stats: DataStats) -> Iterator[tuple[str, Bars]]:
    """List everything that is shown as a table of names and numbers, with its title."""
    for name, split in stats.splits.items():
        if split.labels:
            yield f"{name}: labels", list(split.labels.items())
        bars = [(f"{low:,} to {high - 1:,}", number) for low, high, number in split.lengths.bars]
        middle = split.lengths.percentiles
        title = (
            f"{name}: characters (median {middle[50]:,}, 95 % up to {middle[95]:,}, longest {middle[100]:,})"
        )
        yield title, bars
        if split.languages:
            yield f"{name}: languages of {split.num_identified:,} rows", list(split.languages.items())
        yield f"{name}: rows equal to an earlier one", [("repeated", split.num_repeated)]
    counts = stats.changes.list_counts()
    if counts:
        rows = [(f"data.{each['split']}: {each['rule']}: {each['action']}", each["rows"]) for each in counts]
        yield "what rules did", rows


def _write_lines(stats: DataStats) -> Iterator[str]:
    yield _describe_read(stats)
    for title, bars in _list_tables(stats):
        yield from ("", title)
        shown = bars[:_MOST_SHOWN]
        if len(bars) > len(shown):
            shown = [
                *shown,
                (f"{len(bars) - len(shown)} more", sum(number for _, number in bars[len(shown) :])),
            ]
        width = max((measure_width(name) for name, _ in shown), default=0)
        largest = max((number for _, number in shown), default=1) or 1
        for name, number in shown:
            yield f"  {pad(name, width)}  {number:>9,}  {draw_bar(number, largest)}".rstrip()
