"""The story of `ftkit data clean`: the rows of a recipe, cleaned, as a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftkit.data import Changes, prepare_rows
from ftkit.errors import RunError
from ftkit.pipeline.starting import read_recipe
from ftkit.recipe import Recipe
from ftkit.runs import write_json_lines
from ftkit.tasks import get_task


@dataclass(frozen=True)
class CleanedFile:
    """Cleaned rows in a file, and what became of the others."""

    path: Path
    rejected_path: Path
    """Every row that was dropped or changed."""
    split: str
    num_rows: int
    num_read: Mapping[str, int]
    """Rows read, by the setting that names their source."""
    changes: Changes

    def __str__(self) -> str:
        lines = [
            f"{self.num_rows:,} rows ({self.split}) in {self.path}",
            f"{sum(self.changes.count_rules().values()):,} entries in {self.rejected_path}",
        ]
        lines += [
            f"  {each['split']}: {each['rule']}: {each['rows']:,} {each['action']}"
            for each in self.changes.list_counts()
        ]
        return "\n".join(lines)


def clean_data(
    recipe: Recipe | str | os.PathLike[str] | None = None,
    *,
    output: str | os.PathLike[str],
    split: str = "train",
    **sections: Any,
) -> CleanedFile:
    """Write the rows of one split as the recipe cleans them, and a file of what was dropped or changed.

    Args:
        recipe: a recipe or its file; None to give the sections as keyword arguments.
        output: a `.jsonl` file that is not there yet; `FILE.rejected.jsonl` is written beside it.
        split: `train`, `validation` or `test`.
        sections: as in a recipe.

    Raises:
        FtkitError: anything that the user can mend.
    """
    recipe = read_recipe(recipe, sections)
    path = Path(output)
    rejected = path.with_name(f"{path.name.removesuffix('.jsonl')}.rejected.jsonl")
    for each in (path, rejected):
        if each.exists():
            raise RunError(f"{each}: is there already; name another file")
    if path.suffix != ".jsonl":
        raise RunError(f"{path}: rows are written as JSON lines; name a .jsonl file")
    if recipe.data.streaming and split == "train":
        raise RunError(
            "data.streaming: rows that are streamed are cleaned while a run trains; add data.streaming=false "
            "to clean all of them into a file"
        )
    prepared = prepare_rows(recipe.data, seed=recipe.training.seed, columns=get_task(recipe.task).COLUMNS)
    if split not in prepared.splits:
        raise RunError(f"the recipe has no split {split!r}; it has {', '.join(prepared.splits)}")
    rows = prepared.splits[split]
    write_json_lines(path, rows)
    write_json_lines(rejected, prepared.changes)
    return CleanedFile(path, rejected, split, len(rows), prepared.num_read, prepared.changes)
