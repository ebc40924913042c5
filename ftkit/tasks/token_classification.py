"""Token classification: a tag for each word, such as names of persons and places."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from math import log
from typing import TYPE_CHECKING, Any

from ftkit.data import Column
from ftkit.errors import DataError
from ftkit.tasks.padding import IGNORED, pad_inputs, pad_sequences, select_inputs
from ftkit.tasks.protocol import Encoding, LossOptions, Row
from ftkit.tasks.tagged_words import (
    Words,
    complete_tags,
    find_row_problem,
    iterate_tags,
    read_tags,
    read_words,
)
from ftkit.tasks.word_windows import encode

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["encode"]

VERSION = 1
SUMMARY = "give each word a tag, such as the kind of name it belongs to"
COLUMNS = (
    Column("tokens", "list", required=False, meaning="the words", compared_as="text"),
    Column("tags", "list", required=False, meaning="a tag for each word: BIO, BIOES or plain"),
    Column("text", "text", required=False, meaning="instead of tokens: a text", compared_as="text"),
    Column(
        "entities",
        "list",
        required=False,
        meaning="its entities: start and end in characters, label",
        offsets_into="text",
    ),
)
READS = frozenset({"data.label_names", "data.stride", "data.label_all_tokens"})
MODEL_CLASS = "AutoModelForTokenClassification"
ADAPTER_TYPE = "TOKEN_CLS"
METRIC_KINDS = ("tags", "losses")
METRICS = ("entity_f1", "entity_precision", "entity_recall", "token_accuracy", "loss")
PLAIN_METRICS = ("token_accuracy", "loss")
"""For tags that mark no entities, such as parts of speech."""
TOO_LONG = ("split", "drop", "error")
GENERATES = False


def suit_metrics(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the metrics that fit the labels."""
    from ftkit.metrics.entities import detect_scheme

    return PLAIN_METRICS if detect_scheme(labels) == "plain" else METRICS


def check_row(row: Row, encoding: Encoding) -> str | None:
    """Say what is wrong with words, tags or spans, or that a tag is not among the labels."""
    problem = find_row_problem(row, labelled=encoding.labelled)
    if problem is not None or not encoding.labelled:
        return problem
    tags = read_tags(row, words := read_words(row), encoding.label_names or {})[0]
    known = set(encoding.labels)
    for place, tag in enumerate(tags):
        if tag not in known:
            shown = ", ".join(repr(label) for label in encoding.labels[:10])
            shown += f" and {len(encoding.labels) - 10} more" if len(encoding.labels) > 10 else ""
            return (
                f"word {place + 1} ({words.texts[place]!r}) has the tag {tag!r}; the tags are {shown}. "
                "Fix the row, or map it: data.label_names"
            )
    return None


def read_labels(rows: Iterable[Row], label_names: Sequence[str] | Mapping[str, str] | None) -> dict[str, int]:
    """Return tag names in the order of their ids, each with its number of words.

    The order is the recipe's list where it gives one: of tags, or for rows with spans of their types.
    Otherwise "O" comes first, then types by their text; each type gets all prefixes of the scheme.

    Raises:
        DataError: fewer than two tags.
    """
    mapping = label_names if isinstance(label_names, Mapping) else {}
    counts: Counter[str] = Counter()
    has_spans = False
    for row in rows:
        has_spans = has_spans or row.get("tokens") is None
        counts.update(iterate_tags(row, mapping))
    names = complete_tags([*counts, *(["O"] if has_spans else [])])
    if label_names and not isinstance(label_names, Mapping):
        names = [str(name) for name in label_names]
        if has_spans and "O" not in names:
            names = ["O", *(f"{prefix}-{name}" for name in names for prefix in "BI")]
    if len(names) < 2:
        found = ", ".join(repr(name) for name in names) or "none"
        raise DataError(f"data.train: tagging needs two tags or more; found {len(names)}: {found}")
    return {name: counts[name] for name in names}


def collate(
    examples: Sequence[Mapping[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    seed: tuple[int, ...],
) -> dict[str, torch.Tensor]:
    """Pad windows into one batch: inputs and, where there are any, labels of shape (windows, tokens)."""
    import torch

    batch = pad_inputs(examples, tokenizer)
    batch["row"] = torch.tensor([example["row"] for example in examples])
    if "labels" in examples[0]:
        batch["labels"] = pad_sequences([example["labels"] for example in examples], IGNORED)
    return batch


def count_items(batch: Mapping[str, torch.Tensor]) -> int:
    """Count the labelled tokens: words, or all their tokens with `label_all_tokens`."""
    return int((batch["labels"] != IGNORED).sum())


def compute_loss(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], options: LossOptions
) -> torch.Tensor:
    """Return the cross-entropy summed over the labelled tokens, in nats, a scalar."""
    import torch

    logits = model(**select_inputs(batch)).logits.float()
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1),
        batch["labels"].flatten(),
        ignore_index=IGNORED,
        reduction="sum",
        label_smoothing=options.label_smoothing,
    )


