"""Rows of token classification: words with tags, or a text with spans, read as the same thing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from ftkit.metrics.scripts import is_unspaced

Row = Mapping[str, Any]

# A character of a script without spaces is a word, and so is each punctuation mark: the words of a text
# must not depend on the tokenizer, or the scores of two models would be of different things.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
_WORD = regex.compile(
    rf"[{_UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{N}}_]--[{_UNSPACED}]][[\p{{L}}\p{{N}}\p{{M}}_]--[{_UNSPACED}]]*|\S",
    regex.V1,
)
_PREFIXES = "BIMELSU"


@dataclass(frozen=True)
class Span:
    """A run of characters with a type."""

    start: int
    end: int
    """The character after its last."""
    label: str


@dataclass(frozen=True)
class Words:
    """The words of a row, in order."""

    text: str
    spans: list[tuple[int, int]]
    """(start, end) of each word in the text, in characters."""
    has_text: bool
    """Whether the text is the row's own; otherwise the words were joined."""

    @property
    def texts(self) -> list[str]:
        """The words themselves."""
        return [self.text[start:end] for start, end in self.spans]

    def list_spaced(self) -> list[str]:
        """Return the words as a tokenizer should see them: with a space before where there is one."""
        last = 0
        spaced = []
        for start, end in self.spans:
            spaced.append(" " * (start > last or start == 0) + self.text[start:end])
            last = end
        return spaced


def read_words(row: Row) -> Words:
    """Read the words of a row: its `tokens`, or what its `text` consists of."""
    tokens, text = row.get("tokens"), row.get("text")
    if tokens is None:
        return Words(str(text), [match.span() for match in _WORD.finditer(str(text))], has_text=True)
    spans = _find_tokens(tokens, text) if isinstance(text, str) else None
    if spans is not None:
        return Words(str(text), spans, has_text=True)
    return _join_tokens(tokens)


def _find_tokens(tokens: Sequence[str], text: str) -> list[tuple[int, int]] | None:
    """Find the tokens one after another with nothing but white space between; None where they differ."""
    spans, end = [], 0
    for token in tokens:
        start = text.find(token, end)
        if start < 0 or text[end:start].strip():
            return None
        end = start + len(token)
        spans.append((start, end))
    return None if text[end:].strip() else spans


def _join_tokens(tokens: Sequence[str]) -> Words:
    """Join words with spaces, but not two characters of a script without spaces."""
    text, spans = "", []
    for token in tokens:
        if text and not (is_unspaced(text[-1]) and is_unspaced(token[:1])):
            text += " "
        spans.append((len(text), len(text) + len(token)))
        text += token
    return Words(text, spans, has_text=False)


def find_row_problem(row: Row, *, labelled: bool) -> str | None:
    """Say what is wrong with the form of a row, whatever the tags are called; None where nothing is."""
    tokens = row.get("tokens")
    if tokens is not None:
        return next(_list_token_problems(tokens, row.get("tags"), labelled=labelled), None)
    if not isinstance(row.get("text"), str) or not row["text"].strip():
        return "there are neither words nor a text; give tokens and tags, or text and entities"
    if not labelled:
        return None
    if row.get("entities") is None:
        return "column 'entities' is missing; give a list of spans, an empty one where there are none"
    try:
        return next(_list_span_problems(row["text"], row["entities"]), None)
    except ValueError as error:
        return str(error)


def _list_token_problems(
    tokens: Sequence[Any], tags: Sequence[Any] | None, *, labelled: bool
) -> Iterator[str]:
    if not tokens:
        yield "column 'tokens' is an empty list; a row needs a word"
    for place, token in enumerate(tokens):
        if not isinstance(token, str) or not token.strip():
            yield f"column 'tokens' has {token!r} as word {place + 1}; a word is a text with something in it"
    if not labelled:
        return
    if tags is None:
        yield f"column 'tags' is missing; there are {len(tokens)} tokens, and each needs a tag"
    elif len(tags) != len(tokens):
        yield f"there are {len(tokens)} tokens and {len(tags)} tags; each token needs one tag"
    for tag in tags or ():
        if read_tag(tag) is None:
            yield f"column 'tags' has {tag!r}; a tag is a word or a whole number"


