"""Rows -> examples on disk: the same path for every task, for training and for evaluation."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ftkit.data import (
    Changes,
    Prepared,
    Problems,
    RowProblem,
    Rows,
    Stage,
    check_columns,
    prepare_examples,
    raise_row_problems,
    remember,
)
from ftkit.errors import RecipeError
from ftkit.models import fingerprint_tokenizer
from ftkit.tasks import fingerprint_task
from ftkit.tasks.lengths import Lengths, say_lengths
from ftkit.tasks.protocol import Encoding, Reject, Task
from ftkit.tasks.segmenter import fingerprint_segmenter

if TYPE_CHECKING:
    import datasets
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PretrainedConfig, PreTrainedTokenizerBase

    from ftkit.models import Checkpoint
    from ftkit.recipe import DataSection, TrainingSection
    from ftkit.tasks.example_streams import ExampleStream

logger = logging.getLogger(__name__)

LONGEST_BY_DEFAULT = 1024
"""What `max_tokens: auto` means at most, in tokens; models that read 128,000 rarely train on them."""


POSITIONS_AFTER_PADDING = frozenset(
    ("camembert", "data2vec-text", "ibert", "lilt", "longformer", "luke", "mpnet", "roberta")
    + ("roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod")
)
"""Architectures that number positions from behind the padding token's id on, so that some are never used."""

NUM_NAMES = 20
"""Most names of files that are kept with examples, for people to tell them apart."""

HELD_OUT = ("test", "validation")
"""The splits that the final scores may come from; the first one that there is."""


@dataclass(frozen=True)
class Split:
    """Rows, the examples made of them, and how they were made."""

    name: str
    rows: Rows
    prepared: Prepared
    encoding: Encoding
    stream: ExampleStream | None = None
    """Where rows are read while training: all of them; rows and examples are the first ones then."""

    @property
    def examples(self) -> datasets.Dataset:
        """The encoded rows."""
        return self.prepared.examples


def list_encoding_changes(splits: Mapping[str, Split]) -> Changes:
    """List what encoding dropped or changed, in all splits."""
    return Changes(tuple(Stage(name, split.rows, split.prepared.rejected) for name, split in splits.items()))


def read_example_rows(split: Split) -> NDArray[np.int64]:
    """Return the row that each example was made of, shape (examples,); of a block, where it begins."""
    rows: NDArray[np.int64] = split.examples.data.column("row").to_numpy()
    return rows


def choose_held_out(splits: Mapping[str, Split]) -> Split | None:
    """Return the split that the final scores come from; None where there is none."""
    return next((splits[name] for name in HELD_OUT if name in splits), None)


