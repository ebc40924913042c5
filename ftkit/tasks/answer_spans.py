"""Answers as rows hold them: in the shape of SQuAD, or flat; checked against their context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """A right answer and where it stands in the context."""

    text: str
    start: int
    """Its first character."""

    @property
    def end(self) -> int:
        """The character after its last."""
        return self.start + len(self.text)


def read_answers(row: Row) -> list[Answer]:
    """Read the right answers of a row; none where the question has no answer.

    They are written as `answers: {text: [...], answer_start: [...]}`, as a list of
    `{text, answer_start}`, or flat as `answer` and `answer_start`. A start may be left out where the
    context has the answer exactly once.

    Raises:
        ValueError: there is no answer column, or an answer is not where it is said to be.
    """
    if row.get("answers") is not None:
        pairs = _read_squad(row["answers"])
    elif "answer" in row:
        text = row["answer"]
        pairs = [(text, row.get("answer_start"))] if isinstance(text, str) and text.strip() else []
    else:
        raise ValueError(
            "columns 'answers' and 'answer' are both missing; for a question without an answer, "
            "give an empty answer"
        )
    return [_place_answer(str(row["context"]), text, start) for text, start in pairs]


def _read_squad(answers: Any) -> list[tuple[Any, Any]]:
    """Read (text, start) pairs; a missing start is None."""
    if isinstance(answers, Mapping) and isinstance(answers.get("text"), Sequence):
        texts, starts = answers["text"], answers.get("answer_start")
        texts = [texts] if isinstance(texts, str) else list(texts)
        starts = [None] * len(texts) if starts is None else starts
        starts = list(starts) if isinstance(starts, Sequence) else [starts]
        if len(texts) != len(starts):
            raise ValueError(
                f"column 'answers' has {len(texts)} texts and {len(starts)} answer_start; each text needs one"
            )
        return list(zip(texts, starts, strict=True))
    if isinstance(answers, list) and all(isinstance(answer, Mapping) for answer in answers):
        return [(answer.get("text"), answer.get("answer_start")) for answer in answers]
    raise ValueError(
        f"column 'answers' is {str(answers)[:60]!r}; write {{text: [...], answer_start: [...]}}, "
        "with empty lists where there is no answer"
    )


def _place_answer(context: str, text: Any, start: Any) -> Answer:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"an answer is {text!r}; it has to be a text with something in it")
    shown = text if len(text) <= 60 else f"{text[:59]}…"
    places = _find_all(context, text)
    if not places:
        raise ValueError(f"the answer {shown!r} is not in the context; an answer is copied from it exactly")
    place = _read_place(start)
    if place is None:
        if len(places) > 1:
            raise ValueError(
                f"the answer {shown!r} is in the context {len(places)} times; give its answer_start"
            )
        return Answer(text, places[0])
    if place not in places:
        nearest = min(places, key=lambda other: abs(other - place))
        found = context[place : place + len(shown)] if place >= 0 else ""
        raise ValueError(
            f"answer_start is {place}, where the context has {found!r}, and not the answer {shown!r}; "
            f"the nearest place of the answer is {nearest}"
        )
    return Answer(text, place)


def _read_place(start: Any) -> int | None:
    """Read a number of characters, also as the text that a table has; None where it is left out."""
    if start is None or (isinstance(start, str) and not start.strip()):
        return None
    try:
        number = None if isinstance(start, bool) else float(start)
    except (TypeError, ValueError):
        number = None
    if number is None or not number.is_integer():
        raise ValueError(f"answer_start is {start!r}; it is a number of characters")
    return int(number)


def _find_all(context: str, text: str) -> list[int]:
    places, place = [], context.find(text)
    while place >= 0:
        places.append(place)
        place = context.find(text, place + 1)
    return places
