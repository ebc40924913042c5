"""Texts and pairs of texts as examples: what every form of text classification shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from ftkit.data import Column
from ftkit.tasks.batching import in_batches
from ftkit.tasks.lengths import report_too_long
from ftkit.tasks.padding import pad_inputs, select_inputs
from ftkit.tasks.protocol import Encoding, Reject, Row
from ftkit.tasks.tokenizing import tokenize, tokenize_ahead
from ftkit.tasks.windows import CUTTERS, SpecialTokens, cut_windows, find_special_tokens

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TEXT_COLUMNS = (
    Column("text", "text", required=True, meaning="what is classified", compared_as="text"),
    Column(
        "text_pair",
        "text",
        required=False,
        meaning="a second text, for a label of the two together",
        compared_as="text_pair",
    ),
)
SHORTENINGS = ("truncate", "truncate_start", "truncate_middle", "windows", "drop", "error")
"""Cut the end, the beginning or the middle, or read all of it in overlapping windows; or leave the row out,
or stop."""
Encode = Callable[..., Iterator[dict[str, Any]]]
Collate = Callable[..., dict[str, "torch.Tensor"]]
CUTS = frozenset({*CUTTERS, "windows"})


@dataclass(frozen=True)
class Piece:
    """What the model reads at once of a row."""

    ids: list[int]
    pair_start: int
    """Where the second text begins; the number of tokens where there is none, or where the tokenizer
    makes no token types, as plain transformers would see it."""


def make_encode(read_target: Callable[[Row, Encoding], Any]) -> Encode:
    """Make a form's `encode` out of what reads the target of a row.

    Args:
        read_target: returns the label's id, the labels as 0 and 1, or the number of a row.
    """

    def encode(
        rows: Iterable[tuple[int, Row]],
        tokenizer: PreTrainedTokenizerBase,
        encoding: Encoding,
        reject: Reject,
    ) -> Iterator[dict[str, Any]]:
        for index, row, pieces in _cut_texts(rows, tokenizer, encoding, reject):
            for piece in pieces:
                example = {"row": index, "input_ids": piece.ids, "pair_start": piece.pair_start}
                example["weight"] = 1 / len(pieces)
                if encoding.labelled:
                    example["labels"] = read_target(row, encoding)
                yield example

    return encode


def make_collate(label_dtype: str) -> Collate:
    """Make a form's `collate`; its labels become tensors of this type of torch's."""

    def collate(
        examples: Sequence[Mapping[str, Any]],
        tokenizer: PreTrainedTokenizerBase,
        encoding: Encoding,
        seed: tuple[int, ...],
    ) -> dict[str, torch.Tensor]:
        return collate_texts(examples, tokenizer, label_dtype)

    return collate


def _cut_texts(
    rows: Iterable[tuple[int, Row]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    reject: Reject,
) -> Iterator[tuple[int, Row, list[Piece]]]:
    """Turn each text or pair into pieces that the model can read; one that is too long is reported.

    Of the two texts of a pair that is too long, the longer one is cut or read in windows. The windows of
    a row share its weight, so that a long document counts as much as a short one.
    """
    shortener = Shortener(tokenizer, encoding)
    for batch, wholes in tokenize_ahead(in_batches(rows), lambda batch: _tokenize(batch, tokenizer)):
        for (index, row), whole in zip(batch, wholes, strict=True):
            pieces = [whole]
            num_tokens = len(whole.ids)
            if num_tokens > encoding.max_tokens:
                report_too_long(reject, index, num_tokens, encoding)
                if encoding.too_long not in CUTS:
                    continue
                pieces = shortener.shorten(row, whole)
            yield index, row, pieces


def _tokenize(batch: Sequence[tuple[int, Row]], tokenizer: PreTrainedTokenizerBase) -> list[Piece]:
    """Tokenize texts and pairs, each group at once."""
    pieces: dict[int, Piece] = {}
    for is_pair in (False, True):
        chosen = [place for place, (_, row) in enumerate(batch) if has_pair(row) is is_pair]
        texts = [batch[place][1]["text"] for place in chosen]
        pairs = [batch[place][1]["text_pair"] for place in chosen] if is_pair else None
        tokens = tokenize(tokenizer, texts, pairs)
        types = tokens.types or [[]] * len(chosen)
        for place, ids, row_types in zip(chosen, tokens.ids, types, strict=True):
            pieces[place] = Piece(ids, _find_pair(ids, row_types))
    return [pieces[place] for place in range(len(batch))]


def has_pair(row: Row) -> bool:
    """Tell whether a row has a second text."""
    pair = row.get("text_pair")
    return pair is not None and bool(str(pair).strip())


def _find_pair(ids: Sequence[int], types: Sequence[int]) -> int:
    return next((place for place, kind in enumerate(types) if kind), len(ids))


@dataclass
class Shortener:
    """Makes of rows that are too long what the model can read, in the way of `encoding.too_long`."""

    tokenizer: PreTrainedTokenizerBase
    encoding: Encoding
    _specials: dict[bool, tuple[SpecialTokens, bool]] = field(default_factory=dict)

    def shorten(self, row: Row, whole: Piece) -> list[Piece]:
        """Shorten one row.

        Args:
            row: the row.
            whole: all of its tokens, with special ones.

        Returns:
            One piece, or for `windows` as many as it takes; each has at most `max_tokens` tokens.
        """
        special, has_types = self._read_special(pair=has_pair(row))
        if has_pair(row):
            parts = tokenize(self.tokenizer, [row["text"], row["text_pair"]], add_special_tokens=False).ids
        else:
            parts = [special.take_off(whole.ids)]
        cut_parts = self._cut(parts, max(len(parts), self.encoding.max_tokens - special.number))
        return [_join(each, special, has_types=has_types) for each in cut_parts]

    def _cut(self, parts: list[list[int]], room: int) -> Iterator[list[list[int]]]:
        """Yield the one or two texts of each piece, which together have at most `room` tokens."""
        limits = share_room([len(part) for part in parts], room)
        cut = CUTTERS.get(self.encoding.too_long)
        if cut is not None:
            yield [cut(part, limit) for part, limit in zip(parts, limits, strict=True)]
            return
        longest = max(range(len(parts)), key=lambda place: len(parts[place]))
        limit = limits[longest]
        kept = [part[:most] for part, most in zip(parts, limits, strict=True)]
        for window in cut_windows([1] * len(parts[longest]), limit, min(self.encoding.stride, limit - 1)):
            ids = parts[longest][window.start : window.stop]
            yield [*kept[:longest], ids, *kept[longest + 1 :]]

    def _read_special(self, *, pair: bool) -> tuple[SpecialTokens, bool]:
        """Read once what frames a text or a pair, and whether token types tell the second text."""
        if pair not in self._specials:
            types = tokenize(self.tokenizer, ["1"], ["2"]).types if pair else []
            found = find_special_tokens(self.tokenizer, pair=pair)
            self._specials[pair] = (found, bool(types) and any(types[0]))
        return self._specials[pair]


def share_room(lengths: Sequence[int], room: int) -> list[int]:
    """Share the tokens that there are among one or two texts, as tokenizers do (`longest_first`).

    A short text leaves the rest to the other; of two long ones each gets half, an odd token the longer.
    """
    if len(lengths) == 1:
        return [room]
    first, second = lengths
    small = min(first, second, room // 2)
    return [small, room - small] if first <= second else [room - small, small]


def _join(parts: Sequence[list[int]], special: SpecialTokens, *, has_types: bool) -> Piece:
    head = [*special.before, *parts[0], *special.between]
    ids = [*head, *chain(*parts[1:]), *special.after]
    return Piece(ids, len(head) if has_types else len(ids))


def collate_texts(
    examples: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase, label_dtype: str
) -> dict[str, torch.Tensor]:
    """Pad pieces into one batch.

    Returns:
        Inputs of shape (pieces, tokens), with token types where there are pairs; `row` and `weights` of
        shape (pieces,); `labels` where there are any.
    """
    import torch

    batch = pad_inputs(examples, tokenizer)
    starts = torch.tensor([example["pair_start"] for example in examples])
    places = torch.arange(batch["input_ids"].shape[1])
    types = (places >= starts[:, None]) & (batch["attention_mask"] == 1)
    if types.any():
        batch["token_type_ids"] = types.long()
    batch["row"] = torch.tensor([example["row"] for example in examples])
    batch["weights"] = torch.tensor([example["weight"] for example in examples], dtype=torch.float64)
    if "labels" in examples[0]:
        labels = [example["labels"] for example in examples]
        batch["labels"] = torch.tensor(labels, dtype=getattr(torch, label_dtype))
    return batch


def count_weights(batch: Mapping[str, torch.Tensor]) -> float:
    """Add up the weights: the loss is a mean over rows, and the windows of a row count as one."""
    return float(batch["weights"].sum())


def compute_logits(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Run the model, shape (pieces, labels); it gets token types only where it has more than one."""
    inputs = select_inputs(batch)
    if getattr(getattr(model, "module", model).config, "type_vocab_size", 0) < 2:
        inputs.pop("token_type_ids", None)
    logits: torch.Tensor = model(**inputs).logits
    return logits


def pool_windows(
    records: Sequence[Mapping[str, Any]], column: str
) -> list[tuple[Mapping[str, Any], list[float]]]:
    """Average a column of numbers over the windows of each row.

    Returns:
        For each row, in the order of the records, its first record and the means.
    """
    windows: dict[int, list[Mapping[str, Any]]] = {}
    for record in records:
        windows.setdefault(record["row"], []).append(record)
    return [
        (
            parts[0],
            [sum(values) / len(parts) for values in zip(*(part[column] for part in parts), strict=True)],
        )
        for parts in windows.values()
    ]
