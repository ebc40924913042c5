"""What a run trains on: stored examples in an order of their own each epoch, or a stream of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ftkit.training.step_batches import StepExamples
from ftkit.training.steps import StepSampler
from ftkit.training.streamed_steps import StreamedSteps, StreamSampler

if TYPE_CHECKING:
    from ftkit.data import Mixture, Rows
    from ftkit.recipe import TrainingSection
    from ftkit.runs import RunFolder
    from ftkit.tasks.encoding import Split
    from ftkit.training.steps import Lengths


@dataclass(frozen=True)
class Feed:
    """Examples by number, and the numbers that make a step."""

    examples: StepExamples | StreamedSteps
    sampler: StepSampler | StreamSampler
    rows: Rows | StreamedSteps
    """Says where the row of an example stands."""
    longest: int
    """Tokens of the longest example; of a stream, as many as one may have."""

    def restore(self, checkpoint: Path) -> None:
        """Go on after a checkpoint; stored examples are found by the step alone."""
        if isinstance(self.examples, StreamedSteps):
            self.examples.restore(checkpoint)

    def describe(self) -> Mapping[str, Any] | None:
        """Return what was read of a stream, as `StreamedSteps.describe` says it; None of stored examples."""
        return self.examples.describe() if isinstance(self.examples, StreamedSteps) else None


def open_feed(
    split: Split,
    training: TrainingSection,
    folder: RunFolder,
    mixture: Mixture | None,
    *,
    lengths: Lengths,
    rank: int = 0,
    world_size: int = 1,
) -> Feed:
    """Open the training rows of a run at their begin.

    Args:
        split: encoded rows; where it has a stream, the first ones of it.
        training: settings of the section `training`.
        folder: the run folder, which gets the rows that a stream drops or changes.
        mixture: which examples an epoch has; None for each once.
        lengths: tokens of the split's examples.
        rank: of this process.
        world_size: number of processes.
    """
    longest = int(np.max(lengths))
    seed, batch_size = training.seed, training.batch_size
    if split.stream is None:
        sampler = StepSampler(
            lengths, batch_size, seed=seed, rank=rank, world_size=world_size, mixture=mixture
        )
        return Feed(StepExamples(split.examples), sampler, split.rows, longest)
    steps = StreamedSteps(
        split.stream,
        num_steps=int(training.max_steps or 0),
        batch_size=batch_size,
        seed=seed,
        rejected=folder.data / "rejected.jsonl",
        rank=rank,
        world_size=world_size,
    )
    return Feed(steps, StreamSampler(steps), steps, max(longest, split.encoding.max_tokens))
