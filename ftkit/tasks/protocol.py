"""What every task module provides; the contract test in tests/tasks runs all of them through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ftkit.data import Column

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ftkit.recipe import DataSection

Row = Mapping[str, Any]
Reject = Callable[[int, str, str], None]
"""Called with (row index, rule, detail) for every row that is changed or left out.

A rule that ends in `:error` stops the run, with the detail as the message and the row's place.
"""


@dataclass(frozen=True)
class Encoding:
    """What an encoded example depends on, beside the row and the tokenizer."""

    max_tokens: int
    """Longest example, in tokens."""
    too_long: str
    """What happens to a longer one: one of the task's `TOO_LONG`."""
    documents: str = "concatenate"
    """Whether language-model documents are joined into blocks or kept whole."""
    mlm_probability: float = 0.15
    """Share of the tokens that a masked language model has to fill in."""
    whole_word_masking: bool = True
    """Whether the tokens of a word are hidden together."""
    segmenter: str | None = None
    """What cuts text without spaces into words, `module:function`; None for single characters."""
    segmenter_fingerprint: str = ""
    """Changes with the segmenter's code, so that no cache is stale."""
    stride: int = 0
    """How far neighbouring windows of one row overlap, in tokens."""
    label_all_tokens: bool = False
    """Whether all tokens of a word carry its tag, or the first one alone."""
    source_prefix: str = ""
    """What is put before each source or prompt."""
    max_target_tokens: int = 128
    """Longest target of an encoder-decoder, in tokens."""
    objective: str = "text-to-text"
    """What an encoder-decoder learns: the row's target, or to fill in spans of its source."""
    train_on: str = "assistant"
    """Whose tokens of a conversation carry the loss."""
    label_separator: str | None = None
    """What stands between the labels of a row where they are one text."""
    labels: tuple[str, ...] = ()
    """Label names in the order of their ids; empty for tasks without labels."""
    label_names: Mapping[str, str] | None = None
    """Raw label -> label name, where the recipe maps them."""
    labelled: bool = True
    """False when rows come without answers, to predict them."""


@dataclass(frozen=True)
class LossOptions:
    """What the training loss depends on beside the batch."""

    label_smoothing: float = 0.0
    """Share of each label that is spread over all labels."""
    class_weights: tuple[float, ...] = ()
    """How much each label weighs; empty where all weigh the same."""


