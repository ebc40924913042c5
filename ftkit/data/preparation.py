"""From the sources that a recipe names to clean splits: the one way, for training, evaluation and `data`.

The order, and why:

1. The rules of `data.clean` that look at one row, on the rows of every source. They come before the split,
   because a row's split follows from its content: rows that they make equal get the same number and land on
   the same side. Adding rows changes none of the others, so none of them moves.
   `repeated_lines` has to look at many rows: it counts lines in the rows of `data.train` and takes the same
   lines out of all sources. What it and the rules behind it change does not count for the split.
2. The split, by that content.
3. `duplicates` and `near_duplicates`, within each split. They come after the split, because which of two
   like rows stays must not depend on rows that are held out; like rows on two sides are a matter for the
   leakage gate.
4. The leakage gate: training rows that say the same as held-out rows are left out, or stop the run. It
   comes after the split, which knows which rows are held out, and never touches those.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.data.changes import Changes, Stage
from ftkit.data.cleaning import (
    check_rule_columns,
    clean_rows,
    count_repeated_lines,
    drop_repetitions,
)
from ftkit.data.columns import Column, check_column_names
from ftkit.data.leakage import Leakage, drop_leaked, find_leakage
from ftkit.data.loading import load_rows
from ftkit.data.mixing import list_specs
from ftkit.data.row_streams import open_stream
from ftkit.data.rows import Rows
from ftkit.data.splitting import split_sources
from ftkit.errors import DataError
from ftkit.recipe.sections.cleaning import COMPARING, CleaningRule

if TYPE_CHECKING:
    from ftkit.recipe import DataSection

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedRows:
    """Clean splits, and what became of every row that was read."""

    splits: dict[str, Rows]
    """`train`, `validation` and `test`, those that there are."""
    changes: Changes
    """Every row that was dropped or changed on the way."""
    num_read: dict[str, int]
    """Rows read for `data.train`, `data.validation` and `data.test`, those that name a source."""
    leakage: Leakage | None = None
    """Training rows that repeat held-out ones; None where there was nothing to look for."""


def prepare_rows(
    section: DataSection, *, seed: int, columns: Sequence[Column] = (), for_training: bool = True
) -> PreparedRows:
    """Load the rows of a recipe, clean them, and split off what it does not name a source for.

    Args:
        section: `data` of the recipe.
        seed: decides which rows are split off; equal seeds, equal splits.
        columns: the task's, which say where texts are; without them a rule must name its columns, and
            there is no gate.
        for_training: whether to keep the training rows apart from the held-out ones.

    Raises:
        DataError: rows that cannot be read, rules that leave none, a share that leaves none, or training
            rows that repeat held-out ones where that is an error.
        SourceError: a source that cannot be reached.
    """
    sources = load_sources(section)
    num_read = {name: len(rows) for name, rows in sources.items()}
    cleaned, changes = clean_sources(sources, section, columns)
    splits, more = drop_duplicates(split_sources(cleaned, section, seed=seed), section, columns)
    changes += more
    compares = for_training and not section.streaming
    leakage = find_leakage(splits, section, columns) if compares else None
    if leakage is not None and section.leakage.action == "drop":
        splits = {**splits, "train": drop_leaked(leakage)}
        changes += Changes((Stage("train", leakage.train, leakage.file),))
    check_rejected(changes, sum(num_read.values()), section.max_rejected)
    return PreparedRows(splits, changes, num_read, leakage)


def prepare_held_out(
    section: DataSection, source: Any, *, columns: Sequence[Column] = ()
) -> tuple[Rows, Changes]:
    """Load rows to score on that the recipe does not name, and clean them as its own rows.

    Args:
        section: `data` of the recipe: its columns and its rules.
        source: the rows, as in a recipe.
        columns: the task's.

    Raises:
        DataError: rows that cannot be read, or rules that leave none.
        SourceError: a source that cannot be reached.
    """
    rows = load_rows(source, columns=section.columns, split_name="test")
    sources = {"test": rows}
    if any(rule.name == "repeated_lines" for rule in section.clean):  # counted in the rows to train on
        sources["train"] = load_rows(section.train, columns=section.columns, split_name="train")
    cleaned, changes = clean_sources(sources, section, columns)
    splits, more = drop_duplicates({"test": cleaned["test"]}, section, columns)
    return splits["test"], changes.select("test") + more


def load_sources(section: DataSection) -> dict[str, Rows]:
    """Load the rows of every source that a recipe names, by the setting that names it.

    Of a stream, the first rows: what is done before training looks at them alone.
    """
    settings = {"train": list_specs(section.train), "test": section.test, "validation": section.validation}
    return {
        name: _read_head(section)
        if section.streaming and name == "train"
        else load_rows(setting, columns=section.columns, split_name=name)
        for name, setting in settings.items()
        if setting is not None and not isinstance(setting, (int, float))
    }


def _read_head(section: DataSection) -> Rows:
    rows = open_stream(section).read_head()
    logger.info("data.streaming: these are the first %d training rows; a run reads all of them", len(rows))
    return rows


def clean_sources(
    sources: Mapping[str, Rows], section: DataSection, columns: Sequence[Column]
) -> tuple[dict[str, Rows], Changes]:
    """Put the rows of every source through the rules of `data.clean` that do not compare rows."""
    cleaned, stages = dict(sources), list[Stage]()
    rules = [rule for rule in section.clean if rule.name not in COMPARING]
    for rows in sources.values():
        check_rule_columns(rows, section.clean)
        if rules:
            check_column_names(rows, columns)
    for some in _cut_before(rules, "repeated_lines"):
        counts_lines = some[0].name == "repeated_lines"
        repeated = count_repeated_lines(cleaned["train"], some[0], columns=columns) if counts_lines else None
        for name, rows in cleaned.items():
            cleaned[name], file = clean_rows(rows, some, columns=columns, repeated=repeated)
            stages.append(Stage(name, rows, file))
    changes = Changes(tuple(stages))
    _log_changes(changes)
    return cleaned, changes


def drop_duplicates(
    splits: Mapping[str, Rows], section: DataSection, columns: Sequence[Column]
) -> tuple[dict[str, Rows], Changes]:
    """Leave out, in each split by itself, the rows that `duplicates` and `near_duplicates` find."""
    kept, stages = dict(splits), list[Stage]()
    for rule in section.clean:
        if rule.name in COMPARING:
            for name, rows in kept.items():
                kept[name], file = drop_repetitions(rows, rule, columns=columns)
                stages.append(Stage(name, rows, file))
    changes = Changes(tuple(stages))
    _log_changes(changes)
    return kept, changes


def check_rejected(changes: Changes, num_read: int, largest_share: float | None) -> None:
    """Stop when too many rows were left out.

    Args:
        changes: of all stages so far.
        num_read: rows that were read.
        largest_share: `data.max_rejected`; None for no limit.

    Raises:
        DataError: says by which rules, and how to go on.
    """
    check_share(changes.count_rules("dropped"), num_read, largest_share)


def check_share(dropped: Mapping[str, int], num_read: int, largest_share: float | None) -> None:
    """Stop when too many rows were left out, given the number by rule; see `check_rejected`."""
    num_dropped = sum(dropped.values())
    if largest_share is None or num_dropped <= largest_share * num_read:
        return
    counts = ", ".join(f"{rule}: {number:,}" for rule, number in dropped.items())
    raise DataError(
        f"data.max_rejected: {num_dropped:,} of {num_read:,} rows ({num_dropped / num_read:.1%}) "
        f"are left out, more than {largest_share:.1%}; by rule: {counts}; look at them with "
        "`ftkit data preview`, then mend the rows or the rules, or raise data.max_rejected"
    )


def _cut_before(rules: Sequence[CleaningRule], name: str) -> list[list[CleaningRule]]:
    """Cut a list of rules before each rule of a name."""
    parts: list[list[CleaningRule]] = []
    for rule in rules:
        if not parts or rule.name == name:
            parts.append([])
        parts[-1].append(rule)
    return parts


def _log_changes(changes: Changes) -> None:
    for counted in changes.list_counts():
        logger.info("data.%(split)s: %(rule)s: %(rows)d rows %(action)s", counted)
