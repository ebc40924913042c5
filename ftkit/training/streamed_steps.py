"""The steps of a run whose rows are read while it trains: shuffled in a buffer, continued exactly.

What a step has follows from the source, the seed and the buffer's size alone. All processes read the whole
stream and each takes its share of a step, as of stored examples, so that their number changes nothing. With a
checkpoint lie the place in the source, the random numbers' state and the examples in the buffer.
"""

from __future__ import annotations

import json
import logging
import os
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ftkit.data.examples import read_held, write_held
from ftkit.data.preparation import check_share
from ftkit.data.row_streams import Place
from ftkit.errors import DataError, RunError
from ftkit.runs import is_main_process
from ftkit.training.step_batches import mute_example
from ftkit.training.steps import count_tokens, share_step

if TYPE_CHECKING:
    from ftkit.tasks.example_streams import EncodedChunk, ExampleStream

logger = logging.getLogger(__name__)

STATE_FILE, EXAMPLES_FILE = "stream.json", "stream.arrow"
"""In a checkpoint: where the stream goes on, and the examples that it has in hand."""

_NUM_SNAPSHOTS = 4  # steps that may be loaded ahead of the one that a checkpoint is of

Placed = tuple[dict[str, Any], str]
"""An example, and where its row stands."""


@dataclass
class Counts:
    """What the first pass over the source came to so far."""

    num_read: int = 0
    num_kept: int = 0
    num_examples: int = 0
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(rule, action) -> rows."""

    def copy(self) -> Counts:
        """Copy it, so that it stands still."""
        return Counts(self.num_read, self.num_kept, self.num_examples, self.changes.copy())


@dataclass(frozen=True)
class Snapshot:
    """The stream behind a step."""

    step: int
    epoch: int
    place: Place
    num_read: int
    """In this pass."""
    num_kept: int
    buffer: list[Placed]
    waiting: list[Placed]
    generator: Mapping[str, Any]
    rejected_bytes: int
    counts: Counts

    def write(self, folder: Path) -> None:
        """Write it into a checkpoint."""
        held = [*self.buffer, *self.waiting]
        write_held([example for example, _ in held], folder / EXAMPLES_FILE)
        state = {
            **{name: getattr(self, name) for name in ("step", "epoch", "num_read", "num_kept")},
            "place": list(self.place),
            "generator": self.generator,
            "num_buffered": len(self.buffer),
            "rejected_bytes": self.rejected_bytes,
            "places": [place for _, place in held],
            "counts": {**vars(self.counts), "changes": [[*key, n] for key, n in self.counts.changes.items()]},
        }
        (folder / STATE_FILE).write_text(json.dumps(state, ensure_ascii=False), encoding="utf-8")


def read_snapshot(folder: Path) -> Snapshot:
    """Read what `Snapshot.write` wrote.

    Raises:
        RunError: it is not there.
    """
    try:
        state = json.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(
            f"{folder}: has no place in a stream ({STATE_FILE}); start the run anew with --fresh"
        ) from error
    held = list(zip(read_held(folder / EXAMPLES_FILE), state.pop("places"), strict=True))
    counts, number = state.pop("counts"), state.pop("num_buffered")
    changes = Counter({(rule, action): n for rule, action, n in counts.pop("changes")})
    return Snapshot(
        **{**state, "place": Place(*state["place"]), "counts": Counts(**counts, changes=changes)},
        buffer=held[:number],
        waiting=held[number:],
    )


class StreamedSteps:
    """The steps of a run by number, each once and in order; a step is this process's share of it."""

    def __init__(
        self,
        stream: ExampleStream,
        *,
        num_steps: int,
        batch_size: int,
        seed: int,
        rejected: Path,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Begin at the begin of the stream.

        Args:
            stream: gives examples in the order of the source.
            num_steps: of the run.
            batch_size: examples a step; the last one of a pass has what is left.
            seed: of the run.
            rejected: file that gets a line for each row that the first pass drops or changes.
            rank: of this process.
            world_size: number of processes.
        """
        self.stream, self.num_steps, self.batch_size = stream, num_steps, batch_size
        self.seed, self.rejected = seed, rejected
        self.rank, self.world_size = rank, world_size
        self.counts, self.snapshots = Counts(), deque[Snapshot](maxlen=_NUM_SNAPSHOTS)
        self.rejected_bytes = rejected.stat().st_size if rejected.is_file() else 0
        self.next_step, self.in_hand = 0, dict[int, Placed]()
        self._begin_pass(0)

    def __len__(self) -> int:
        return self.num_steps

    def __getitems__(self, numbers: Sequence[int]) -> list[dict[str, Any]]:
        """Take the next step, as the torch loader asks; a process without a part gets a mute example."""
        (number,) = numbers
        assert number == self.next_step  # a stream has no other one
        step = self._take_step()
        self.next_step += 1
        self.in_hand = {placed[0]["row"]: placed for placed in step}
        self._take_snapshot()
        examples = [example for example, _ in step]
        lengths = [count_tokens(example) for example in examples]
        share = share_step(range(len(step)), lengths, rank=self.rank, world_size=self.world_size)
        return [examples[place] for place in share] or [mute_example(examples[0])]

    def __getitem__(self, row: int) -> dict[str, Any]:
        """Return the example of a row of the last step."""
        return self.in_hand[row][0]

    def where(self, row: int) -> str:
        """Say where a row of the last step stands."""
        return self.in_hand[row][1]

    def save(self, folder: Path, step: int) -> None:
        """Write into a checkpoint where to go on after a step."""
        next(each for each in self.snapshots if each.step == step).write(folder)

    def restore(self, folder: Path) -> None:
        """Go on after the step of a checkpoint."""
        found = read_snapshot(folder)
        self.next_step, self.epoch, self.place = found.step, found.epoch, found.place
        self.num_read, self.num_kept, self.counts = found.num_read, found.num_kept, found.counts.copy()
        self.buffer, self.waiting = list(found.buffer), deque(found.waiting)
        self.generator.bit_generator.state = found.generator
        self._open(found.place)
        self.rejected_bytes = found.rejected_bytes
        if is_main_process() and self.rejected.is_file():  # rows behind the checkpoint come again
            os.truncate(self.rejected, min(found.rejected_bytes, self.rejected.stat().st_size))
        self.snapshots.append(found)

    def describe(self) -> dict[str, Any]:
        """Return for the report what the first pass came to so far, and how many passes there were."""
        counts = self.counts
        changes = [
            {"split": "train", "rule": rule, "action": action, "rows": number}
            for (rule, action), number in counts.changes.items()
        ]
        return {
            "read": counts.num_read,
            "number": counts.num_kept,
            "examples": counts.num_examples,
            "passes": self.epoch + 1,
            "changes": changes,
        }

    def _begin_pass(self, epoch: int) -> None:
        self.epoch, self.num_read, self.num_kept, self.place = epoch, 0, 0, Place()
        self.buffer, self.waiting = list[Placed](), deque[Placed]()
        self.generator = np.random.default_rng((self.seed, epoch))
        self._open(self.place)

    def _open(self, place: Place) -> None:
        self.chunks: Iterator[EncodedChunk] = self.stream.read(
            place, num_read=self.num_read, num_kept=self.num_kept
        )

    def _take_step(self) -> list[Placed]:
        for _ in range(2):  # the second time in a new pass
            step: list[Placed] = []
            while len(step) < self.batch_size and (placed := self._draw()) is not None:
                step.append(placed)
            if step:
                return step
            if self.counts.num_examples == 0:
                break
            self._begin_pass(self.epoch + 1)
        raise DataError(
            f"data.train: no examples are left of {self.counts.num_read:,} rows; give other rows, or loosen "
            "the rules"
        )

    def _draw(self) -> Placed | None:
        """Draw one of the examples in the buffer, whose place the next one takes; None at the end."""
        if self.stream.buffer_size == 0:
            return self._pull()
        while len(self.buffer) < self.stream.buffer_size and (placed := self._pull()) is not None:
            self.buffer.append(placed)
        if not self.buffer:
            return None
        place = int(self.generator.integers(len(self.buffer)))
        drawn, following = self.buffer[place], self._pull()
        last = self.buffer.pop() if following is None else following
        if place < len(self.buffer):
            self.buffer[place] = last
        return drawn

    def _pull(self) -> Placed | None:
        """Take the next example in the order of the source; None at the end."""
        while not self.waiting:
            chunk = next(self.chunks, None)
            if chunk is None:
                return None
            self.place = chunk.end
            self.num_read, self.num_kept = self.num_read + chunk.num_read, self.num_kept + chunk.num_kept
            if self.epoch == 0:
                self._count(chunk)
            self.waiting.extend(zip(chunk.examples, chunk.places, strict=True))
        return self.waiting.popleft()

    def _count(self, chunk: EncodedChunk) -> None:
        """Count a chunk of the first pass, and note the rows that it dropped or changed."""
        counts = self.counts
        counts.num_read, counts.num_kept = self.num_read, self.num_kept
        counts.num_examples += len(chunk.examples)
        counts.changes.update((entry["rule"], entry["action"]) for entry in chunk.changes)
        content = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in chunk.changes).encode()
        if is_main_process() and content:
            self.rejected.parent.mkdir(parents=True, exist_ok=True)
            with self.rejected.open("ab") as file:
                file.write(content)
        self.rejected_bytes += len(content)
        dropped = {rule: number for (rule, action), number in counts.changes.items() if action == "dropped"}
        check_share(dropped, counts.num_read, self.stream.max_rejected)

    def _take_snapshot(self) -> None:
        self.snapshots.append(
            Snapshot(
                step=self.next_step,
                epoch=self.epoch,
                place=self.place,
                num_read=self.num_read,
                num_kept=self.num_kept,
                buffer=list(self.buffer),
                waiting=list(self.waiting),
                generator=self.generator.bit_generator.state,
                rejected_bytes=self.rejected_bytes,
                counts=self.counts.copy(),
            )
        )


class StreamSampler:
    """The batch sampler of a stream: one item is the number of a step; see `StepSampler`.

    To `Trainer` the whole run is one epoch. On resume it skips numbers, and the stream goes on by itself.
    """

    def __init__(self, steps: StreamedSteps) -> None:
        self.steps, self.seed = steps, steps.seed

    @property
    def batch_sampler(self) -> StreamSampler:
        """Where `Trainer` looks for `set_epoch`."""
        return self

    @property
    def epoch(self) -> int:
        """The pass over the source that the last step was taken in, from 0."""
        return self.steps.epoch

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the stream knows its pass."""

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[list[int]]:
        return ([number] for number in range(len(self.steps)))
