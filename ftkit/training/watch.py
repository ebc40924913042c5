"""Stop at the step that goes wrong, before the optimiser takes it, and keep its rows for inspection."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ftkit.errors import TrainingError
from ftkit.runs import write_json_lines
from ftkit.tasks import LossOptions

if TYPE_CHECKING:
    import torch

    from ftkit.data import Rows
    from ftkit.tasks import Task
    from ftkit.training.streamed_steps import StreamedSteps

NUM_NAMED = 5
MOST_SKIPPED = 20
"""Steps in a row that float16 may skip because the gradient overflowed, while it looks for a scale."""


@dataclass
class StepWatch:
    """Looks at the loss and the gradient of every step."""

    rows: Rows | StreamedSteps
    """The training rows, or the examples of the step in hand, which know where they stand."""
    place: Path
    """The file for the rows of a step that goes wrong; beside the run, which is not kept then."""
    num_skipped: int = 0
    """Steps that float16 skipped, one after another."""

    def admits(self, loss: float, norm: float, *, scales: bool) -> bool:
        """Tell whether the optimiser may take a step.

        Args:
            loss: of the step.
            norm: length of its gradient, before clipping.
            scales: whether the loss is scaled for float16, which skips steps whose gradient overflows.
        """
        self.num_skipped = 0 if math.isfinite(norm) else self.num_skipped + 1
        skips = scales and self.num_skipped < MOST_SKIPPED
        return math.isfinite(loss) and (math.isfinite(norm) or skips)

    def stop(
        self,
        step: int,
        loss: float,
        norm: float,
        task: Task,
        model: Any,
        batches: Sequence[Mapping[str, torch.Tensor]],
    ) -> NoReturn:
        """Keep the rows of a step that went wrong, and say which they are.

        Args:
            step: its number, from 1.
            loss: of the step.
            norm: length of its gradient.
            task: knows how a loss is computed.
            model: as it is before the step.
            batches: the micro-batches of the step, on the model's device.

        Raises:
            TrainingError: names the rows, where they are kept, and what to do.
        """
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the length of the gradient is {norm}"
        entries = list(self._list_rows(task, model, batches))
        wrong = [entry for entry in entries if not math.isfinite(entry["loss"])]
        write_json_lines(self.place, [{**entry, "loss": str(entry["loss"])} for entry in entries])
        raise TrainingError(
            f"step {step}: {what}. {_name_rows(wrong, entries)} All {len(entries)} rows of the step are in "
            f"{self.place}. Look at them, lower training.learning_rate, or set training.precision: float32; "
            "the last checkpoint is from before"
        )

    def _list_rows(
        self, task: Task, model: Any, batches: Sequence[Mapping[str, torch.Tensor]]
    ) -> Iterator[dict[str, Any]]:
        """Measure each example of the step by itself."""
        import torch

        was_training = model.training
        model.eval()
        for batch in batches:
            for place, row in enumerate(batch["row"].tolist()):
                alone = {name: tensor[place : place + 1] for name, tensor in batch.items()}
                with torch.no_grad():
                    loss = float(task.compute_loss(model, alone, LossOptions()))
                yield {"source": self.rows.where(row), "loss": loss, "row": self.rows[row]}
        model.train(was_training)


def _name_rows(wrong: Sequence[Mapping[str, Any]], entries: Sequence[Mapping[str, Any]]) -> str:
    if not wrong:
        return "No row alone has a loss that is not finite, so that it is the gradient that overflows."
    if len(wrong) == len(entries) > 1:
        return "That is so of every row, so that the weights went astray before."
    named = ", ".join(entry["source"] for entry in wrong[:NUM_NAMED])
    more = f" and {len(wrong) - NUM_NAMED} more" if len(wrong) > NUM_NAMED else ""
    return f"It comes from {named}{more}."
