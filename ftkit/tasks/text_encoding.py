"""Texts and pairs of texts as examples: what every form of text classification shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from ftkit.data import Column
from ftkit.tasks.batching import in_batches
from ftkit.tasks.padding import pad_inputs, select_inputs
from ftkit.tasks.protocol import Encoding, Reject, Row
from ftkit.tasks.windows import SpecialTokens, cut_windows, find_special_tokens

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
SHORTENINGS = ("truncate", "truncate_middle", "windows", "drop", "error")
"""Cut the end, cut the middle, or read all of it in overlapping windows; or leave the row out, or stop."""
Encode = Callable[..., Iterator[dict[str, Any]]]
Collate = Callable[..., dict[str, "torch.Tensor"]]
CUTS = frozenset({"truncate", "truncate_middle", "windows"})


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
    for batch in in_batches(rows):
        for (index, row), whole in zip(batch, _tokenize(batch, tokenizer), strict=True):
            pieces = [whole]
            if len(whole.ids) > encoding.max_tokens:
                detail = f"{len(whole.ids)} tokens, the limit is {encoding.max_tokens}"
                reject(index, f"too_long:{encoding.too_long}", detail)
                if encoding.too_long not in CUTS:
                    continue
                pieces = shorten(row, tokenizer, encoding)
            yield index, row, pieces


def _tokenize(batch: Sequence[tuple[int, Row]], tokenizer: PreTrainedTokenizerBase) -> list[Piece]:
    """Tokenize texts and pairs, each group at once."""
    pieces: dict[int, Piece] = {}
    for is_pair in (False, True):
        chosen = [place for place, (_, row) in enumerate(batch) if has_pair(row) is is_pair]
        if not chosen:
            continue
        texts = [batch[place][1]["text"] for place in chosen]
        pairs = [[batch[place][1]["text_pair"] for place in chosen]] if is_pair else []
        encoded = tokenizer(texts, *pairs, return_attention_mask=False, verbose=False)
        types = encoded.get("token_type_ids") or [[]] * len(chosen)
        for place, ids, row_types in zip(chosen, encoded["input_ids"], types, strict=True):
            pieces[place] = Piece(ids, _find_pair(ids, row_types))
    return [pieces[place] for place in range(len(batch))]


def has_pair(row: Row) -> bool:
    """Tell whether a row has a second text."""
    return bool(str(row.get("text_pair") or "").strip())


def _find_pair(ids: Sequence[int], types: Sequence[int]) -> int:
    return next((place for place, kind in enumerate(types) if kind), len(ids))


def shorten(row: Row, tokenizer: PreTrainedTokenizerBase, encoding: Encoding) -> list[Piece]:
    """Make of a row that is too long what the model can read, in the way of `encoding.too_long`.

    Returns:
        One piece, or for `windows` as many as it takes; each has at most `max_tokens` tokens.
    """
    texts = [row["text"], *([row["text_pair"]] if has_pair(row) else [])]
    if encoding.too_long == "truncate":
        cut = tokenizer(*texts, truncation=True, max_length=encoding.max_tokens, verbose=False)
        return [Piece(cut["input_ids"], _find_pair(cut["input_ids"], cut.get("token_type_ids") or []))]
    special = find_special_tokens(tokenizer, pair=len(texts) > 1)
    parts = [tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] for text in texts]
    room = max(len(texts), encoding.max_tokens - special.number)
    limits = share_room([len(part) for part in parts], room)
    if encoding.too_long == "truncate_middle":
        cut_parts = [cut_middle(part, limit) for part, limit in zip(parts, limits, strict=True)]
        return [_join(cut_parts, special, tokenizer)]
    longest = max(range(len(parts)), key=lambda place: len(parts[place]))
    kept = [part[:limit] for part, limit in zip(parts, limits, strict=True)]
    windows = cut_windows(
        [1] * len(parts[longest]), limits[longest], min(encoding.stride, limits[longest] - 1)
    )
    cut_longest = (parts[longest][window.start : window.stop] for window in windows)
    return [_join([*kept[:longest], ids, *kept[longest + 1 :]], special, tokenizer) for ids in cut_longest]


def share_room(lengths: Sequence[int], room: int) -> list[int]:
    """Share the tokens that there are among one or two texts; a short one leaves the rest to the other."""
    if len(lengths) == 1:
        return [room]
    first, second = lengths
    half = room // 2
    if second <= half:
        return [room - second, second]
    return [first, room - first] if first <= half else [room - half, half]


def cut_middle(ids: list[int], limit: int) -> list[int]:
    """Keep the beginning and the end, half of the limit each; an odd token goes to the beginning."""
    if len(ids) <= limit:
        return ids
    tail = limit // 2
    return ids[: limit - tail] + (ids[-tail:] if tail else [])


def _join(parts: Sequence[list[int]], special: SpecialTokens, tokenizer: PreTrainedTokenizerBase) -> Piece:
    head = [*special.before, *parts[0], *special.between]
    ids = [*head, *chain(*parts[1:]), *special.after]
    has_types = len(parts) > 1 and "token_type_ids" in tokenizer.model_input_names
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
