"""From the sources that a recipe names to clean splits: the one way, for training, evaluation and `data`.

The order, and why:

1. Rules of `data.clean` on the rows of every source. They come before the split, because a row's split
   follows from its content: rows that cleaning makes equal get the same number and land on the same side.
   Each rule looks at one row, so adding rows changes none of the others, and none of them moves.
2. The split, by the content as cleaned.
3. The leakage gate: training rows that say the same as held-out rows are left out, or stop the run. It
   comes after the split, which knows which rows are held out, and never touches those.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.data.changes import Changes, Stage
from ftkit.data.cleaning import clean_rows
from ftkit.data.columns import Column, check_column_names
from ftkit.data.leakage import Leakage, drop_leaked, find_leakage
from ftkit.data.loading import load_rows
from ftkit.data.mixing import list_specs
from ftkit.data.rows import Rows
from ftkit.data.splitting import split_sources

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
    splits = split_sources(cleaned, section, seed=seed)
    leakage = find_leakage(splits, section, columns) if for_training else None
    if leakage is not None and section.leakage.action == "drop":
        splits = {**splits, "train": drop_leaked(leakage)}
        changes += Changes((Stage("train", leakage.train, leakage.file),))
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
    cleaned, changes = clean_sources({"test": rows}, section, columns)
    return cleaned["test"], changes


def load_sources(section: DataSection) -> dict[str, Rows]:
    """Load the rows of every source that a recipe names, by the setting that names it."""
    settings = {"train": list_specs(section.train), "test": section.test, "validation": section.validation}
    return {
        name: load_rows(setting, columns=section.columns, split_name=name)
        for name, setting in settings.items()
        if setting is not None and not isinstance(setting, (int, float))
    }


def clean_sources(
    sources: Mapping[str, Rows], section: DataSection, columns: Sequence[Column]
) -> tuple[dict[str, Rows], Changes]:
    """Put the rows of every source through the rules of `data.clean`."""
    if not section.clean:
        return dict(sources), Changes()
    cleaned: dict[str, Rows] = {}
    stages = []
    for name, rows in sources.items():
        check_column_names(rows, columns)
        cleaned[name], file = clean_rows(rows, section.clean, columns=columns)
        stages.append(Stage(name, rows, file))
    changes = Changes(tuple(stages))
    for counted in changes.list_counts():
        logger.info("data.%(split)s: %(rule)s: %(rows)d rows %(action)s", counted)
    return cleaned, changes
