"""What of the examples carries loss: read off the very batches that are trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ftkit.checks.findings import Finding, Piece, ShownExample, judge_share
from ftkit.tasks.padding import IGNORED

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerBase

    from ftkit.recipe import ChecksSection
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split

SAMPLE_SIZE = 500
"""Examples of a split that are looked at; all of a smaller one."""
NUM_SHOWN = 3
CUT_RULES = frozenset({"target_too_long:truncate", "answer:in_no_window", "target_too_long:drop"})
"""Rules of `encode` under which an answer is not learned whole."""


@dataclass(frozen=True)
class Trained:
    """One example as `collate` gives it, without padding."""

    place: int
    """Its index in the split's examples."""
    row: int
    ids: list[int]
    """What the model reads, shape (tokens,)."""
    targets: list[int]
    """What it learns, shape (tokens,) of `ids` or of the decoder; `IGNORED` where nothing."""
    num_items: float
    """What its loss is a mean over; 0: nothing is learned."""
    is_apart: bool
    """Whether what is learned is another text than the one that is read, as with an encoder-decoder."""

    @property
    def num_tokens(self) -> int:
        """How many tokens are read and learned."""
        return len(self.ids) + len(self.targets) * self.is_apart


@dataclass(frozen=True)
class Supervision:
    """What of a split carries loss, in numbers."""

    split: str
    num_rows: int
    num_examples: int
    num_looked_at: int
    """Examples behind the following numbers; fewer than all in a large split."""
    num_tokens: int
    num_tokens_with_loss: int | None
    """None where a row is learned as a whole, such as its label."""
    num_without_loss: int
    num_answers: int | None
    """Answers whose end can carry loss; None where nothing is generated."""
    num_answers_without_stop: int
    num_double_bos: int
    num_unknown_tokens: int
    num_wholly_supervised: int
    """Examples in which all tokens carry loss, though only answers should."""
    first_tokens: tuple[str, ...]
    """The most frequent first tokens with loss."""
    last_tokens: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for the report."""
        return asdict(self)


def choose_sample(split: Split, first: Sequence[int] = ()) -> list[int]:
    """Choose the examples to look at: those of the first steps, and others evenly over the split.

    Args:
        split: encoded rows.
        first: examples in the order of training; none of a split that is not trained.
    """
    number = len(split.examples)
    if number <= SAMPLE_SIZE:
        return list(range(number))
    even = range(0, number, max(1, 2 * number // SAMPLE_SIZE))
    return sorted({*first[: SAMPLE_SIZE // 2], *even})


def read_trained(
    task: Task, tokenizer: PreTrainedTokenizerBase, split: Split, places: Sequence[int], seed: int
) -> Iterator[Trained]:
    """Put examples one by one through the task's own `collate`."""
    for place, example in zip(places, split.examples.__getitems__(list(places)), strict=True):
        batch = task.collate([example], tokenizer, split.encoding, (seed, 0))
        targets = batch["labels"][0].tolist() if is_tokenwise(task, batch["labels"]) else []
        ids = batch["input_ids"].flatten().tolist()
        apart = bool(targets) and task.MODEL_CLASS == "AutoModelForSeq2SeqLM"
        yield Trained(place, int(example["row"]), ids, targets, float(task.count_items(batch)), apart)


def is_tokenwise(task: Task, labels: torch.Tensor) -> bool:
    """Tell whether labels belong to tokens, and not to a row as a whole."""
    kinds = set(task.METRIC_KINDS)
    return labels.dim() == 2 and not labels.is_floating_point() and not kinds & {"answers", "label_sets"}


def learns_tokens(task: Task) -> bool:
    """Tell whether what is learned are tokens of the text, and not tags."""
    return "tags" not in task.METRIC_KINDS


def measure_supervision(
    task: Task, tokenizer: PreTrainedTokenizerBase, split: Split, trained: Sequence[Trained]
) -> Supervision:
    """Count what carries loss."""
    known_gaps = {entry["row"] for entry in split.prepared.rejected if entry["rule"] in CUT_RULES}
    generates = task.GENERATES and split.encoding.objective == "text-to-text" and not _is_plain(task)
    whole = [one for one in trained if one.row not in known_gaps] if generates else []
    ends = [end for one in whole for end in find_ends(one, tokenizer, split)]
    with_loss = [[target for target in one.targets if target != IGNORED] for one in trained]
    tokenwise = any(one.targets for one in trained)
    decodes = tokenwise and learns_tokens(task)
    return Supervision(
        split=split.name,
        num_rows=len(split.rows),
        num_examples=len(split.examples),
        num_looked_at=len(trained),
        num_tokens=sum(one.num_tokens for one in trained),
        num_tokens_with_loss=sum(map(len, with_loss)) if tokenwise else None,
        num_without_loss=sum(one.num_items <= 0 and one.row not in known_gaps for one in trained),
        num_answers=len(ends) if generates else None,
        num_answers_without_stop=sum(not end for end in ends),
        num_double_bos=sum(starts_twice(one.ids, tokenizer) for one in trained),
        num_unknown_tokens=sum(count_unknown(one, tokenizer) for one in trained),
        num_wholly_supervised=sum(generates and _is_whole(one, split) for one in trained),
        first_tokens=_find_frequent([tokens[0] for tokens in with_loss if tokens], tokenizer, decodes),
        last_tokens=_find_frequent([tokens[-1] for tokens in with_loss if tokens], tokenizer, decodes),
    )


