"""What training came to."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ftkit.training.memory import read_peak_bytes
from ftkit.training.trackers import TrackerGuard

if TYPE_CHECKING:
    from ftkit.training.feeding import Feed
    from ftkit.training.profiling import StepProfile
    from ftkit.training.trainer import StepTrainer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """What training came to."""

    num_steps: int
    num_epochs: float
    best_step: int | None
    """The step whose weights the model has; None where the last step's are kept."""
    seconds: float
    tokens_per_second: float
    num_tokens: int
    """Tokens of all steps, padding not counted; of a continued run, those before its checkpoint too."""
    peak_memory_bytes: int
    """The most that tensors took on the accelerator, or the process on a CPU; 0 where unknown."""
    stream: Mapping[str, Any] | None = None
    """Where rows were read while training: what was read, as `StreamedSteps.describe` says it."""
    utilisation: float | None = None
    """Model FLOPs utilisation: the operations that the tokens need, over what the devices could do in the
    same time; that was measured with a matrix product in the precision of the run."""
    peak_operations_per_second: float | None = None
    """What all devices could do."""
    profile: dict[str, Any] | None = None
    """Where the time of some steps went, with `training.profile`."""
    out_of_memory: tuple[Mapping[str, int], ...] = ()
    """Each time that memory ran out and the micro-batches were halved: the step, the micro-batch that did not
    fit (`examples` of up to `tokens`), and the new `limit` in tokens."""
    trackers: tuple[TrackerGuard, ...] = field(default=(), repr=False)
    """Trackers that wait for the final scores; `finish` ends each."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for the report."""
        left_out = {"trackers", "stream"} | ({"profile"} if self.profile is None else set())
        return {name: value for name, value in vars(self).items() if name not in left_out}


def make_result(
    trainer: StepTrainer,
    feed: Feed,
    profile: StepProfile | None,
    *,
    seconds: float,
    trackers: tuple[TrackerGuard, ...],
) -> TrainingResult:
    """Read off what training came to, and say it.

    Args:
        trainer: after its last step.
        feed: what it trained on.
        profile: of some steps, where one was asked for.
        seconds: that it took.
        trackers: that wait for the final scores.
    """
    from ftkit.training.callbacks import format_seconds

    state, meter, most = trainer.state, trainer.meter, trainer.read_peak_operations()
    busy = max(meter.seconds, 1e-9)
    result = TrainingResult(
        num_steps=state.global_step,
        num_epochs=float(state.epoch or 0.0),
        best_step=state.best_global_step if trainer.args.load_best_model_at_end else None,
        seconds=seconds,
        tokens_per_second=meter.num_tokens / busy,
        num_tokens=state.num_input_tokens_seen,
        peak_memory_bytes=read_peak_bytes(trainer.args.device),
        utilisation=meter.num_operations / busy / most,
        peak_operations_per_second=most,
        profile=profile.describe() if profile is not None and profile.counted else None,
        out_of_memory=tuple(trainer.shrinks),
        trackers=trackers,
        stream=feed.describe(),
    )
    logger.info(
        "trained %d steps in %s (%.0f tokens/s, %.0f %% of what the device computes)%s",
        result.num_steps,
        format_seconds(seconds),
        result.tokens_per_second,
        100 * (result.utilisation or 0.0),
        f"; kept the best, of step {result.best_step}" if result.best_step else "",
    )
    return result
