"""The gate before training: rows to learn from that say the same as rows to measure on."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from os.path import commonprefix
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.data.cache_entries import find_or_make_entry
from ftkit.data.changes import ChangeFile, ChangeWriter, read_counts, write_counts
from ftkit.data.columns import Column, check_column_names
from ftkit.data.loading import load_rows
from ftkit.data.near_duplicates import NEAR_DUPLICATES_VERSION, Match, find_matches, weigh_records
from ftkit.data.problems import show
from ftkit.data.records import ComparedColumns, Records, find_compared_columns, make_record
from ftkit.data.rows import Rows
from ftkit.errors import DataError

if TYPE_CHECKING:
    from ftkit.recipe.sections import DataSection, LeakageSection

logger = logging.getLogger(__name__)

_VERSION = 1
_SAMPLE = 20_000
_NUM_EXAMPLES, _LONGEST_SHOWN, _SHOWN_BEFORE = 5, 70, 25
_RULE = "leakage"


@dataclass(frozen=True)
class Leakage:
    """Which training rows repeat held-out rows, and what was done about it."""

    settings: LeakageSection
    columns: ComparedColumns
    train: Rows
    """All training rows, as they were compared."""
    held_out: Mapping[str, Rows]
    """What they were compared with: splits by name, benchmarks by file."""
    matches: tuple[tuple[int, str, int, float, bool], ...]
    """Training row, what it repeats: table and row, similarity, and whether exactly."""
    file: ChangeFile
    """The training rows that repeat others, as the record of dropped rows has them."""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the finding about each row that repeats another: where both stand, and what they say."""
        for row, table, other, similarity, is_exact in self.matches:
            rows = self.held_out[table]
            yield {
                "train": self.train.where(row),
                "split": table,
                "held_out": rows.where(other),
                "similarity": round(similarity, 4),
                "exact": is_exact,
                "train_text": list(make_record(self.train[row], self.columns)),
                "held_out_text": list(make_record(rows[other], self.columns)),
            }

    def describe(self) -> dict[str, Any]:
        """Return counts, settings and examples, as report.json has them."""
        return {
            "action": self.settings.action,
            "threshold": self.settings.threshold,
            "num_train": len(self.train),
            "num_compared": {name: len(rows) for name, rows in self.held_out.items()},
            "num_exact": self.num_exact,
            "num_near": len(self.matches) - self.num_exact,
            "num_dropped": len(self.matches) if self.settings.action == "drop" else 0,
            "compared": list(self.columns),
            "examples": self.choose_examples(),
        }

    @property
    def num_exact(self) -> int:
        """How many rows repeat another one exactly, but for case, compatible forms and white space."""
        return sum(is_exact for *_, is_exact in self.matches)

    def choose_examples(self) -> list[dict[str, Any]]:
        """Choose a few findings, the least similar first, since they are the ones to judge by.

        Each is about another held-out row, and their texts are cut to where they differ.
        """
        ordered = sorted(self.matches, key=lambda match: (match[4], match[3], match[0]))
        by_row = {(table, other): match for match in reversed(ordered) for _, table, other, *_ in [match]}
        chosen = [match for match in ordered if by_row[match[1:3]] is match][:_NUM_EXAMPLES]
        return [
            {**entry, **_cut_to_difference(entry["train_text"], entry["held_out_text"])}
            for entry in replace(self, matches=tuple(chosen))
        ]

    def __str__(self) -> str:
        others = ", ".join(f"{len(rows):,} of {name}" for name, rows in self.held_out.items())
        if not self.matches:
            return f"leakage: none of {len(self.train):,} training rows repeats a held-out row ({others})"
        done = {"drop": "and are left out of training", "error": "", "allow": "and are trained on"}
        lines = [
            f"leakage: {len(self.matches):,} of {len(self.train):,} training rows repeat held-out rows "
            f"({others}; {self.num_exact:,} exactly) {done[self.settings.action]}".rstrip()
            + f" (data.leakage: {self.settings.action})",
            "similarity  row",
        ]
        for entry in self.choose_examples():
            lines += [
                f"      {entry['similarity']:.2f}  {entry['train']}: {entry['train_text']}",
                f"            {entry['held_out']} ({entry['split']}): {entry['held_out_text']}",
            ]
        return "\n".join(lines)


