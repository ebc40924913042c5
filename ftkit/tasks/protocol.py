"""What every task module provides; the contract test in tests/tasks runs all of them through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ftkit.data import Column

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

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


class Task(Protocol):
    """One task: a module with these names.

    `encode` turns rows into examples (dicts with `row`, `input_ids`, `labels`), `collate` turns
    examples into a batch, `compute_loss` and `predict` run the model on one, `merge` and
    `list_scored` turn the records of a whole split into what metrics score.
    """

    VERSION: int
    """Raised whenever `encode` gives something else for the same row, so that no cache is stale."""
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
        self, rows: Iterable[Row], label_names: Sequence[str] | Mapping[str, str] | None
    ) -> dict[str, int]:
        """Return label names in the order of their ids, each with its number of rows; empty if none."""

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

    def count_items(self, batch: Mapping[str, torch.Tensor]) -> int:
        """Count what the loss is a mean over: supervised tokens or rows."""

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

    def present(self, prediction: Mapping[str, Any], labels: Sequence[str]) -> dict[str, Any]:
        """Turn a record into what a user reads in predictions.jsonl."""

    def make_prompt(self, row: Row, tokenizer: PreTrainedTokenizerBase) -> list[int]:
        """Return the token ids that generation continues; only where `GENERATES`."""

    def predict_trivially(
        self, predictions: Sequence[Mapping[str, Any]], label_counts: Sequence[int]
    ) -> list[dict[str, Any]] | None:
        """Return the records of an answer that needs no model, to compare with; None where there is none."""

    def explain(self, predictions: Sequence[Mapping[str, Any]], labels: Sequence[str]) -> dict[str, Any]:
        """Return further tables for the report, such as scores per class; may be empty."""