def check_settings(name: str, task: Task, data: DataSection, training: TrainingSection | None = None) -> None:
    """Refuse what a task would ignore.

    Args:
        name: the task's name, for the message.
        task: the task.
        data: the recipe's section `data`.
        training: the section `training`, where it is to be checked too.

    Raises:
        RecipeError: a setting that the task does not read, or a choice that it does not have.
    """
    # Compared with the default and not by what was written: a resolved recipe has every setting in it.
    sections = {"data": data, "training": training} if training else {"data": data}
    given = {
        f"{section}.{key}"
        for section, settings in sections.items()
        for key, field in type(settings).model_fields.items()
        if getattr(settings, key) != field.default
    }
    optional = {
        *("data.label_names", "data.documents", "data.stride", "data.label_all_tokens"),
        *("data.mlm_probability", "data.whole_word_masking", "data.segmenter"),
        *("data.source_prefix", "data.max_target_tokens", "data.objective", "data.train_on"),
        *("data.problem_type", "data.label_separator", "training.class_weights"),
    }
    if hasattr(task, "PROBLEM_TYPE"):
        if not hasattr(task, "choose_form"):
            name = f"{name} ({task.PROBLEM_TYPE})"
        optional.add("training.label_smoothing_factor")
    problems = [
        f"{setting}: the task {name} does not read this setting; take it out"
        for setting in sorted((given & optional) - task.READS)
    ]
    names = [column.name for column in task.COLUMNS]
    for column in data.columns.keys() - set(names):
        near = difflib.get_close_matches(column, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"they are {', '.join(names)}"
        problems.append(f"data.columns.{column}: the task {name} has no such column; {hint}")
    if data.too_long not in ("auto", *task.TOO_LONG):
        choices = ", ".join(task.TOO_LONG)
        problems.append(f"data.too_long: the task {name} has no {data.too_long!r}; it has {choices}")
    if problems:
        raise RecipeError("\n".join(problems))


def make_encoding(
    task: Task,
    data: DataSection,
    tokenizer: PreTrainedTokenizerBase,
    config: PretrainedConfig,
    labels: tuple[str, ...],
) -> Encoding:
    """Decide what `auto` means for this task, tokenizer and model."""
    limit = read_limit(tokenizer, config)
    if isinstance(data.max_tokens, int) and limit is not None and data.max_tokens > limit:
        raise RecipeError(
            f"data.max_tokens: is {data.max_tokens}, but the model reads at most {limit} tokens; "
            f"set it to {limit} or less, or auto"
        )
    longest = data.max_tokens if isinstance(data.max_tokens, int) else min(limit or 10**9, LONGEST_BY_DEFAULT)
    stride = getattr(task, "AUTO_STRIDE", longest // 4) if data.stride == "auto" else data.stride
    if stride >= longest:
        raise RecipeError(
            f"data.stride: is {stride}, but a window has at most {longest} tokens (data.max_tokens); "
            "take a smaller stride"
        )
    return Encoding(
        max_tokens=longest,
        too_long=task.TOO_LONG[0] if data.too_long == "auto" else data.too_long,
        documents=data.documents,
        mlm_probability=data.mlm_probability,
        whole_word_masking=data.whole_word_masking,
        segmenter=data.segmenter,
        segmenter_fingerprint=fingerprint_segmenter(data.segmenter) if data.segmenter else "",
        stride=stride,
        source_prefix=data.source_prefix,
        max_target_tokens=data.max_target_tokens,
        objective=data.objective,
        train_on=data.train_on,
        label_all_tokens=data.label_all_tokens,
        label_separator=data.label_separator,
        labels=labels,
        label_names=_read_mapping(data),
    )


def read_limit(tokenizer: PreTrainedTokenizerBase, config: PretrainedConfig) -> int | None:
    """Return the longest input in tokens that model and tokenizer admit; None where neither says."""
    text = config.get_text_config()
    positions = getattr(text, "max_position_embeddings", None)
    if isinstance(positions, int) and config.model_type in POSITIONS_AFTER_PADDING:
        positions -= (1 if config.model_type == "mpnet" else text.pad_token_id or 0) + 1
    limits = [positions, tokenizer.model_max_length]
    # A tokenizer that does not know its length says so with a number of 31 digits.
    known = [limit for limit in limits if isinstance(limit, int) and 0 < limit < 10**9]
    return min(known) if known else None


def check_splits(rows: Mapping[str, Rows], task: Task, data: DataSection, labels: tuple[str, ...]) -> None:
    """Check what can be checked of the rows before a model is loaded.

    Raises:
        DataError: rows that do not fit the task; names file and line.
    """
    encoding = Encoding(
        0,
        "error",
        objective=data.objective,
        train_on=data.train_on,
        label_separator=data.label_separator,
        labels=labels,
        label_names=_read_mapping(data),
    )
    for some in rows.values():
        key = {**fingerprint_task(task), **asdict(encoding)}
        remember(some, "rows", partial(_raise_problems, some, task, encoding), key=key)


def _raise_problems(rows: Rows, task: Task, encoding: Encoding) -> None:
    found = ((index, task.check_row(row, encoding)) for index, row in enumerate(rows))
    raise_row_problems(rows, (RowProblem(index, problem) for index, problem in found if problem))


def _read_mapping(data: DataSection) -> dict[str, str] | None:
    """Return the recipe's mapping from labels in the rows to names, as text."""
    if not isinstance(data.label_names, Mapping):
        return None
    return {str(raw): str(label) for raw, label in data.label_names.items()}


def encode_splits(
    name: str, task: Task, rows: Mapping[str, Rows], checkpoint: Checkpoint, data: DataSection
) -> dict[str, Split]:
    """Encode every split for a model; see `encode_rows`."""
    config = checkpoint.model.config
    tokenizer = checkpoint.tokenizer
    encoding = make_encoding(task, data, tokenizer, config, checkpoint.labels)
    fingerprint = fingerprint_tokenizer(tokenizer)
    return {
        split: encode_rows(
            name, task, some, tokenizer, encoding, split=split, tokenizer_fingerprint=fingerprint
        )
        for split, some in rows.items()
    }


def encode_rows(
    name: str,
    task: Task,
    rows: Rows,
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    *,
    split: str,
    tokenizer_fingerprint: str = "",
) -> Split:
    """Encode a split, or take it from the cache when nothing that matters has changed.

    Args:
        name: the task's name.
        task: the task.
        rows: the split.
        tokenizer: the model's tokenizer.
        encoding: what the examples depend on beside rows and tokenizer.
        split: `train`, `validation` or `test`, for the messages.
        tokenizer_fingerprint: of `fingerprint_tokenizer`, which takes a while; computed where it is empty.

    Raises:
        DataError: rows that lack a column or do not fit the task; names file and line.
    """
    key = make_key(name, task, rows, tokenizer, encoding, tokenizer_fingerprint)
    lengths = Lengths()
    make = partial(make_examples, task, rows, tokenizer, encoding, lengths)
    # Rows to predict are answered without a word about them.
    names = make_names(split, rows) if encoding.labelled else None
    prepared = prepare_examples(make, key=key, names=names, describe=lambda: {"lengths": lengths.describe()})
    if encoding.labelled and (shown := prepared.summary["lengths"]):
        logger.info("%s: %s", split, say_lengths(shown, encoding))
    for rule, number in prepared.rejected.count_rules().items():
        logger.warning("%s: %d of %d rows: %s", split, number, len(rows), RULES.get(rule, rule))
    return Split(split, rows, prepared, encoding)


def make_key(
    name: str,
    task: Task,
    rows: Rows,
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    tokenizer_fingerprint: str = "",
) -> dict[str, Any]:
    """Return all that the examples of rows depend on; see `encode_rows`."""
    return {
        "task": name,
        **fingerprint_task(task),
        "rows": rows.fingerprint,
        "tokenizer": tokenizer_fingerprint or fingerprint_tokenizer(tokenizer),
        **asdict(encoding),
    }


def make_names(split: str, rows: Rows) -> dict[str, Any]:
    """Return what people call the examples of a split."""
    return {"split": split, "sources": list(rows.sources[:NUM_NAMES])}


def make_examples(
    task: Task,
    rows: Rows,
    tokenizer: PreTrainedTokenizerBase,
    encoding: Encoding,
    lengths: Lengths,
    reject: Reject,
) -> Iterator[dict[str, Any]]:
    """Check rows and make examples of them; what is wrong is raised when all have been looked at."""
    labelled = [
        column for column in task.COLUMNS if encoding.labelled or column.kind not in ("label", "labels")
    ]
    check_columns(rows, labelled)
    problems = Problems()

    def note(index: int, rule: str, detail: str) -> None:
        lengths.note_rejected(index, rule, detail)
        if rule.endswith(":error"):
            problems.add(rows.where(index), detail)
        else:
            reject(index, rule, detail)

    good = _check_rows(rows, task, encoding, note)
    yield from lengths.watch(task.encode(good, tokenizer, encoding, note))
    problems.raise_any(where=rows.name, num_rows=len(rows))


RULES = {
    "too_long:truncate": "longer than data.max_tokens, cut",
    "too_long:truncate_start": "longer than data.max_tokens, cut at the beginning",
    "too_long:truncate_middle": "longer than data.max_tokens, cut in the middle",
    "too_long:windows": "longer than data.max_tokens, read in windows",
    "too_short:drop": "fewer than 2 tokens, left out",
    "weight:drop": "every answer has the weight 0, left out",
    "target_too_long:truncate": "target longer than data.max_target_tokens, cut",
    "target_too_long:truncate_start": "target longer than data.max_target_tokens, cut",
    "target_too_long:drop": "target longer than data.max_target_tokens, left out",
    "too_long:drop": "longer than data.max_tokens, left out",
    "too_long:split": "longer than data.max_tokens, split into several examples",
    "masking:drop": "blocks in which there is nothing to hide, left out",
    "span:widened": "an entity begins or ends inside a word, widened to whole words",
    "answer:in_no_window": "answer longer than what two windows share, not learned from",
    "question:truncate": "question longer than half of data.max_tokens, cut",
    "word:truncate": "a word alone is longer than data.max_tokens, cut",
}


def check_rows(rows: Rows, task: Task, encoding: Encoding) -> None:
    """Check rows that a task is to answer, without their answers.

    Raises:
        DataError: rows that lack a column or do not fit the task; names file and line.
    """
    check_columns(rows, [column for column in task.COLUMNS if column.kind not in ("label", "labels")])
    unlabelled = replace(encoding, labelled=False)
    _raise_problems(rows, task, unlabelled)


def _check_rows(
    rows: Rows, task: Task, encoding: Encoding, note: Callable[[int, str, str], None]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Pass good rows on and note the others."""
    for index, row in enumerate(rows):
        problem = task.check_row(row, encoding)
        if problem is None:
            yield index, row
        else:
            note(index, "row:error", problem)
