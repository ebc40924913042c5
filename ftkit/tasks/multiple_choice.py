"""Multiple choice: which of several answers to a question is the right one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.data import Column
from ftkit.data.problems import show
from ftkit.tasks import text_classification
from ftkit.tasks.batching import in_batches
from ftkit.tasks.lengths import report_too_long
from ftkit.tasks.padding import IGNORED, pad_inputs, select_inputs
from ftkit.tasks.protocol import Encoding, LossOptions, Reject, Row
from ftkit.tasks.tokenizing import tokenize

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

VERSION = 1
SUMMARY = "choose the right one of several answers; how many there are may differ by row"
COLUMNS = (
    Column(
        "question",
        "text",
        required=True,
        meaning="what is asked, or the text to go on from",
        compared_as="question",
    ),
    Column(
        "choices",
        "any",
        required=True,
        meaning="the answers to choose from, two or more; in CSV a JSON list",
        compared_as="choices",
    ),
    Column(
        "answer", "label", required=True, meaning="the right one: its place from 0, its letter, or its text"
    ),
)
READS: frozenset[str] = frozenset()
MODEL_CLASS = "AutoModelForMultipleChoice"
ADAPTER_TYPE = "SEQ_CLS"
METRIC_KINDS = ("labels", "losses")
METRICS = ("accuracy", "loss")
TOO_LONG = ("truncate", "drop", "error")
GENERATES = False


def read_choices(value: Any) -> list[str] | None:
    """Return the choices as texts; None where one of them is neither a text nor a number, or empty.

    A table of texts, such as CSV, has them as a list in JSON.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if not isinstance(value, list):
        return None
    texts = [str(each) for each in value if isinstance(each, (str, int, float)) and str(each).strip()]
    return texts if len(texts) == len(value) else None


def find_answer(answer: Any, choices: Sequence[str]) -> int | None:
    """Return the place of the right choice.

    Args:
        answer: the text of a choice, a letter (`A` is the first), or the place, from 0. What is the text
            of a choice is taken for that, so that choices which are letters or numbers mean themselves;
            a number that is written as a number is always a place.
        choices: the texts to choose from.

    Returns:
        From 0; None where no choice is meant.
    """
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)
    if isinstance(answer, int) and not isinstance(answer, bool):
        return answer if 0 <= answer < len(choices) else None
    if not isinstance(answer, str):
        return None
    text = answer.strip()
    stripped = [choice.strip() for choice in choices]
    if text in stripped:
        return stripped.index(text)
    if len(text) == 1 and text.isascii() and text.isalpha():
        place = ord(text.upper()) - ord("A")
        return place if place < len(choices) else None
    return find_answer(int(text), choices) if text.isascii() and text.isdigit() else None


def check_row(row: Row, encoding: Encoding) -> str | None:
    """Say what is wrong with the choices, or that the answer is none of them."""
    choices = read_choices(row.get("choices"))
    if choices is None:
        found = show(row.get("choices"))
        return f"column 'choices' is no list of texts with something in each; found {found}"
    if len(choices) < 2:
        return f"column 'choices' has {len(choices)} of them; there must be two or more to choose from"
    twice = next((choice for place, choice in enumerate(choices) if choice in choices[:place]), None)
    if twice is not None:
        return f"column 'choices' has {twice!r} more than once; make each choice another one"
    if not encoding.labelled or find_answer(row.get("answer"), choices) is not None:
        return None
    letters = f"its letter ('A' to '{chr(ord('A') + len(choices) - 1)}') " if len(choices) <= 26 else ""
    return (
        f"column 'answer' is {row.get('answer')!r}, which is none of the {len(choices)} choices; "
        f"write its place (0 to {len(choices) - 1}), {letters}or its text"
    )


