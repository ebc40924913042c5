"""What a step trains on: its examples, and the micro-batches that are made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ftkit.tasks.padding import IGNORED
from ftkit.training.steps import MicroBatchLimit

if TYPE_CHECKING:
    import datasets
    import torch

MicroBatch: TypeAlias = "dict[str, torch.Tensor]"


class StepBatches(list["MicroBatch"]):
    """The micro-batches of one step, and what they were made of: to make them again where memory runs out."""

    def __init__(
        self, batches: Iterable[MicroBatch], examples: Sequence[Mapping[str, Any]], limit: MicroBatchLimit
    ) -> None:
        super().__init__(batches)
        self.examples = examples
        self.limit = limit


class MicroBatchTooLarge(Exception):  # noqa: N818 - not an error yet: the step is tried again
    """A micro-batch did not fit; the trainer catches it."""

    def __init__(self, shape: tuple[int, int], *, may_retry: bool) -> None:
        super().__init__(shape)
        self.shape = shape
        self.may_retry = may_retry


class StepExamples:
    """Examples by index; a negative index, `~i`, is example `i` without supervision.

    A process that has no example in a step takes one of those, to join the gradients of the others.
    """

    def __init__(self, examples: datasets.Dataset) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Read several examples at once, as the torch loader asks."""
        found = self.examples.__getitems__([max(index, ~index) for index in indices])
        pairs = zip(indices, found, strict=True)
        return [example if index >= 0 else mute_example(example) for index, example in pairs]


def mute_example(example: Mapping[str, Any]) -> dict[str, Any]:
    """Take the supervision off an example."""
    labels = example["labels"]
    weightless = {"weight": 0.0} if "weight" in example else {}
    muted = [IGNORED] * len(labels) if isinstance(labels, list) else IGNORED
    return {**example, **weightless, "labels": muted}
