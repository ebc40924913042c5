"""The story of `ftkit data preview`: some rows as they came, as cleaned, and as the model will read them."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ftkit.data import PreparedRows, Rows, load_sources, prepare_rows
from ftkit.errors import DataError
from ftkit.models import load_config, load_tokenizer
from ftkit.pipeline.starting import read_recipe
from ftkit.recipe import Recipe
from ftkit.reporting.widths import wrap
from ftkit.tasks import Task, get_task, read_labels, suit_task
from ftkit.tasks.encoding import encode_rows, make_encoding
from ftkit.tasks.padding import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_COLUMN = 10
_TOKENWISE = ("CAUSAL_LM", "FEATURE_EXTRACTION", "TOKEN_CLS")
"""Kinds of tasks whose labels belong to the tokens that are read."""
LOSS_STYLE, PLAIN_STYLE = "\x1b[1;32m", "\x1b[0m"


@dataclass(frozen=True)
class Piece:
    """A piece of an encoded row, as text."""

    text: str
    has_loss: bool


@dataclass(frozen=True)
class PreviewedRow:
    """One row on its way."""

    source: str
    """File and line."""
    before: Mapping[str, Any]
    """As it came."""
    changes: Sequence[Mapping[str, Any]]
    """What rules did to it, in order."""
    split: str | None
    """Where it is in the end; None where it was left out."""
    after: Mapping[str, Any] | None
    """As cleaned."""
    pieces: Sequence[Piece] = ()
    """As encoded: text, and whether it carries loss; empty where nothing is made of it."""


@dataclass(frozen=True)
class Preview:
    """Some rows on their way; printed as text, shown in a notebook in colour."""

    rows: Sequence[PreviewedRow]

    def __str__(self) -> str:
        return self.write()

    def write(self, *, width: int = 100, in_colour: bool = False) -> str:
        """Write the rows as text.

        Args:
            width: columns of the terminal.
            in_colour: whether tokens that carry loss are green; else they stand in ⟦ ⟧.
        """
        return "\n".join(line for row in self.rows for line in _write_row(row, width - _COLUMN, in_colour))

    def _repr_html_(self) -> str:
        return "".join(map(_make_html, self.rows))


def preview_data(
    recipe: Recipe | str | os.PathLike[str] | None = None,
    *,
    num_rows: int = 3,
    rule: str | None = None,
    **sections: Any,
) -> Preview:
    """Show rows of `data.train` as they came, as cleaned, and as encoded.

    Args:
        recipe: a recipe or its file; None to give the sections as keyword arguments.
        num_rows: how many, the first ones.
        rule: show the first rows that this rule dropped or changed.
        sections: as in a recipe.

    Raises:
        FtkitError: anything that the user can mend; `DataError` where the rule did nothing.
    """
    recipe = read_recipe(recipe, sections)
    task = get_task(recipe.task)
    prepared = prepare_rows(recipe.data, seed=recipe.training.seed, columns=task.COLUMNS)
    source = load_sources(recipe.data)["train"]
    chosen = _choose(source, prepared, num_rows, rule)
    changes: dict[str, list[dict[str, Any]]] = {where: [] for where in chosen.values()}
    for entry in prepared.changes:
        if entry["source"] in changes:
            changes[entry["source"]].append(entry)
    places = _find_places(prepared, set(chosen.values()))
    pieces = _encode(recipe, task, prepared, places)
    return Preview(
        [
            PreviewedRow(
                where,
                source[index],
                changes[where],
                places[where][0] if where in places else None,
                prepared.splits[places[where][0]][places[where][1]] if where in places else None,
                pieces.get(where, ()),
            )
            for index, where in chosen.items()
        ]
    )


def _choose(source: Rows, prepared: PreparedRows, number: int, rule: str | None) -> dict[int, str]:
    """Choose rows of the source: index -> where it stands."""
    if rule is None:
        return {index: source.where(index) for index in range(min(number, len(source)))}
    wanted: dict[str, None] = {}
    for entry in prepared.changes:
        if entry["rule"] == rule and len(wanted) < number:
            wanted[entry["source"]] = None
    if not wanted:
        did = ", ".join(prepared.changes.count_rules()) or "none of them did"
        raise DataError(f"no row was dropped or changed by {rule!r}; rules that did something: {did}")
    return {index: where for where, index in source.find(wanted).items()}


def _find_places(prepared: PreparedRows, wanted: set[str]) -> dict[str, tuple[str, int]]:
    """Find the split and the index in it of rows, by where they stand."""
    return {
        where: (name, index)
        for name, rows in prepared.splits.items()
        for where, index in rows.find(wanted).items()
    }


def _encode(
    recipe: Recipe, task: Task, prepared: PreparedRows, places: Mapping[str, tuple[str, int]]
) -> dict[str, Sequence[Piece]]:
    """Encode the rows with the base's tokenizer, as in a run; no weights are loaded into memory."""
    train = prepared.splits["train"]
    task = suit_task(task, recipe.data, train)
    labels = tuple(read_labels(task, recipe.data, train))
    tokenizer = load_tokenizer(recipe.model)
    encoding = make_encoding(task, recipe.data, tokenizer, load_config(recipe.model), labels)
    shown: dict[str, Sequence[Piece]] = {}
    for where, (name, index) in places.items():
        rows = prepared.splits[name].select([index])
        split = encode_rows(recipe.task, task, rows, tokenizer, encoding, split=name)
        batch = task.collate([split.examples[0]], tokenizer, encoding, (recipe.training.seed, 0))
        shown[where] = list(_cut_pieces(task, tokenizer, batch))
    return shown


