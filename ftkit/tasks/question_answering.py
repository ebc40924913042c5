"""Question answering: the piece of a context that answers a question, or that there is none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import exp, log
from typing import TYPE_CHECKING, Any

from ftkit.data import Column
from ftkit.tasks.answer_spans import read_answers
from ftkit.tasks.answer_windows import encode
from ftkit.tasks.padding import IGNORED, pad_inputs
from ftkit.tasks.protocol import Encoding, LossOptions, Row

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["encode"]

VERSION = 1
SUMMARY = "find the answer to a question in a text, or that there is none"
COLUMNS = (
    Column("context", "text", required=True, meaning="the text that the answer is in", compared_as="context"),
    Column("question", "text", required=True, meaning="what is asked", compared_as="question"),
    Column(
        "answers",
        "any",
        required=False,
        meaning="right answers: text and answer_start, a list each",
        offsets_into="context",
    ),
    Column("answer", "text", required=False, meaning="instead of answers: one answer, empty for none"),
    Column(
        "answer_start",
        "any",
        required=False,
        meaning="the answer's first character in the context",
        offsets_into="context",
    ),
)
READS = frozenset({"data.stride"})
MODEL_CLASS = "AutoModelForQuestionAnswering"
ADAPTER_TYPE = "QUESTION_ANS"
METRIC_KINDS = ("answers", "losses")
METRICS = ("answer_f1", "answer_exact_match", "loss")
TOO_LONG = ("split", "drop", "error")
GENERATES = False

NUM_CANDIDATES = 20
"""Answers that are kept of each window and of each row."""
NUM_SHOWN = 3
NOTHING_FOUND = 1e9
"""No-answer score of a row without a single candidate: above every threshold."""
ALWAYS = 1e8
"""Threshold that withholds no answer."""


def check_row(row: Row, encoding: Encoding) -> str | None:
    """Say what is wrong with the answers of a row, or return None."""
    if not encoding.labelled:
        return None
    try:
        read_answers(row)
    except ValueError as error:
        return str(error)
    return None


def collate(
    examples: Sequence[Mapping[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    seed: tuple[int, ...],
) -> dict[str, torch.Tensor]:
    """Pad windows into one batch: inputs and `allowed` of shape (windows, tokens), labels (windows, 2).

    `allowed` marks where an answer may begin and end: in the context, or at the place for none.
    """
    import torch

    batch = pad_inputs(examples, tokenizer)
    allowed = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
    for position, example in enumerate(examples):
        place = example["context_place"]
        allowed[position, place : place + len(example["starts"])] = True
        allowed[position, example["null_place"]] = True
    batch |= {"allowed": allowed, "row": torch.tensor([example["row"] for example in examples])}
    if "labels" in examples[0]:
        batch["labels"] = torch.tensor([list(example["labels"]) for example in examples])
    return batch


def count_items(batch: Mapping[str, torch.Tensor]) -> int:
    """Count the windows: the loss is a mean over windows."""
    return int((batch["labels"][:, 0] != IGNORED).sum())


def compute_loss(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], options: LossOptions
) -> torch.Tensor:
    """Return the cross-entropy, the mean of first and last token, summed over windows in nats."""
    logs = _read_logits(model, batch).log_softmax(-1)
    supervised = batch["labels"] != IGNORED
    losses = -logs.gather(-1, batch["labels"].clamp(min=0)[..., None])[..., 0]
    if options.label_smoothing:
        allowed = batch["allowed"][:, None]
        even = -logs.masked_fill(~allowed, 0.0).sum(-1) / allowed.sum(-1)
        losses = (1 - options.label_smoothing) * losses + options.label_smoothing * even
    return losses.masked_fill(~supervised, 0.0).sum() / 2


def _read_logits(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Return the logits of first and last tokens, shape (windows, 2, tokens), -inf where none may be."""
    import torch

    names = ["input_ids", "attention_mask"]
    config = getattr(model, "config", None) or model.module.config  # under a wrapper of torch's
    if (getattr(config, "type_vocab_size", 0) or 0) > 1:
        names.append("token_type_ids")
    output = model(**{name: batch[name] for name in names if name in batch})
    logits = torch.stack([output.start_logits, output.end_logits], dim=1).float()
    return logits.masked_fill(~batch["allowed"][:, None], float("-inf"))


def predict(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], examples: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return for each window its best spans, as (start, end, score) in characters, and the score of none.

    A score is the sum of two logits, which windows of one row share a scale of; where the answer is
    known, also the loss in nats, and that of guessing evenly.
    """
    logits = _read_logits(model, batch).double()
    logs = logits.log_softmax(-1)
    records = []
    for position, example in enumerate(examples):
        first, null = example["context_place"], example["null_place"]
        context = logits[position, :, first : first + len(example["starts"])]
        record = {
            "row": int(batch["row"][position]),
            "spans": _list_best_spans(context, example["starts"], example["ends"]),
            "null_score": float(logits[position, :, null].sum()),
        }
        if "labels" in batch:
            places = batch["labels"][position]
            is_learned = int(places[0]) != IGNORED
            record["losses"] = (
                [-float(logs[position].gather(1, places[:, None]).mean())] if is_learned else []
            )
            record["even_losses"] = [log(int(batch["allowed"][position].sum()))] * is_learned
        records.append(record)
    return records


def _list_best_spans(
    logits: torch.Tensor, starts: Sequence[int], ends: Sequence[int]
) -> list[tuple[int, int, float]]:
    """List the best spans of a window exactly: every pair of a first and a last token is compared.

    Args:
        logits: of first and last tokens, shape (2, context tokens).
        starts: first character of each token.
        ends: the character after the last of each token.
    """
    import torch

    num_tokens = logits.shape[1]
    if num_tokens == 0:
        return []
    scores = logits[0][:, None] + logits[1][None, :]
    backwards = torch.ones_like(scores, dtype=torch.bool).tril(-1)
    best = scores.masked_fill(backwards, float("-inf")).flatten().topk(min(NUM_CANDIDATES, scores.numel()))
    pairs = ((place // num_tokens, place % num_tokens) for place in best.indices.tolist())
    return [
        (starts[first], ends[last], score)
        for (first, last), score in zip(pairs, best.values.tolist(), strict=True)
        if score > float("-inf") and starts[first] < ends[last]
    ]


def merge(records: list[dict[str, Any]], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Put the windows of each row together: the best answers of all of them."""
    windows: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        windows[record["row"]].append(record)
    return [_join_windows(parts, rows[index]) for index, parts in windows.items()]


