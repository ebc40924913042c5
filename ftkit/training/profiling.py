"""Where the time of a step goes: a table over some steps, and torch's trace of the two after them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.models.padding_free import find_body
from ftkit.runs import write_json
from ftkit.training.utilisation import wait_for

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

WARM_UP = 1
"""Steps before the first that counts: they set up kernels and the optimiser's state."""
TRACED = 2
"""Steps of the trace; torch's profiler slows them down, so that the table leaves them out."""
PHASES = ("data", "forward", "head", "backward", "optimiser", "other", "evaluation", "checkpoint")


class StepProfile:
    """A clock that knows what the step is at; `Trainer`'s subclass tells it."""

    def __init__(self, num_steps: int, folder: Path, device: torch.device) -> None:
        self.num_steps = num_steps
        self.folder = folder
        self.device = device
        self.seconds = dict.fromkeys(PHASES, 0.0)
        self.steps_done = 0
        self.counted = 0
        self.num_tokens = self.num_operations = 0.0
        self.peak_operations = 0.0
        self._open: list[str] = ["other"]
        self._since = 0.0
        self._profiler: Any = None

    @property
    def is_on(self) -> bool:
        """Whether this step is timed or traced."""
        return WARM_UP <= self.steps_done < WARM_UP + self.num_steps + TRACED

    @property
    def is_timed(self) -> bool:
        """Whether this step counts in the table."""
        return WARM_UP <= self.steps_done < WARM_UP + self.num_steps

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of the body as that of a phase, less that of phases within it."""
        if not self.is_on:
            yield
            return
        from torch.profiler import record_function

        self._turn_to(name)
        try:
            with record_function(f"ftkit: {name}"):
                yield
        finally:
            self._turn_back()

    @contextmanager
    def watching(self, model: Any) -> Iterator[None]:
        """Count what the model's body takes as `forward`; what is left of the loss is `head`."""
        if not self.is_on:
            yield
            return
        body = find_body(model)
        handles = [
            body.register_forward_pre_hook(lambda *_: self._turn_to("forward")),
            body.register_forward_hook(lambda *_: self._turn_back(), always_call=True),
        ]
        try:
            with self.phase("head"):
                yield
        finally:
            for handle in handles:
                handle.remove()

    def end_passes(self, num_tokens: float, num_operations: float, peak_operations: float) -> None:
        """Take note that the passes of a step are done, and of what they took; what follows is the optimiser.

        Args:
            num_tokens: of the step, over all processes.
            num_operations: floating point operations that these need.
            peak_operations: operations a second of all devices.
        """
        if self.is_timed:
            self.num_tokens += num_tokens
            self.num_operations += num_operations
            self.peak_operations = peak_operations
        if self.is_on:
            self._turn_to("optimiser")

    def end_step(self) -> None:
        """Take note that a step is done; after the last one write the table, and after two more the trace."""
        if self._open[-1] == "optimiser":
            self._turn_back()
        self.counted += self.is_timed
        self.steps_done += 1
        self._since = time.perf_counter()
        if self.steps_done == WARM_UP + self.num_steps:
            self.write_table()
            self._start_trace()
        if self.steps_done == WARM_UP + self.num_steps + TRACED:
            self._write_trace()

    def finish(self) -> None:
        """Write what there is where the run ended before all steps were seen."""
        if 0 < self.counted < self.num_steps:
            self.write_table()
        elif not self.counted:
            logger.warning("training.profile: the run has no step after the first, so that none was profiled")
        self._write_trace()

    def describe(self) -> dict[str, Any]:
        """Return the table: seconds and share of each phase, speed and utilisation."""
        whole = max(sum(self.seconds.values()), 1e-9)
        shown = {name: spent for name, spent in self.seconds.items() if spent or name in PHASES[:6]}
        return {
            "steps": self.counted,
            "seconds_per_step": whole / max(1, self.counted),
            "phases": {
                name: {"seconds_per_step": spent / max(1, self.counted), "share": spent / whole}
                for name, spent in shown.items()
            },
            "tokens_per_second": self.num_tokens / whole,
            "utilisation": self.num_operations / whole / max(self.peak_operations, 1e-9),
            "operations_per_second": self.num_operations / whole,
            "peak_operations_per_second": self.peak_operations,
        }

    def write_table(self) -> None:
        """Write the table into the run folder, and say it."""
        table = self.describe()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "steps.json", table)
        logger.info("%s", format_table(table))

    def _turn_to(self, name: str) -> None:
        self._note()
        self._open.append(name)

    def _turn_back(self) -> None:
        self._note()
        self._open.pop()

    def _note(self) -> None:
        """Give the time since the last turn to the phase that was open."""
        wait_for(self.device)
        now = time.perf_counter()
        if self.is_timed:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def _start_trace(self) -> None:
        from torch.profiler import ProfilerActivity, profile

        activities = [ProfilerActivity.CPU]
        if self.device.type in ("cuda", "xpu"):
            activities.append(getattr(ProfilerActivity, self.device.type.upper()))
        self._profiler = profile(activities=activities)
        self._profiler.start()

    def _write_trace(self) -> None:
        if self._profiler is None:
            return
        self._profiler.stop()
        path = self.folder / "trace.json.gz"
        self._profiler.export_chrome_trace(str(path))
        self._profiler = None
        logger.info("trace: %s (open it in https://ui.perfetto.dev)", path)


def format_table(table: Mapping[str, Any]) -> str:
    """Write the table for a terminal."""
    lines = [f"where {table['steps']} steps went, {table['seconds_per_step']:.3f} s each:"]
    for name, phase in table["phases"].items():
        lines.append(f"  {name:11} {phase['seconds_per_step']:9.3f} s {phase['share']:6.1%}")
    speed, peak = (table[f"{kind}operations_per_second"] / 1e12 for kind in ("", "peak_"))
    lines.append(
        f"  {table['tokens_per_second']:.0f} tokens/s; model FLOPs utilisation {table['utilisation']:.1%}: "
        f"{speed:.3g} of {peak:.3g} TFLOP/s, measured with a matrix product"
    )
    return "\n".join(lines)
