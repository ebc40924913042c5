"""Entities in tagged words, and how well they are found."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ftkit.errors import MetricError
from ftkit.metrics.classification import ClassScore
from ftkit.metrics.inputs import Floats, read_tags

# begin, inside, end and single, also as M(iddle) in Chinese BMES and L(ast), U(nit) in BILOU
_PREFIXES = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S"}
_TAG = re.compile(r"([BIMELSU])(?:-(.+))?", re.DOTALL)


@dataclass(frozen=True, order=True)
class Entity:
    """A run of words that a scheme of tags marks as one thing."""

    start: int
    """Its first word."""

    end: int
    """The word after its last."""

    kind: str
    """Its type, such as PER; "entity" where tags name none."""


def detect_scheme(tags: Iterable[str]) -> str:
    """Find out how tags mark entities.

    Returns:
        "BIO" (IOB1 and IOB2 alike), "BIOES" (BILOU and BMES too), or "plain" for tags that each
        stand for themselves, such as parts of speech.
    """
    known = set(tags) - {"O"}
    if not all(_TAG.fullmatch(tag) for tag in known):
        return "plain"
    return "BIOES" if any(tag[0] not in "BI" for tag in known) else "BIO"


def read_entities(tags: Sequence[str]) -> list[Entity]:
    """Read the entities of one row, in order.

    As the CoNLL script reads them: an I- that follows another type, or nothing, begins an entity.
    (https://www.cnts.ua.ac.be/conll2000/chunking/conlleval.txt)
    """
    entities: list[Entity] = []
    start, kind = 0, None
    for position, tag in enumerate([*tags, "O"]):
        prefix, name = _split_tag(tag)
        if kind is not None and not (prefix in "IE" and name == kind):
            entities.append(Entity(start, position, kind))
            kind = None
        if kind is None and prefix != "O":
            start, kind = position, name
        if kind is not None and prefix in "ES":
            entities.append(Entity(start, position + 1, kind))
            kind = None
    return entities


def measure_entities(predictions: Any, references: Any) -> Floats:
    """Count each row's entities: columns hits, predicted and true.

    A hit has the same type and the same words.

    Raises:
        MetricError: the tags are plain and mark no entities.
    """
    rows = _read_rows(predictions, references)
    return np.array(
        [[len(predicted & true), len(predicted), len(true)] for predicted, true in rows], np.float64
    )


def measure_tags(predictions: Any, references: Any) -> Floats:
    """Count each row's words: columns rightly tagged and all."""
    predicted, true = read_tags("token_accuracy", predictions, references)
    right = [
        sum(tag == truth for tag, truth in zip(*row, strict=True))
        for row in zip(predicted, true, strict=True)
    ]
    return np.stack([np.array(right), np.array([len(row) for row in true])], axis=1).astype(np.float64)


def score_entities_per_type(predictions: Any, references: Any) -> list[ClassScore]:
    """Score each type of entity alone, sorted by name; 0 where there is nothing to divide by."""
    hits, predicted, true = Counter[str](), Counter[str](), Counter[str]()
    for row_predicted, row_true in _read_rows(predictions, references):
        predicted.update(entity.kind for entity in row_predicted)
        true.update(entity.kind for entity in row_true)
        hits.update(entity.kind for entity in row_predicted & row_true)
    return [
        ClassScore(
            kind,
            precision=hits[kind] / max(predicted[kind], 1),
            recall=hits[kind] / max(true[kind], 1),
            f1=2 * hits[kind] / (predicted[kind] + true[kind]),
            support=true[kind],
        )
        for kind in sorted(predicted | true)
    ]


def _split_tag(tag: str) -> tuple[str, str]:
    match = _TAG.fullmatch(tag)
    return (_PREFIXES[match[1]], match[2] or "entity") if match else ("O", "")


def _read_rows(predictions: Any, references: Any) -> list[tuple[set[Entity], set[Entity]]]:
    predicted, true = read_tags("entities", predictions, references)
    tags = {tag for rows in (predicted, true) for row in rows for tag in row}
    if detect_scheme(tags) == "plain":
        plain = min(tag for tag in tags if tag != "O" and not _TAG.fullmatch(tag))
        raise MetricError(
            f"entities: tags need a prefix such as B- or I-; found {plain!r}; use token_accuracy"
        )
    return [
        (set(read_entities(row)), set(read_entities(truth)))
        for row, truth in zip(predicted, true, strict=True)
    ]
