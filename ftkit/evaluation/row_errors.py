"""Rows worth reading: the highest losses, and what tuning fixed and broke, both outputs side by side."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.evaluation.contents import ErrorRow, Errors, Output
from ftkit.metrics import METRICS, score_rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ftkit.metrics.inputs import Floats
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split

LONGEST_FIELD = 4_000
"""Characters of what a model read, or wrote, that are kept."""
ROUNDING = 1e-5
"""Scores of a row that differ by less differ by rounding."""

_OUTPUTS = (
    *(("prediction", "label"), ("prediction", "answer"), ("answer", "true_answers")),
    *(("entities", "true_entities"), ("tags", "true_tags"), ("text", "reference")),
)
"""What tasks call an answer and the right one, in what their `present` returns."""
_ANSWER_COLUMNS = frozenset({"label", "answers", "answer_start", "tags", "entities", "target", "weight"})


def list_errors(
    records: Mapping[str, Sequence[Mapping[str, Any]]],
    split: Split,
    task: Task,
    metric: str,
    *,
    labels: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    most: int,
) -> Errors:
    """Choose rows worth reading.

    Args:
        records: of each model, in the same order of rows: one model, or base and tuned.
        split: the rows.
        task: says what of the records is scored.
        metric: says whether a row got better; one whose rows add up.
        labels: names in the order of their ids.
        tokenizer: writes blocks of tokens that are no row as text.
        most: rows of each kind at most.
    """
    scores = {who: _score_each(some, task, metric) for who, some in records.items()}
    losses = {who: _list_losses(some, task) for who, some in records.items()}
    last = list(records)[-1]
    worst = losses[last] if losses[last] is not None else _turn(metric) * -scores[last]
    gains = _turn(metric) * (scores["tuned"] - scores["base"]) if len(scores) > 1 else worst * 0.0

    def show(places: Sequence[int]) -> list[ErrorRow]:
        return [
            _show_row(place, records, split, task, labels, tokenizer, scores, losses)
            for place in places[:most]
        ]

    fixed, broken = _order(gains, worst), _order(-gains, worst)
    return {
        "metric": metric,
        "num_rows": len(worst),
        "num_fixed": len(fixed),
        "num_broken": len(broken),
        "worst": show(_order(worst - _lowest(worst), worst)),
        "fixed": show(fixed),
        "broken": show(broken),
    }


def _turn(metric: str) -> int:
    return 1 if METRICS[metric].greater_is_better else -1


def _score_each(records: Sequence[Mapping[str, Any]], task: Task, metric: str) -> Floats:
    return score_rows(metric, *task.list_scored(records, METRICS[metric].kind))


def _list_losses(records: Sequence[Mapping[str, Any]], task: Task) -> Any:
    """Return the mean loss of each record, shape (records,); None for a task that has none."""
    if "losses" not in task.METRIC_KINDS:
        return None
    return score_rows("loss", *task.list_scored(records, "losses"))


def _lowest(values: Floats) -> float:
    import numpy as np

    known = values[np.isfinite(values)]
    return float(known.min()) - 1.0 if len(known) else 0.0


def _order(values: Floats, worst: Floats) -> list[int]:
    """List the places of values above 0, the largest first, and of equal ones the worst."""
    import numpy as np

    places = np.flatnonzero(np.nan_to_num(values, nan=0.0) > ROUNDING)
    order = np.lexsort((places, -np.nan_to_num(worst[places]), -values[places]))
    found: list[int] = places[order].tolist()
    return found


def _show_row(
    place: int,
    records: Mapping[str, Sequence[Mapping[str, Any]]],
    split: Split,
    task: Task,
    labels: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    scores: Mapping[str, Floats],
    losses: Mapping[str, Any],
) -> ErrorRow:
    index = next(iter(records.values()))[place]["row"]
    shown = {who: task.present(some[place], labels) for who, some in records.items()}
    outputs: dict[str, Output] = {
        who: {
            "output": cut(read_outputs(one)[0]),
            "score": _read_number(scores[who][place]),
            "loss": None if losses[who] is None else _read_number(losses[who][place]),
        }
        for who, one in shown.items()
    }
    return {
        "row": index,
        "where": split.rows.where(index),
        "fields": _read_fields(place, index, records, split, task, tokenizer),
        "expected": cut(read_outputs(next(iter(shown.values())))[1]),
        "outputs": outputs,
    }


def _read_number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _read_fields(
    place: int,
    index: int,
    records: Mapping[str, Sequence[Mapping[str, Any]]],
    split: Split,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
) -> dict[str, str]:
    """Return what the model read: the task's columns, or the block of tokens where that is no row."""
    joins = "data.documents" in task.READS and split.encoding.documents == "concatenate"
    if joins and len(next(iter(records.values()))) == len(split.examples):
        text = tokenizer.decode(split.examples[place]["input_ids"], skip_special_tokens=True)
        return {"block": str(cut(text))}
    row = split.rows[index]
    names = [column.name for column in task.COLUMNS if column.name not in _ANSWER_COLUMNS]
    return {name: str(cut(write_value(row[name]))) for name in names if row.get(name)}


def read_outputs(shown: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Find in what `present` returned a model's answer and the right one, as texts."""
    for output, expected in _OUTPUTS:
        if output in shown and expected in shown:
            return write_value(shown[output]), write_value(shown[expected])
    return None, None


def write_value(value: Any) -> str:
    """Write what a row or a prediction has as text for people."""
    if isinstance(value, Mapping):
        if "role" in value:
            content = value.get("content") or ""
            calls = value.get("tool_calls")
            said = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
            called = f" {json.dumps(calls, ensure_ascii=False)}" if calls else ""
            return f"{value['role']}: {said}{called}"
        if {"label", "text"} <= value.keys():
            return f"{value['label']}: {value['text']}"
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        parts = [write_value(part) for part in value]
        lines = any(isinstance(part, Mapping) or " " in text for part, text in zip(value, parts, strict=True))
        return ("\n" if lines else " ").join(parts)
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def cut(text: str | None) -> str | None:
    """Shorten a long text, with a mark at its end."""
    if text is None or len(text) <= LONGEST_FIELD:
        return text
    return text[: LONGEST_FIELD - 1] + "…"