class Task(Protocol):
    """One task: a module with these names.

    `encode` turns rows into examples (dicts with `row`, `input_ids`, `labels`), `collate` turns
    examples into a batch, `compute_loss` and `predict` run the model on one, `merge` and
    `list_scored` turn the records of a whole split into what metrics score.
    """

    VERSION: int
    """Raised whenever `encode`, `check_row`, `read_labels` or `choose_form` gives something else for the same
    rows, so that no cache is stale."""
    SUMMARY: str
    COLUMNS: tuple[Column, ...]
    READS: frozenset[str]
    """The optional settings that this task reads; giving another one is an error."""
    MODEL_CLASS: str
    """Name of the Auto class in transformers."""
    ADAPTER_TYPE: str
    """Name of the peft.TaskType."""
    METRIC_KINDS: tuple[str, ...]
    """What the records can be scored as: keys of `ftkit.metrics.METRIC_KINDS`."""
    METRICS: tuple[str, ...]
    """Metrics that are reported by default; the first one chooses the best checkpoint."""
    TOO_LONG: tuple[str, ...]
    """The choices for `data.too_long`; the first one is what `auto` means."""
    GENERATES: bool
    """Whether `predict` for a user means generated text."""

    def check_row(self, row: Row, encoding: Encoding) -> str | None:
        """Say what is wrong with a row, or return None."""

    def read_labels(
        self, rows: Iterable[Row], label_names: Sequence[str] | Mapping[str, str] | None, **options: Any
    ) -> dict[str, int]:
        """Return label names in the order of their ids, each with its number of rows.

        Only a task that reads `data.label_separator` gets it, as `separator`. A module without labels
        may do without.
        """

    def choose_form(self, data: DataSection, rows: Iterable[Row]) -> Task | None:
        """Return the module for rows of this kind where a task has several; a module may do without.

        Such modules name their `PROBLEM_TYPE`, by which `get_form(problem_type)` finds them again.
        """

    def get_form(self, problem_type: str) -> Task | None:
        """Return the module of a problem type, or None for this one; a module may do without."""

    def find_threshold(self, records: Sequence[Mapping[str, Any]]) -> float:
        """Find on validation records from where on to say yes; a module may do without.

        The records of other rows have it as `threshold` then.
        """

    def suit_metrics(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Return the default metrics for these labels; a module may do without, and `METRICS` counts."""

    def encode(
        self,
        rows: Iterable[tuple[int, Row]],
        tokenizer: PreTrainedTokenizerBase,
        encoding: Encoding,
        reject: Reject,
    ) -> Iterator[dict[str, Any]]:
        """Turn (index, row) pairs into examples."""

    def collate(
        self,
        examples: Sequence[Mapping[str, Any]],
        tokenizer: PreTrainedTokenizerBase,
        encoding: Encoding,
        seed: tuple[int, ...],
    ) -> dict[str, torch.Tensor]:
        """Pad examples into one batch, tensors of shape (examples, tokens).

        Whatever is drawn here (masks, say) follows from `seed` and the examples alone: in training the
        run's seed and the epoch, so that a continued run draws the same; in evaluation always the same.
        """

    def count_items(self, batch: Mapping[str, torch.Tensor]) -> float:
        """Count what the loss is a mean over: supervised tokens or rows, or the sum of their weights."""

    def compute_loss(
        self, model: PreTrainedModel, batch: Mapping[str, torch.Tensor], options: LossOptions
    ) -> torch.Tensor:
        """Return the loss summed over the batch's items, in nats, a scalar."""

    def predict(
        self,
        model: PreTrainedModel,
        batch: Mapping[str, torch.Tensor],
        examples: Sequence[Mapping[str, Any]],
    ) -> list[dict[str, Any]]:
        """Return one small record per example, in their order; nothing of a tensor survives in it."""

    def merge(self, records: list[dict[str, Any]], rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Put the records of examples together to what is scored, usually one record per row."""

    def list_scored(
        self, records: Sequence[Mapping[str, Any]], kind: str
    ) -> tuple[Sequence[Any], Sequence[Any]]:
        """Return what a metric of that kind scores: predictions and references, one each a record."""

    def list_probabilities(
        self, records: Sequence[Mapping[str, Any]]
    ) -> tuple[Sequence[Sequence[float]], Sequence[Sequence[int]]]:
        """Return the probability of each label (or choice), and 0 or 1 for whether it holds, a list per row.

        What calibration and threshold curves are made of; a module may do without.
        """

    def present(self, prediction: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
        """Turn a record into what a user reads in predictions.jsonl."""

    def decode(self, prediction: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
        """Write token ids in a user's prediction as text; a module may do without."""

    def make_prompt(self, row: Row, tokenizer: PreTrainedTokenizerBase, encoding: Encoding) -> list[int]:
        """Return the token ids that generation continues or the encoder reads; where `GENERATES`."""

    def split_answer(
        self, row: Row, tokenizer: PreTrainedTokenizerBase, encoding: Encoding
    ) -> tuple[Row, str]:
        """Return the row without its answer, and the answer; only where "texts" are scored."""

    def prepare_model(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Fit a loaded base to the task, in place; a module may do without."""

    def predict_trivially(
        self, predictions: Sequence[Mapping[str, Any]], label_counts: Sequence[int]
    ) -> list[dict[str, Any]] | None:
        """Return the records of an answer that needs no model, to compare with; None where there is none."""

    def explain(self, predictions: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
        """Return further tables for the report, such as scores per class; may be empty."""
