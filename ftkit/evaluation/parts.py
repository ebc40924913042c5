"""Which rows belong together, so that they can be scored by themselves."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.errors import RecipeError
from ftkit.evaluation.resampling import MIN_UNITS
from ftkit.evaluation.scoring import Scored, score_records
from ftkit.metrics.scripts import name_script
from ftkit.training.loop import read_lengths

if TYPE_CHECKING:
    from ftkit.tasks import Row, Task
    from ftkit.tasks.encoding import Split

MAX_PARTS = 20
"""Parts of one kind; what is rarer is put together."""
REST = "(other)"
NUM_LENGTHS = 4
TURNS_APART = 4
"""From this turn of a conversation on, turns are put together."""

_QUESTIONS = (
    ("why", r"\bwhy\b|为什么|为何|为啥|為什麼"),
    ("when", r"\bwhen\b|什么时候|何时|几时|哪年|何時"),
    ("where", r"\bwhere\b|哪里|哪儿|何处|哪裡"),
    ("who", r"\bwho(?:m|se)?\b|谁|何人|誰"),
    ("how many", r"\bhow (?:many|much|long|often|old|far)\b|多少|几[个年月日次岁]|多[长大久]"),
    ("how", r"\bhow\b|怎么|怎样|如何|怎麼"),
    ("which", r"\bwhich\b|哪"),
    ("what", r"\bwhat\b|什么|啥|何|什麼"),
)


@dataclass(frozen=True)
class Part:
    """Some of the records, or something of some of them."""

    by: str
    name: str
    places: Sequence[int]
    """Of the records, from 0."""
    num_units: int
    """What there are of them: rows, entities or turns."""
    read: Callable[[Sequence[Mapping[str, Any]]], tuple[Sequence[Any], Sequence[Any]]] | None = None
    """What of the records is scored, if not all: predictions and references."""
    metric: str | None = None
    """What scores it, if not the metric of the other parts."""


def check_slices(columns: Sequence[str], split: Split) -> None:
    """Refuse columns that no row has.

    Raises:
        RecipeError: names the nearest one.
    """
    there = split.rows.column_names
    for name in columns:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the columns are {', '.join(there)}"
            raise RecipeError(f"evaluation.slices: {split.rows.name} has no column {name!r}; {hint}")


def find_parts(
    records: Sequence[Mapping[str, Any]],
    split: Split,
    task: Task,
    labels: Sequence[str],
    columns: Sequence[str] = (),
) -> list[Part]:
    """Part the records in every way that suits the task; a way that gives a single part is left out.

    Args:
        records: of the split.
        split: the rows and their examples.
        task: says what the records can be scored as.
        labels: names in the order of their ids.
        columns: of the rows, to part them by as well.
    """
    rows = [split.rows[record["row"]] for record in records]
    sources = split.rows.sources
    ways = [
        *_part_by_labels(records, task, labels),
        *_part_by_number("length", "tokens", count_tokens(records, split)),
        *_part_by_value("script", [name_script(read_text(row, task)) for row in rows]),
        *(_part_by_value("source", _name_sources(records, split)) if len(sources) > 1 else ()),
        *_part_questions(rows, task),
        *_part_entities(records, task),
        *_part_turns(records),
    ]
    for column in columns:
        ways += _part_by_column(column, [row.get(column) for row in rows])
    return ways


def read_text(row: Row, task: Task) -> str:
    """Join what a row has in the text columns of its task."""
    texts = (row.get(column.name) for column in task.COLUMNS if column.kind in ("text", "messages", "list"))
    return "\n".join(_flatten(text) for text in texts if text)


def _flatten(value: Any) -> str:
    if isinstance(value, Mapping):
        return _flatten(value.get("content", ""))
    return " ".join(map(_flatten, value)) if isinstance(value, (list, tuple)) else str(value)


def count_tokens(records: Sequence[Mapping[str, Any]], split: Split) -> list[int]:
    """Count the tokens of each record: of its example, or of all examples of its row together."""
    lengths: list[int] = read_lengths(split.examples).tolist()
    owners = [record["row"] for record in records]
    if len(records) == len(lengths):  # a record an example, as where documents are cut into blocks
        return lengths
    totals: Counter[int] = Counter()
    for row, length in zip(split.examples["row"], lengths, strict=True):
        totals[row] += length
    return [totals[row] for row in owners]


def name_question(text: str) -> str:
    """Name what a question asks for, in English or Chinese; "other" where no question word is found.

    The first question word counts, and of several at the same place the most special.
    """
    found = [
        (match.start(), place, name)
        for place, (name, pattern) in enumerate(_QUESTIONS)
        if (match := re.search(pattern, text, re.IGNORECASE))
    ]
    return min(found)[2] if found else "other"


def _part_by_value(by: str, values: Sequence[str]) -> list[Part]:
    """Make a part of each frequent value, and one of all others."""
    counts = Counter(values)
    named = {value for value, number in counts.most_common(MAX_PARTS) if number >= MIN_UNITS}
    places: dict[str, list[int]] = {}
    for place, value in enumerate(values):
        places.setdefault(value if value in named else REST, []).append(place)
    return [Part(by, name, found, len(found)) for name, found in places.items()] if len(places) > 1 else []


def _part_by_number(by: str, unit: str, values: Sequence[float]) -> list[Part]:
    """Make parts of about equally many records, from the smallest to the largest numbers."""
    import numpy as np

    numbers = np.asarray(values, dtype=np.float64)
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, NUM_LENGTHS + 1)[1:-1], method="lower"))
    bins = np.searchsorted(edges, numbers, side="left")
    parts = []
    for number in np.unique(bins):
        places = np.flatnonzero(bins == number)
        low, high = numbers[places].min(), numbers[places].max()
        bounds = f"{low:,g}" if low == high else f"{low:,g} to {high:,g}"
        parts.append(Part(by, f"{bounds} {unit}".strip(), places.tolist(), len(places)))
    return parts if len(parts) > 1 else []


def _part_by_column(column: str, values: Sequence[Any]) -> list[Part]:
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    if len(numbers) == len(values) and len(set(numbers)) > MAX_PARTS:
        return _part_by_number(column, "", numbers)
    return _part_by_value(column, ["(none)" if value is None else str(value) for value in values])


def _part_by_labels(records: Sequence[Mapping[str, Any]], task: Task, labels: Sequence[str]) -> list[Part]:
    if "labels" in task.METRIC_KINDS and labels:
        return _part_by_value("label", [labels[true] for true in task.list_scored(records, "labels")[1]])
    if "label_sets" not in task.METRIC_KINDS:
        return []
    rows = task.list_scored(records, "label_sets")[1]
    owners = ([place for place, row in enumerate(rows) if row[number]] for number in range(len(labels)))
    named = [(name, places) for name, places in zip(labels, owners, strict=True) if len(places) >= MIN_UNITS]
    named = sorted(named, key=lambda pair: -len(pair[1]))[:MAX_PARTS]
    return [Part("label", name, places, len(places)) for name, places in named]


def _name_sources(records: Sequence[Mapping[str, Any]], split: Split) -> list[str]:
    rows = split.rows
    numbers = rows.storage.read_numbers("source")
    if rows.indices is not None:
        numbers = numbers[rows.indices]
    return [rows.sources[numbers[record["row"]]] for record in records]


def score_by_source(scored: Scored, split: Split, task: Task, metrics: Sequence[str]) -> dict[str, float]:
    """Score the rows of each source of a split by themselves.

    Args:
        scored: of all rows.
        split: the rows and their examples.
        task: says what the records can be scored as.
        metrics: names of the scores; `loss` is taken, or else the first.

    Returns:
        `loss/SOURCE` for each source, with the trackers' sign for a group; empty where there is one source.
    """
    if len(split.rows.sources) < 2 or not metrics:
        return {}
    names = _name_sources(scored.records, split)
    metric = "loss" if "loss" in metrics else metrics[0]
    by_source: dict[str, list[dict[str, Any]]] = {}
    for name, record in zip(names, scored.records, strict=True):
        by_source.setdefault(name, []).append(record)
    if len(by_source) < 2:
        return {}
    found = {name: score_records(some, task, [metric]).scores for name, some in by_source.items()}
    return {
        f"{metric}/{name.lstrip('/')}": scores[metric] for name, scores in found.items() if metric in scores
    }


def _part_questions(rows: Sequence[Row], task: Task) -> list[Part]:
    if "answers" not in task.METRIC_KINDS:
        return []
    return _part_by_value("question", [name_question(str(row.get("question", ""))) for row in rows])


def _part_entities(records: Sequence[Mapping[str, Any]], task: Task) -> list[Part]:
    """Make a part of each type of entity; all rows are in it, and only that type is looked at."""
    if "tags" not in task.METRIC_KINDS:
        return []
    from ftkit.metrics.entities import detect_scheme, read_entities

    found, true = task.list_scored(records, "tags")
    if detect_scheme(tag for tags in (*found, *true) for tag in tags) == "plain":
        return []
    counts = Counter(entity.kind for tags in true for entity in read_entities(tags))

    def read_only(kind: str) -> Callable[[Sequence[Mapping[str, Any]]], tuple[Any, Any]]:
        def read(chosen: Sequence[Mapping[str, Any]]) -> tuple[Any, Any]:
            found, true = task.list_scored(chosen, "tags")
            return [_keep_type(tags, kind) for tags in found], [_keep_type(tags, kind) for tags in true]

        return read

    everywhere = range(len(records))
    return [
        Part("entity", kind, everywhere, number, read_only(kind), "entity_f1")
        for kind, number in counts.most_common(MAX_PARTS)
    ]


def _keep_type(tags: Iterable[str], kind: str) -> list[str]:
    return [tag if (tag.partition("-")[2] or "entity") == kind else "O" for tag in tags]


def _part_turns(records: Sequence[Mapping[str, Any]]) -> list[Part]:
    """Make a part of the first answers of conversations, of the second ones, and so on."""
    most = max((len(record.get("turns", ())) for record in records), default=0)
    parts = []
    for first in range(min(most, TURNS_APART)):
        last = most if first == TURNS_APART - 1 else first + 1
        places = [place for place, record in enumerate(records) if len(record["turns"]) > first]
        number = sum(len(records[place]["turns"][first:last]) for place in places)
        name = f"answer {first + 1}" if last == first + 1 else f"answers {first + 1} to {last}"
        parts.append(Part("turn", name, places, number, _read_turns(first, last), "perplexity"))
    return parts if len(parts) > 1 else []


def _read_turns(first: int, last: int) -> Callable[[Sequence[Mapping[str, Any]]], tuple[Any, Any]]:
    def read(records: Sequence[Mapping[str, Any]]) -> tuple[Any, Any]:
        turns = [record["turns"][first:last] for record in records]
        return [sum(loss for loss, _ in some) for some in turns], [sum(n for _, n in some) for some in turns]

    return read