def encode(
    rows: Iterable[tuple[int, Row]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    reject: Reject,
) -> Iterator[dict[str, Any]]:
    """Turn each row into one pair a choice, the question with the choice.

    `input_ids` are those of all choices, one after another, and `sizes` says how many each has;
    `num_tokens` is what the model computes for the row: all choices padded to the longest. Of a pair
    with more than `max_tokens` tokens the longer of the two texts is cut on the right.
    """
    for batch in in_batches(rows, 128):
        choices = [read_choices(row["choices"]) or [] for _, row in batch]
        questions = [row["question"] for (_, row), some in zip(batch, choices, strict=True) for _ in some]
        texts = [choice for some in choices for choice in some]
        tokens = tokenize(tokenizer, questions, texts)
        types = tokens.types
        end = 0
        for (index, row), some in zip(batch, choices, strict=True):
            start, end = end, end + len(some)
            ids = tokens.ids[start:end]
            row_types = types[start:end] if types else None
            longest = max(map(len, ids))
            if longest > encoding.max_tokens:
                report_too_long(reject, index, longest, encoding)
                if encoding.too_long != "truncate":
                    continue
                pair = [row["question"]] * len(some), some
                cut = tokenizer(*pair, truncation=True, max_length=encoding.max_tokens, verbose=False)
                ids, row_types = cut["input_ids"], cut.get("token_type_ids")
            yield _make_example(index, row, ids, row_types, some, labelled=encoding.labelled)


def _make_example(
    index: int,
    row: Row,
    ids: Sequence[Sequence[int]],
    types: Sequence[Sequence[int]] | None,
    choices: Sequence[str],
    *,
    labelled: bool,
) -> dict[str, Any]:
    sizes = [len(each) for each in ids]
    example = {
        "row": index,
        "input_ids": [token for each in ids for token in each],
        "sizes": sizes,
        "num_tokens": len(sizes) * max(sizes),
    }
    if types:
        example["token_type_ids"] = [kind for each in types for kind in each]
    if labelled:
        example["labels"] = find_answer(row["answer"], choices)
    return example


def collate(
    examples: Sequence[Mapping[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    seed: tuple[int, ...],
) -> dict[str, torch.Tensor]:
    """Pad rows into one batch.

    Returns:
        Inputs of shape (rows, choices, tokens), as the models of transformers take them; a choice that a
        row does not have is one padding token that the mask shows, so that attention has something to
        read, and `num_choices` of shape (rows,) tells it apart. `labels` of shape (rows,).
    """
    import torch

    most = max(len(example["sizes"]) for example in examples)
    flat = [choice for example in examples for choice in _split(example, most, tokenizer)]
    batch = {
        name: tensor.reshape(len(examples), most, -1) for name, tensor in pad_inputs(flat, tokenizer).items()
    }
    batch["row"] = torch.tensor([example["row"] for example in examples])
    batch["num_choices"] = torch.tensor([len(example["sizes"]) for example in examples])
    if "labels" in examples[0]:
        batch["labels"] = torch.tensor([example["labels"] for example in examples])
    return batch


def _split(
    example: Mapping[str, Any], most: int, tokenizer: PreTrainedTokenizerBase
) -> Iterator[dict[str, list[int]]]:
    """Take the choices of an example apart, and fill up to as many as the batch has."""
    names = [name for name in ("input_ids", "token_type_ids") if example.get(name) is not None]
    start = 0
    for size in example["sizes"]:
        yield {name: example[name][start : start + size] for name in names}
        start += size
    nothing = {"input_ids": [tokenizer.pad_token_id or 0], "token_type_ids": [0]}
    for _ in range(most - len(example["sizes"])):
        yield {name: nothing[name] for name in names}


def compute_logits(model: PreTrainedModel, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Score the choices, shape (rows, choices); those that a row does not have get minus infinity."""
    import torch

    inputs = {name: tensor for name, tensor in select_inputs(batch).items() if name != "num_choices"}
    if getattr(getattr(model, "module", model).config, "type_vocab_size", 0) < 2:
        inputs.pop("token_type_ids", None)
    logits: torch.Tensor = model(**inputs).logits
    places = torch.arange(logits.shape[1], device=logits.device)
    return logits.masked_fill(places >= batch["num_choices"][:, None], float("-inf"))


def count_items(batch: Mapping[str, torch.Tensor]) -> int:
    """Count the rows: the loss is a mean over rows."""
    return int((batch["labels"] != IGNORED).sum())


def compute_loss(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], options: LossOptions
) -> torch.Tensor:
    """Return the cross-entropy over the choices of each row, summed over the rows, in nats, a scalar.

    Label smoothing spreads its share over the choices that the row has.
    """
    import torch

    logs = compute_logits(model, batch).float().log_softmax(-1)
    counted = batch["labels"] != IGNORED
    right = -logs.gather(1, batch["labels"].clamp(min=0)[:, None])[:, 0]
    exists = torch.isfinite(logs)
    even = -logs.masked_fill(~exists, 0).sum(-1) / exists.sum(-1)
    smoothing = options.label_smoothing
    return (((1 - smoothing) * right + smoothing * even) * counted).sum()


def predict(
    model: PreTrainedModel, batch: Mapping[str, torch.Tensor], examples: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return the probabilities of the choices of each row and, where it is known, the answer and its loss."""
    logs = compute_logits(model, batch).double().log_softmax(-1).tolist()
    numbers = batch["num_choices"].tolist()
    records = []
    for row, row_logs, number in zip(batch["row"].tolist(), logs, numbers, strict=True):
        own = row_logs[:number]
        best = max(range(number), key=own.__getitem__)
        records.append({"row": row, "prediction": best, "log_probabilities": own})
    if "labels" in batch:
        for record, label in zip(records, batch["labels"].tolist(), strict=True):
            record |= {"label": label, "loss": -record["log_probabilities"][label]}
    return records


def merge(records: list[dict[str, Any]], rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Add the texts of the choices, for people."""
    return [{**record, "choices": read_choices(rows[record["row"]]["choices"])} for record in records]


def list_scored(records: Sequence[Mapping[str, Any]], kind: str) -> tuple[Sequence[float], Sequence[int]]:
    """Return predicted and true places, or for losses those of the rows, each counted once."""
    if kind == "losses":
        return [record["loss"] for record in records], [1] * len(records)
    return [record["prediction"] for record in records], [record["label"] for record in records]


list_probabilities = text_classification.list_probabilities


def present(prediction: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
    """Return the chosen text with its place, and the probabilities in the order of the choices."""
    from math import exp

    choices, best = prediction["choices"], prediction["prediction"]
    shown = {"row": prediction["row"], "prediction": choices[best], "place": best}
    if "label" in prediction:
        shown |= {"answer": choices[prediction["label"]], "loss": prediction["loss"]}
    return {**shown, "probabilities": [exp(log) for log in prediction["log_probabilities"]]}


def predict_trivially(
    predictions: Sequence[Mapping[str, Any]], label_counts: Sequence[int]
) -> list[dict[str, Any]] | None:
    """Return records that always take the place where the answer is most often in these very rows."""
    from collections import Counter
    from math import log

    if not predictions:
        return None
    most = Counter(record["label"] for record in predictions).most_common(1)[0][0]
    trivial = []
    for record in predictions:
        number = len(record["log_probabilities"])
        even = [-log(number)] * number
        place = most if most < number else 0
        trivial.append({**record, "prediction": place, "log_probabilities": even, "loss": log(number)})
    return trivial


def explain(predictions: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
    """Return how often a guess would be right, and the accuracy by number of choices."""
    rows: dict[int, list[bool]] = {}
    for record in predictions:
        is_right = record["prediction"] == record["label"]
        rows.setdefault(len(record["log_probabilities"]), []).append(is_right)
    guessed = sum(len(found) / number for number, found in rows.items()) / max(len(predictions), 1)
    table = [
        {"num_choices": number, "accuracy": sum(found) / len(found), "rows": len(found)}
        for number, found in sorted(rows.items())
    ]
    return {"accuracy_of_guessing": guessed, "per_num_choices": table}