def _join_windows(parts: Sequence[Mapping[str, Any]], row: Row) -> dict[str, Any]:
    context = str(row["context"])
    scores: dict[tuple[int, int], float] = {}
    for start, end, score in (span for part in parts for span in part["spans"]):
        text = context[start:end]
        span = (start + len(text) - len(text.lstrip()), start + len(text.rstrip()))
        if text.strip():
            scores[span] = max(score, scores.get(span, score))
    best = sorted(scores, key=lambda span: (-scores[span], span))[:NUM_CANDIDATES]
    null = min(part["null_score"] for part in parts)  # every window has to say that there is none
    highest = max([null, *scores.values()])
    total = sum(exp(score - highest) for score in [null, *(scores[span] for span in best)])
    record: dict[str, Any] = {
        "row": parts[0]["row"],
        "id": row.get("id"),
        "candidates": [
            {
                "answer": context[start:end],
                "start": start,
                "end": end,
                "score": exp(scores[start, end] - highest) / total,
            }
            for start, end in best
        ],
        "no_answer_score": null - scores[best[0]] if best else NOTHING_FOUND,
    }
    if "losses" in parts[0]:
        record["references"] = [answer.text for answer in read_answers(row)]
        for name in ("losses", "even_losses"):
            record[name] = [value for part in parts for value in part[name]]
    return record


def find_threshold(records: Sequence[Mapping[str, Any]]) -> float:
    """Find the no-answer score up to which an answer is given, for the highest mean F1.

    Where every validation row has an answer, one is always given.
    """
    from ftkit.metrics.thresholds import find_answer_threshold

    references = [record["references"] for record in records]
    if all(references):
        return ALWAYS
    best = [_get_best(record) for record in records]
    return find_answer_threshold(best, references, [record["no_answer_score"] for record in records]).value


def choose_answer(record: Mapping[str, Any]) -> str:
    """Return the best answer, or an empty text where the no-answer score is above the record's threshold."""
    return _get_best(record) if record["no_answer_score"] <= record.get("threshold", 0.0) else ""


def list_scored(records: Sequence[Mapping[str, Any]], kind: str) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return answers and lists of right ones, or for losses their sums and numbers of windows."""
    if kind == "losses":
        return [sum(record["losses"]) for record in records], [len(record["losses"]) for record in records]
    return [choose_answer(record) for record in records], [record["references"] for record in records]


def present(prediction: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return the answer with its place and score, and the next best ones.

    `answer` is empty where there is none; `score` is a share of the probability of all candidates and
    "no answer" together; `start` and `end` count characters of the context.
    """
    answer = choose_answer(prediction)
    given = prediction["candidates"][:1] if answer else []
    shown: dict[str, Any] = {"row": prediction["row"]}
    if prediction["id"] is not None:
        shown["id"] = prediction["id"]
    shown["answer"] = answer
    shown |= {name: given[0][name] if given else None for name in ("start", "end", "score")}
    shown |= {"no_answer_score": prediction["no_answer_score"], "threshold": prediction.get("threshold", 0.0)}
    if "references" in prediction:
        shown |= {"true_answers": prediction["references"], "loss": _mean(prediction["losses"])}
    return {**shown, "candidates": prediction["candidates"][:NUM_SHOWN]}


def predict_trivially(
    predictions: Sequence[Mapping[str, Any]], label_counts: Sequence[int]
) -> list[dict[str, Any]] | None:
    """Return records that never give an answer; None where every question has one.

    Their loss is that of guessing evenly among all places.
    """
    if all(record["references"] for record in predictions):
        return None
    return [
        {**record, "candidates": [], "no_answer_score": NOTHING_FOUND, "losses": record["even_losses"]}
        for record in predictions
    ]


def explain(predictions: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """Return the scores of questions with and without an answer, each alone."""
    from ftkit.metrics import score

    lines = []
    for kind in ("answerable", "unanswerable"):
        rows = [record for record in predictions if bool(record["references"]) == (kind == "answerable")]
        if rows:
            scored = list_scored(rows, "answers")
            scores = {name: score(name, *scored) for name in ("answer_exact_match", "answer_f1")}
            lines.append({"questions": kind, "number": len(rows), **scores})
    threshold = predictions[0].get("threshold", 0.0) if predictions else 0.0
    return {"no_answer_threshold": threshold, "per_kind": lines}


def _get_best(record: Mapping[str, Any]) -> str:
    return str(record["candidates"][0]["answer"]) if record["candidates"] else ""


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