def _is_plain(task: Task) -> bool:
    """Tell whether a task continues text, so that there are no answers."""
    return task.GENERATES and "texts" not in task.METRIC_KINDS


def _is_whole(one: Trained, split: Split) -> bool:
    only_answers = split.encoding.train_on != "all" and not one.is_apart and bool(one.targets)
    return only_answers and IGNORED not in one.targets


def find_ends(one: Trained, tokenizer: PreTrainedTokenizerBase, split: Split) -> list[bool]:
    """Say of each answer in an example whether it ends with a special token that carries loss.

    An answer is a run of tokens with loss. Where all tokens carry loss (`train_on: all`), the example
    counts as one answer: somewhere behind its last text there must be a special token.
    """
    special = set(tokenizer.all_special_ids) | {
        number for number, token in tokenizer.added_tokens_decoder.items() if token.special
    }
    if split.encoding.train_on == "all":
        return [any(target in special for target in one.targets[-3:])]
    runs = _list_runs(one.targets)
    return [bool(special & set(one.targets[max(start, end - 2) : end])) for start, end in runs]


def _list_runs(targets: Sequence[int]) -> list[tuple[int, int]]:
    """List begin and end of each run of tokens that carry loss."""
    runs: list[tuple[int, int]] = []
    for place, target in enumerate(targets):
        if target == IGNORED:
            continue
        if runs and runs[-1][1] == place:
            runs[-1] = (runs[-1][0], place + 1)
        else:
            runs.append((place, place + 1))
    return runs