def _list_span_problems(text: str, entities: Sequence[Any]) -> Iterator[str]:
    spans = [read_span(entity) for entity in entities]
    for span, entity in zip(spans, entities, strict=True):
        shown = f"the span {span.start} to {span.end} ({span.label})"
        found = text[max(0, span.start) : max(0, span.end)]
        said = entity.get("text") if isinstance(entity, Mapping) else None
        if not 0 <= span.start < span.end:
            yield f"{shown} is empty or negative; start is its first character, end the one after its last"
        elif span.end > len(text):
            yield f"{shown} ends outside the text, which has {len(text)} characters"
        elif not found.strip():
            yield f"{shown} covers nothing but white space"
        elif said not in (None, found):
            yield f"{shown} says {said!r}, but the text there is {found!r}"
    ordered = sorted(spans, key=lambda span: (span.start, span.end))
    for first, second in zip(ordered, ordered[1:], strict=False):
        if second.start < first.end:
            yield (
                f"the spans {first.start} to {first.end} ({first.label}) and {second.start} to {second.end} "
                f"({second.label}) overlap; a word has one tag"
            )


def read_span(entity: Any) -> Span:
    """Read a span, written as {start, end, label} or [start, end, label].

    Raises:
        ValueError: it is written otherwise; says how it has to be.
    """
    if isinstance(entity, Mapping):
        values: list[Any] = [entity.get("start"), entity.get("end"), entity.get("label")]
    else:
        values = list(entity) if isinstance(entity, (list, tuple)) else []
    if len(values) == 3:
        start, end, label = values
        are_places = all(isinstance(place, int) and not isinstance(place, bool) for place in (start, end))
        if are_places and isinstance(label, str) and label.strip():
            return Span(start, end, label.strip())
    raise ValueError(
        f"column 'entities' has {entity!r}; an entity is {{start: 0, end: 5, label: NAME}}, in characters"
    )


def read_tag(value: Any) -> str | None:
    """Return a tag as it is written in a row: a word, or a whole number as digits."""
    if isinstance(value, str):
        return value.strip() or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def read_tags(row: Row, words: Words, names: Mapping[str, str]) -> tuple[list[str], int]:
    """Return a tag for each word of a good row, and how many spans had to be widened to whole words.

    Args:
        row: a row in which `find_row_problem` finds nothing.
        words: its words.
        names: raw tag, or type of a span, -> its name, where they differ.
    """
    if row.get("tokens") is not None:
        raw = [str(read_tag(tag)) for tag in row["tags"]]
        return [names.get(tag, tag) for tag in raw], 0
    tags = ["O"] * len(words.spans)
    num_widened = 0
    for span in sorted(map(read_span, row["entities"]), key=lambda span: span.start):
        inside = [
            place
            for place, (start, end) in enumerate(words.spans)
            if start < span.end and span.start < end and tags[place] == "O"
        ]
        if not inside:
            num_widened += 1  # two spans in one word: the first one has it
            continue
        covered = words.text[words.spans[inside[0]][0] : words.spans[inside[-1]][1]]
        num_widened += covered != words.text[span.start : span.end].strip()
        name = names.get(span.label, span.label)
        for place in inside:
            tags[place] = f"{'I' if place > inside[0] else 'B'}-{name}"
    return tags, num_widened


def complete_tags(tags: Iterable[str]) -> list[str]:
    """Order tags, and add those that the scheme must have though no row happens to.

    A type that is never longer than one word has no I- in the training rows, but may in new ones.

    Args:
        tags: those that occur.

    Returns:
        "O" first, then by type and prefix; plain tags sorted by number or text.
    """
    known = set(tags)
    pairs = [tag.partition("-") for tag in known - {"O"}]
    prefixes = {prefix for prefix, _, _ in pairs}
    if not pairs or not all(prefix in tuple(_PREFIXES) and name for prefix, _, name in pairs):
        return sorted(known, key=int) if all(map(_is_number, known)) else sorted(known)
    if prefixes == {"B"}:
        prefixes = {"B", "I"}
    types = sorted({name for _, _, name in pairs})
    return ["O", *(f"{prefix}-{name}" for name in types for prefix in _PREFIXES if prefix in prefixes)]


def continue_tag(tag: str, known: Iterable[str]) -> str:
    """Return the tag of a word's further tokens: inside what the word begins."""
    inside = f"I{tag[1:]}"
    return inside if tag.startswith("B-") and inside in known else tag


def iterate_tags(row: Row, names: Mapping[str, str]) -> Iterator[str]:
    """Yield the tags of a row, and nothing for a row that is not good: it is reported where it is encoded."""
    if find_row_problem(row, labelled=True) is None:
        yield from read_tags(row, read_words(row), names)[0]


def _is_number(tag: str) -> bool:
    return tag.lstrip("-").isdigit()
