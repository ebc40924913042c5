"""Positions in a text that move when a rule changes it: spans of entities, starts of answers.

Old and new text are aligned character by character (Levenshtein). A span moves with the characters that it
marks; where the rule cuts into it, so that no place in the new text is certainly its own, it is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ftkit.data.cleaning.extras import import_extra

Edit = Callable[[str], str]
Move = Callable[[int, int], "tuple[int, int] | None"]
"""From a span (first character, the one after its last) of the old text to the new one; None if lost."""

_SPAN_KEYS = {"start", "end"}


class LostSpanError(ValueError):
    """A rule changed a text so that a marked place is not to be found again."""


def make_move(old: str, new: str, edit: Edit) -> Move:
    """Make the function that moves spans from an old text to the new one.

    Args:
        old: the text before the rule.
        new: the text after it.
        edit: the rule, to compare a moved span with what the rule makes of it alone.
    """
    blocks = import_extra("rapidfuzz.distance.Levenshtein", "rules on texts with marked places").opcodes(
        old, new
    )

    def find(place: int, *, is_end: bool) -> int | None:
        for tag, start, end, new_start, new_end in blocks:
            if (start < place <= end) if is_end else (start <= place < end):
                offset = place - start
                if tag == "equal" or end - start == new_end - new_start:
                    return int(new_start) + int(offset)
                is_at_edge = new_start == new_end or place in (start, end)
                return int(new_end if place == end else new_start) if is_at_edge else None
        return None

    def move(start: int, end: int) -> tuple[int, int] | None:
        if not 0 <= start < end <= len(old):
            return None
        moved = find(start, is_end=False), find(end, is_end=True)
        if moved[0] is None or moved[1] is None:
            return None
        found, marked = new[moved[0] : moved[1]], old[start:end]
        alone = edit(marked)
        # A rule may see more in the whole text than in the span alone: phrases of Chinese, for instance.
        is_same = found.strip() == alone.strip() or (alone != marked and len(found) == len(marked))
        return (moved[0], moved[1]) if found.strip() and alone.strip() and is_same else None

    return move


def move_positions(value: Any, move: Move, new: str, *, text: Any = None) -> Any:
    """Move all positions in the value of a column.

    Args:
        value: spans (`{start, end, ...}` or `[start, end, ...]`), answers (`{text, answer_start}` with one
            or a list each, or a list of such), or the start of an answer alone.
        move: moves one span.
        new: the new text, from which answers are copied.
        text: the answer, where the value is its start alone.

    Raises:
        LostSpanError: a place is not to be found again, or the value has another form.
    """
    if value is None or value == []:
        return value
    if isinstance(value, Mapping):
        return _move_mapping(value, move, new)
    if isinstance(value, list) and all(isinstance(item, (Mapping, list)) for item in value):
        return [
            _move_mapping(item, move, new) if isinstance(item, Mapping) else _move_triple(item, move)
            for item in value
        ]
    if _is_place(value) and isinstance(text, str):
        return _move(value, value + len(text), move)[0] if text else value
    raise LostSpanError(f"positions of the form {str(value)[:40]!r} cannot be moved")


def _move_mapping(item: Mapping[str, Any], move: Move, new: str) -> dict[str, Any]:
    if item.keys() >= _SPAN_KEYS:
        start, end = _move(item["start"], item["end"], move)
        return {**item, "start": start, "end": end}
    texts, starts = item.get("text"), item.get("answer_start")
    if starts is None and "text" in item:  # the context has the answer once, and the rule changed both
        return dict(item)
    if isinstance(texts, str) and isinstance(starts, int):
        start, end = _move(starts, starts + len(texts), move)
        return {**item, "text": new[start:end], "answer_start": start}
    if isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts):
        spans = [_move(start, start + len(text), move) for start, text in zip(starts, texts, strict=True)]
        return {
            **item,
            "text": [new[start:end] for start, end in spans],
            "answer_start": [start for start, _ in spans],
        }
    raise LostSpanError(f"positions of the form {str(dict(item))[:40]!r} cannot be moved")


def _move_triple(item: Sequence[Any], move: Move) -> list[Any]:
    if len(item) < 2:
        raise LostSpanError(f"a span {item!r} has no end")
    return [*_move(item[0], item[1], move), *item[2:]]


def _move(start: Any, end: Any, move: Move) -> tuple[int, int]:
    moved = move(start, end) if _is_place(start) and _is_place(end) else None
    if moved is None:
        raise LostSpanError(f"the place from {start} to {end} is cut")
    return moved


def _is_place(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