def predict(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], examples: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return for each window its own words with tags and probabilities, read off their first tokens.

    Where labels are known, also those and the losses in nats, one a word.
    """
    logits = model(**select_inputs(batch)).logits
    names = tuple(str(name) for _, name in sorted(model.config.id2label.items()))
    records = []
    for position, example in enumerate(examples):
        places = list(example["places"])
        logs = logits[position, places].double().log_softmax(-1)
        best = logs.max(-1)
        record = {
            "row": int(batch["row"][position]),
            "words": list(example["words"]),
            "names": names,
            "tags": best.indices.tolist(),
            "scores": best.values.exp().tolist(),
        }
        if "labels" in batch:
            true = batch["labels"][position, places]
            losses = -logs.gather(1, true[:, None])[:, 0]
            record |= {"true_tags": true.tolist(), "losses": losses.tolist()}
        records.append(record)
    return records


def merge(records: list[dict[str, Any]], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Put the windows of each row together: every word once, in order."""
    windows: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        windows[record["row"]].append(record)
    return [_join_windows(parts, read_words(rows[index])) for index, parts in windows.items()]


def _join_windows(parts: Sequence[Mapping[str, Any]], words: Words) -> dict[str, Any]:
    places = [word for part in parts for word in part["words"]]
    assert sorted(places) == list(range(len(words.spans))), "every word belongs to one window"
    order = sorted(range(len(places)), key=places.__getitem__)
    record = {name: parts[0][name] for name in ("row", "names")}
    for name in ("tags", "scores", "true_tags", "losses"):
        if name in parts[0]:
            column = [value for part in parts for value in part[name]]
            record[name] = [column[place] for place in order]
    return {**record, "text": words.text, "spans": words.spans, "has_text": words.has_text}


def list_scored(records: Sequence[Mapping[str, Any]], kind: str) -> tuple[Sequence[Any], Sequence[Any]]:
    """Return predicted and true tags of each row, or for losses their sums and numbers of words."""
    if kind == "losses":
        return [sum(record["losses"]) for record in records], [len(record["losses"]) for record in records]
    return [_name_tags(record, "tags") for record in records], [
        _name_tags(record, "true_tags") for record in records
    ]


def present(prediction: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return the entities with their places, or the tag of each word where tags mark no entities.

    `start` and `end` count characters of the row's text, `words` the words; `score` is the mean
    probability of an entity's tags.
    """
    from ftkit.metrics.entities import detect_scheme

    sides: dict[str, str] = {"": "tags", "true_": "true_tags"} if "true_tags" in prediction else {"": "tags"}
    shown: dict[str, Any] = {"row": prediction["row"]}
    is_plain = detect_scheme(labels) == "plain"
    if is_plain or not prediction["has_text"]:
        shown["tokens"] = [prediction["text"][start:end] for start, end in prediction["spans"]]
        shown |= {f"{side}tags": _name_tags(prediction, name) for side, name in sides.items()}
    if not is_plain:
        shown |= {f"{side}entities": _list_entities(prediction, name) for side, name in sides.items()}
    if "losses" in prediction:
        shown["loss"] = sum(prediction["losses"]) / len(prediction["losses"])
    return shown


def predict_trivially(
    predictions: Sequence[Mapping[str, Any]], label_counts: Sequence[int]
) -> list[dict[str, Any]] | None:
    """Return records that give every word the most frequent tag, with the tags' shares in training."""
    if not sum(label_counts):
        return None
    losses = [-log(max(count, 0.5) / sum(label_counts)) for count in label_counts]  # unseen: half a word
    most = min(range(len(losses)), key=losses.__getitem__)
    return [
        {
            **record,
            "tags": [most] * len(record["tags"]),
            "losses": [losses[tag] for tag in record["true_tags"]],
        }
        for record in predictions
    ]


def explain(predictions: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """Return precision, recall and F1 of each type of entity, or of each tag where tags mark none."""
    from ftkit.metrics.classification import score_per_class
    from ftkit.metrics.entities import detect_scheme, score_entities_per_type

    found, true = list_scored(predictions, "tags")
    counts = {"num_words": sum(map(len, true))}
    if detect_scheme(labels) == "plain":
        table = score_per_class(list(chain(*found)), list(chain(*true)), label_names=labels)
    else:
        table = score_entities_per_type(found, true)
    return {**counts, "per_class": [vars(line) for line in table]}


def _name_tags(record: Mapping[str, Any], column: str) -> list[str]:
    return [record["names"][tag] for tag in record[column]]


def _list_entities(record: Mapping[str, Any], column: str) -> list[dict[str, Any]]:
    from ftkit.metrics.entities import read_entities

    listed = []
    for entity in read_entities(_name_tags(record, column)):
        start, end = record["spans"][entity.start][0], record["spans"][entity.end - 1][1]
        shown: dict[str, Any] = {"label": entity.kind, "text": record["text"][start:end]}
        if record["has_text"]:
            shown |= {"start": start, "end": end}
        shown["words"] = [entity.start, entity.end]
        if column == "tags":
            scores = record["scores"][entity.start : entity.end]
            shown["score"] = sum(scores) / len(scores)
        listed.append(shown)
    return listed
