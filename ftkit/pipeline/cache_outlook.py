"""The story of `ftkit data cache RECIPE`: what a run would find in the cache, and why not the rest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ftkit.data import Rows, prepare_rows
from ftkit.data.cache_entries import NotCachedError, looking_only
from ftkit.data.examples import has_examples, say_why_missing
from ftkit.models import load_config, load_tokenizer
from ftkit.pipeline.starting import read_recipe
from ftkit.recipe import Recipe
from ftkit.tasks import get_task, read_labels, suit_task
from ftkit.tasks.encoding import check_splits, make_encoding, make_key, make_names

STAGES = {
    "rows": "rows read from their source",
    "cleaned": "rows cleaned",
    "deduplicated": "repetitions found",
    "leakage": "rows that repeat held-out ones found",
    "findings": "labels, and checks of all rows",
    "prepared": "examples",
}
"""Kinds of entries in the order in which a run asks for them, in words."""

_REASONS = {
    "rows": "the source is new, or its content has changed",
    "cleaned": "these rows were not cleaned by these rules yet, or rows, rules or a library have changed",
    "deduplicated": "these rows were not compared by this rule yet",
    "leakage": "these rows were not compared with these held-out rows yet",
    "findings": "these rows were not read through yet",
}


@dataclass(frozen=True)
class Lookup:
    """Something that a run asks the cache for."""

    kind: str
    """A key of `STAGES`."""
    is_there: bool
    number: int = 1
    """How many entries of this kind."""
    split: str | None = None
    """Of examples, the split."""
    reason: str = ""
    """Why it is not there."""


@dataclass(frozen=True)
class CacheOutlook:
    """What a run would find in the cache, in the order in which it asks."""

    lookups: tuple[Lookup, ...]

    @property
    def is_complete(self) -> bool:
        """Whether a run would read no rows."""
        return all(lookup.is_there for lookup in self.lookups)

    def __str__(self) -> str:
        lines = []
        for each in self.lookups:
            what = f"{STAGES[each.kind]}: {each.split}" if each.split else STAGES[each.kind]
            found = "in the cache" if each.is_there else f"made anew: {each.reason}"
            lines.append(f"{what:40}  {found}" + f" ({each.number} entries)" * (each.number > 1))
        if self.lookups and self.lookups[-1].kind != "prepared":
            lines.append("what comes after that is looked for when it is made")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {"is_complete": self.is_complete, "lookups": [asdict(each) for each in self.lookups]}


def foresee_cache(recipe: Recipe | str | os.PathLike[str] | None = None, **sections: Any) -> CacheOutlook:
    """Say what a run of a recipe would find in the cache; nothing is made, and no model is loaded.

    Args:
        recipe: a recipe or its file; None to give the sections as keyword arguments.
        sections: as in a recipe.

    Raises:
        FtkitError: a recipe or a source that a run would refuse.
    """
    recipe = read_recipe(recipe, sections)
    task = get_task(recipe.task)
    with looking_only() as seen:
        try:
            splits = prepare_rows(recipe.data, seed=recipe.training.seed, columns=task.COLUMNS).splits
            task = suit_task(task, recipe.data, splits["train"])
            labels = tuple(read_labels(task, recipe.data, splits["train"]))
            check_splits(splits, task, recipe.data, labels)
        except NotCachedError as missing:
            return CacheOutlook(tuple(_count(seen, missing.kind)))
    tokenizer = load_tokenizer(recipe.model)
    encoding = make_encoding(task, recipe.data, tokenizer, load_config(recipe.model), labels)
    examples = [
        _look_up(split, make_key(recipe.task, task, rows, tokenizer, encoding), rows)
        for split, rows in splits.items()
    ]
    return CacheOutlook((*_count(seen), *examples))


def _count(seen: Sequence[str], missing: str | None = None) -> Iterator[Lookup]:
    """Put what was looked for together by kind, what is missing behind what of its kind is there."""
    counts = Counter(seen)
    for kind in STAGES:
        if number := counts[kind]:
            yield Lookup(kind, is_there=True, number=number)
        if kind == missing:
            yield Lookup(kind, is_there=False, reason=_REASONS[kind])


def _look_up(split: str, key: Mapping[str, Any], rows: Rows) -> Lookup:
    """Look for the examples of a split; where they are not there, say in what the nearest ones differ."""
    if has_examples(key):
        return Lookup("prepared", is_there=True, split=split)
    reason = say_why_missing(key, make_names(split, rows))
    return Lookup("prepared", is_there=False, split=split, reason=reason)