def find_leakage(
    splits: Mapping[str, Rows], section: DataSection, columns: Sequence[Column]
) -> Leakage | None:
    """Find the training rows that repeat a held-out row, exactly or nearly.

    What is found is kept in the cache under the content of the rows.

    Args:
        splits: `train`, and `validation` and `test` where they are.
        section: `data` of the recipe: its section `leakage`, and its names of columns.
        columns: the task's, which say what of a row counts.

    Returns:
        The finding; None where there is nothing to compare with.

    Raises:
        DataError: a benchmark file without the columns; rows that repeat others, where that is an error
            or leaves none.
    """
    for rows in splits.values():
        check_column_names(rows, columns)
    train, settings = splits["train"], section.leakage
    compared = find_compared_columns(columns, train)
    held_out = {name: splits[name] for name in ("test", "validation") if name in splits}
    held_out |= {source: _load_benchmark(source, section, compared) for source in settings.against}
    if not held_out or not compared:
        return None
    found = _find_or_read(train, held_out, settings, compared)
    if found.matches and settings.action == "error":
        raise DataError(f"{found}\nLeave these rows out yourself, or take data.leakage: drop or allow")
    logger.log(logging.WARNING if found.matches else logging.INFO, "%s", found)
    if len(found.matches) == len(train) and settings.action == "drop":
        raise DataError(
            "data.leakage: leaves no rows to train on; hold out other rows, or take leakage: allow"
        )
    return found


def drop_leaked(found: Leakage) -> Rows:
    """Take the training rows that repeat no held-out row."""
    import numpy as np

    if not found.matches:
        return found.train
    is_kept = np.ones(len(found.train), dtype=np.bool_)
    is_kept[[row for row, *_ in found.matches]] = False
    return found.train.select(np.flatnonzero(is_kept))


def _load_benchmark(source: str, section: DataSection, compared: ComparedColumns) -> Rows:
    """Load rows to be kept apart from, and check that they have the texts to compare."""
    rows = load_rows(source, split_name="leakage.against")
    renamed = {task: file for task, file in section.columns.items() if file in rows.storage.columns}
    rows = replace(rows, columns={task: file for task, file in renamed.items() if task != file})
    missing = [text for text, names in compared.items() if not set(names) & set(rows.column_names)]
    if missing:
        raise DataError(
            f"data.leakage.against: {rows.name} has no column {' and no column '.join(map(repr, missing))}, "
            f"by which rows are compared; the columns are {', '.join(map(repr, rows.column_names))}. "
            "Name them as in data.train"
        )
    return rows


def _find_or_read(
    train: Rows, held_out: Mapping[str, Rows], settings: LeakageSection, compared: ComparedColumns
) -> Leakage:
    """Find what leaks, or read what was found in the same rows before."""
    fingerprints, names = [rows.fingerprint for rows in (train, *held_out.values())], list(held_out)
    versions = [_VERSION, NEAR_DUPLICATES_VERSION]
    content = [versions, settings.threshold, list(compared.items()), fingerprints, names]
    key = hashlib.sha256(json.dumps(content, ensure_ascii=False).encode()).hexdigest()
    others = Records(tuple(held_out.values()), compared)

    def make(folder: Path) -> None:
        logger.info("looking for training rows that repeat held-out rows")
        with (folder / "changes.jsonl").open("w", encoding="utf-8") as file:
            changes, found = ChangeWriter(file), []
            for match in _match(train, others, settings.threshold):
                table, row = others.find(match.other)
                name = names[table]
                found.append((match.index, table, row, match.similarity, match.is_exact))
                how = "repeats" if match.is_exact else f"{match.similarity:.2f} like"
                text = dict(zip(compared, others[match.other], strict=True))
                changes.drop(match.index, _RULE, f"{how} {name}[{row}]", text)
        about = {"matches": found, "changes": write_counts(changes.counts)}
        (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")

    def read(folder: Path) -> Leakage:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        matches = tuple((row, names[table], *rest) for row, table, *rest in about["matches"])
        file = ChangeFile(folder / "changes.jsonl", read_counts(about["changes"]))
        return Leakage(settings, compared, train, held_out, matches, file)

    return find_or_make_entry("leakage", key, make, read)


def _match(train: Rows, others: Records, threshold: float) -> Iterator[Match]:
    records = Records((train,), others.columns)
    weights = weigh_records(Records((train, *others.tables), others.columns).sample(_SAMPLE))
    return find_matches(records, others, threshold=threshold, weights=weights)


def _cut_to_difference(train: Sequence[str], held_out: Sequence[str]) -> dict[str, str]:
    """Cut the texts of two records for a table, each pair of texts around the first difference."""
    shown: dict[str, list[str]] = {"train_text": [], "held_out_text": []}
    for pair in zip(train, held_out, strict=True):
        start = len(commonprefix(pair)) - _SHOWN_BEFORE
        for name, text in zip(shown, pair, strict=True):
            part = f"…{text[start:]}" if start > _SHOWN_BEFORE and pair[0] != pair[1] else text
            shown[name].append(show(part, longest=_LONGEST_SHOWN))
    return {name: " | ".join(texts) for name, texts in shown.items()}