def starts_twice(ids: Sequence[int], tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether an example begins with two tokens that begin a text."""
    bos = tokenizer.bos_token_id
    return bos is not None and list(ids[:2]) == [bos, bos]


def count_unknown(one: Trained, tokenizer: PreTrainedTokenizerBase) -> int:
    """Count tokens that stand for text that the tokenizer does not know."""
    unknown = tokenizer.unk_token_id
    if unknown is None or unknown in (
        tokenizer.bos_token_id,
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
    ):
        return 0  # GPT-2 and its like call their end token unknown, and know every byte
    return one.ids.count(unknown) + (one.targets.count(unknown) if one.is_apart else 0)


def _find_frequent(
    tokens: Sequence[int], tokenizer: PreTrainedTokenizerBase, decodes: bool, most: int = 3
) -> tuple[str, ...]:
    if not decodes:
        return ()
    return tuple(tokenizer.decode([token]) for token, _ in Counter(tokens).most_common(most))


def judge_supervision(
    supervision: Supervision, split: Split, settings: ChecksSection, rejected: Mapping[str, int]
) -> list[Finding]:
    """Say what is wrong with a split, by the thresholds of the recipe."""
    name, looked_at = supervision.split, supervision.num_looked_at
    cut = sum(number for rule, number in rejected.items() if rule in CUT_RULES)
    left_out = sum(number for rule, number in rejected.items() if rule.endswith(":drop"))
    shares = (
        (supervision.num_without_loss, looked_at, "rows_without_loss",
         "examples have nothing that carries loss", "look at such a row: its turns may weigh 0"),
        (left_out, supervision.num_rows, "rows_left_out", "rows are left out",
         "data/rejected.jsonl of a run says which and why; raise data.max_tokens, or shorten them"),
        (cut, supervision.num_rows, "answers_cut", "rows have an answer that is cut or not learned",
         "raise data.max_target_tokens or data.max_tokens"),
        (supervision.num_answers_without_stop, supervision.num_answers or 0, "answers_without_stop",
         "answers do not end with a special token that carries loss, so the model would not learn to stop",
         "take a chat template that ends an answer with one (model.chat_template, model.new_tokens)"),
        (supervision.num_unknown_tokens, supervision.num_tokens, "unknown_tokens",
         f"tokens are unknown to the tokenizer ({UNKNOWN_HINT})", "take a base that knows this language"),
    )  # fmt: skip
    found = [
        finding
        for number, total, setting, what, remedy in shares
        for finding in judge_share(
            "supervision",
            number,
            total,
            getattr(settings, setting),
            f"checks.{setting}",
            f"{name} {what}",
            remedy,
        )
    ]
    return found + _judge_plainly_wrong(supervision)


UNKNOWN_HINT = "one and the same to the model, whatever they were"


def _judge_plainly_wrong(supervision: Supervision) -> list[Finding]:
    """Find what is never right, however rare."""
    found = []
    if supervision.num_double_bos:
        number = (
            f"{supervision.num_double_bos:,} of {supervision.num_looked_at:,} {supervision.split} examples"
        )
        message = (
            f"{number} begin with two tokens that begin a text: one from the rows or the chat template, one "
            "from the tokenizer; take it out of the rows, or out of model.chat_template"
        )
        found.append(Finding("supervision", "error", message))
    if supervision.num_wholly_supervised:
        number = f"{supervision.num_wholly_supervised:,} of {supervision.num_looked_at:,}"
        message = (
            f"{number} {supervision.split} examples carry loss on every token, the prompt too, though "
            "data.train_on is not all; the chat template does not part prompt and answer"
        )
        found.append(Finding("supervision", "error", message))
    return found


def describe_supervision(supervision: Supervision) -> Finding:
    """Say in one line what of a split carries loss."""
    some = supervision.num_looked_at
    sample = f"of {some:,} examples looked at" if some < supervision.num_examples else f"of {some:,} examples"
    if supervision.num_tokens_with_loss is None:
        parts = [f"{some - supervision.num_without_loss:,} {sample} carry loss, a row as a whole"]
    else:
        share = 100 * supervision.num_tokens_with_loss / max(1, supervision.num_tokens)
        parts = [f"loss on {share:.3g} % of the tokens {sample}"]
    if supervision.num_answers is not None:
        ended = supervision.num_answers - supervision.num_answers_without_stop
        parts.append(f"stop token learned in {ended:,} of {supervision.num_answers:,} answers")
    if supervision.last_tokens:
        parts.append(f"last tokens with loss: {' '.join(map(repr, supervision.last_tokens))}")
    return Finding("supervision", "note", f"{supervision.split}: {'; '.join(parts)}")


def show_examples(
    task: Task, tokenizer: PreTrainedTokenizerBase, split: Split, trained: Sequence[Trained]
) -> tuple[ShownExample, ...]:
    """Show a few examples, with what carries loss."""
    chosen = list(trained[:: max(1, len(trained) // NUM_SHOWN)])[:NUM_SHOWN]
    examples = split.examples.__getitems__([one.place for one in chosen])
    return tuple(
        ShownExample(split.rows.where(one.row), tuple(_cut_pieces(task, tokenizer, split, one, example)))
        for one, example in zip(chosen, examples, strict=True)
    )


def _cut_pieces(
    task: Task, tokenizer: PreTrainedTokenizerBase, split: Split, one: Trained, example: Mapping[str, Any]
) -> Iterator[Piece]:
    if not one.targets:
        yield Piece(tokenizer.decode(one.ids), has_loss=False)
        yield Piece("", has_loss=one.num_items > 0, label=_name_label(example.get("labels"), split))
    elif not learns_tokens(task):
        yield from _cut_tags(tokenizer, split, one)
    elif one.is_apart or _differs(one):
        yield Piece(tokenizer.decode(one.ids), has_loss=False)
        yield Piece(tokenizer.decode([target for target in one.targets if target != IGNORED]), has_loss=True)
    else:
        yield from _cut_runs(tokenizer, one)


def _differs(one: Trained) -> bool:
    """Tell whether what is learned is not what is read, as with hidden words."""
    return any(target not in (IGNORED, read) for read, target in zip(one.ids, one.targets, strict=True))


def _cut_runs(tokenizer: PreTrainedTokenizerBase, one: Trained) -> Iterator[Piece]:
    start = 0
    for begin, end in _list_runs(one.targets):
        if begin > start:
            yield Piece(tokenizer.decode(one.ids[start:begin]), has_loss=False)
        yield Piece(tokenizer.decode(one.ids[begin:end]), has_loss=True)
        start = end
    if start < len(one.ids):
        yield Piece(tokenizer.decode(one.ids[start:]), has_loss=False)


def _cut_tags(tokenizer: PreTrainedTokenizerBase, split: Split, one: Trained) -> Iterator[Piece]:
    for token, target in zip(one.ids, one.targets, strict=True):
        has_loss = target != IGNORED
        label = split.encoding.labels[target] if has_loss else ""
        yield Piece(tokenizer.decode([token]), has_loss, label)


def _name_label(value: Any, split: Split) -> str:
    """Write what a row teaches: the name of a label, names of several, a number, or a place."""
    names = split.encoding.labels
    if isinstance(value, list) and names:
        return ", ".join(name for name, is_on in zip(names, value, strict=False) if is_on) or "no label"
    if isinstance(value, int) and names and 0 <= value < len(names):
        return names[value]
    return "no label" if value is None else str(value)