def _cut_pieces(task: Task, tokenizer: PreTrainedTokenizerBase, batch: Mapping[str, Any]) -> Iterator[Piece]:
    """Cut one example into runs of tokens that carry loss and that do not.

    What is learned stands behind what is read where it is another text, as with an encoder-decoder; it is
    left out where it is no tokens, but a label or a place.
    """
    ids, labels = batch["input_ids"], batch["labels"]
    if task.ADAPTER_TYPE in _TOKENWISE and labels.shape == ids.shape:
        learned = (labels[0] != IGNORED).tolist()
        for has_loss, run in groupby(zip(ids[0].tolist(), learned, strict=True), key=lambda pair: pair[1]):
            yield Piece(tokenizer.decode([token for token, _ in run]), has_loss)
        return
    yield Piece(tokenizer.decode(ids.flatten().tolist()), has_loss=False)
    if task.MODEL_CLASS == "AutoModelForSeq2SeqLM":
        yield Piece(tokenizer.decode(labels[labels != IGNORED].tolist()), has_loss=True)


def _write_row(row: PreviewedRow, width: int, in_colour: bool) -> Iterator[str]:
    yield f"{row.source} -> {row.split or 'left out'}"
    yield from _write_values("came", row.before, width)
    for entry in row.changes:
        what = f"{entry['rule']}: {entry['action']}" + f" ({entry['detail']})" * bool(entry["detail"])
        yield from _label("rule", wrap(what, width))
    if row.after is not None and row.changes:
        yield from _write_values("cleaned", row.after, width)
    if row.pieces:
        signs = (LOSS_STYLE, PLAIN_STYLE) if in_colour else ("⟦", "⟧")
        lines = (line for piece in row.pieces for line in _write_piece(piece, width - 2, signs))
        yield from _label("encoded", lines)
    yield ""


def _write_piece(piece: Piece, width: int, signs: tuple[str, str]) -> Iterator[str]:
    for line in wrap(piece.text, width):
        yield f"{signs[0]}{line}{signs[1]}" if piece.has_loss else line


def _write_values(label: str, row: Mapping[str, Any], width: int) -> Iterator[str]:
    for name, value in row.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield from _label(label, wrap(f"{name}: {text}", width))
        label = ""


def _label(label: str, lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield f"  {label:<{_COLUMN - 2}}{line}".rstrip()
        label = ""


def _make_html(row: PreviewedRow) -> str:
    cells = [("came", json.dumps(dict(row.before), ensure_ascii=False))]
    cells += [("rule", f"{each['rule']}: {each['action']} {each['detail']}") for each in row.changes]
    if row.after is not None and row.changes:
        cells.append(("cleaned", json.dumps(dict(row.after), ensure_ascii=False)))
    lines = [f"<tr><td>{name}</td><td>{html.escape(text)}</td></tr>" for name, text in cells]
    encoded = "".join(
        f"<b style='color:#2a7d2a'>{html.escape(piece.text)}</b>"
        if piece.has_loss
        else html.escape(piece.text)
        for piece in row.pieces
    )
    title = html.escape(f"{row.source} -> {row.split or 'left out'}")
    return f"<h4>{title}</h4><table>{''.join(lines)}<tr><td>encoded</td><td>{encoded}</td></tr></table>"
