"""What goes on beside the steps: progress, the metrics file, signals, the best checkpoint."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from tqdm.auto import tqdm
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ftkit.runs import append_json_line, write_text
from ftkit.training.profiling import StepProfile

UNITS = ((3600, "h"), (60, "min"))

STOP_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
"""Ctrl-C, the end of the machine's time, and the warning that Slurm sends before it."""


class MetricsFile(TrainerCallback):  # type: ignore[misc]
    """Writes one line per logged step; a continued run goes on where its checkpoint was."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Take off the lines that steps after the checkpoint had written."""
        if not state.is_world_process_zero or not self.path.is_file():
            return
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
        whole = [line for line in lines if line.endswith("\n")]  # a killed process may leave half a line
        kept = [line for line in whole if json.loads(line)["step"] <= state.global_step]
        write_text(self.path, "".join(kept))
        if state.global_step and not any(self._notes_checkpoint(line, state.global_step) for line in kept):
            self.on_save(args, state, control)  # killed between the checkpoint and its line

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add the line."""
        logs = logs or {}
        if state.is_world_process_zero and "train_runtime" not in logs:
            append_json_line(self.path, {"step": state.global_step, **logs})

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Note that there is a checkpoint, for the curves."""
        if state.is_world_process_zero:
            append_json_line(self.path, {"step": state.global_step, "checkpoint": True})

    def _notes_checkpoint(self, line: str, step: int) -> bool:
        values = json.loads(line)
        return values["step"] == step and bool(values.get("checkpoint"))


class Progress(TrainerCallback):  # type: ignore[misc]
    """Shows where training is: a bar on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.is_terminal = sys.stderr.isatty()
        self.bar: tqdm[Any] | None = None
        self.started = (0.0, 0)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock, and the bar on a terminal."""
        self.started = (time.perf_counter(), state.global_step)
        if state.is_world_process_zero and self.is_terminal:
            self.bar = tqdm(
                total=state.max_steps,
                initial=state.global_step,
                desc="training",
                unit="step",
                dynamic_ncols=True,
            )

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.update(1)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show loss and rate, or the scores of an evaluation."""
        logs = logs or {}
        shown = {name: value for name, value in logs.items() if name in {"loss", "learning_rate"}}
        shown |= {name[5:]: value for name, value in logs.items() if name.startswith("eval_")}
        if not state.is_world_process_zero or not shown:
            return
        text = "  ".join(f"{name} {_format(value)}" for name, value in shown.items())
        is_score = any(name.startswith("eval_") for name in logs)
        if self.bar is not None and not is_score:
            self.bar.set_postfix_str(text, refresh=False)
            return
        place = f"step {state.global_step}/{state.max_steps}"
        line = f"{place}  validation: {text}" if is_score else f"{place}  {text}  {self._estimate(state)}"
        if self.bar is not None:
            tqdm.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is the display

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leave the bar as it stands."""
        if self.bar is not None:
            self.bar.close()

    def _estimate(self, state: TrainerState) -> str:
        start, first_step = self.started
        done = state.global_step - first_step
        seconds = time.perf_counter() - start
        left = seconds / max(1, done) * (state.max_steps - state.global_step)
        return f"{done / max(seconds, 1e-9):.2f} steps/s  {format_seconds(left)} left"


class StopOnSignal(TrainerCallback):  # type: ignore[misc]
    """Ends training with a checkpoint: at the next step when a signal comes, or after a given one."""

    def __init__(self, last_step: int | None = None) -> None:
        self.last_step = last_step
        self.signal: int | None = None
        self.stops = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the signals that ask to stop while training; a second one ends the process as usual."""
        if threading.current_thread() is not threading.main_thread():
            yield  # Python allows handlers in the main thread alone
            return
        before = {number: signal.getsignal(number) for number in STOP_SIGNALS}

        def note(number: int, frame: FrameType | None) -> None:
            self.signal = number
            for each, handler in before.items():
                signal.signal(each, handler)
            message = "\nstopping after this step, with a checkpoint (again: stop at once, without)"
            print(message, file=sys.stderr, flush=True)  # noqa: T201 - the user waits for a word

        for number in before:
            signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Save and stop once a signal has come, to any of the processes."""
        if _agree(self.signal is not None or state.global_step == self.last_step, args):
            self.stops = control.should_save = control.should_training_stop = True

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Keep the end of a broken-off epoch from being scored and saved as if it were whole."""
        if self.stops and not is_epoch_over(state):
            control.should_save = control.should_evaluate = False


class ProfileSteps(TrainerCallback):  # type: ignore[misc]
    """Tells a profile when a step is done, and when the run is."""

    def __init__(self, profile: StepProfile) -> None:
        self.profile = profile

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """End a step."""
        self.profile.end_step()

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Write what was seen of a run that was shorter."""
        self.profile.finish()


class SaveAfterEpoch(TrainerCallback):  # type: ignore[misc]
    """Saves after the last step of an epoch only when the epoch's evaluation is done.

    A run that continued from a checkpoint of before would leave that evaluation out.
    """

    def __init__(self) -> None:
        self.is_due = False

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Put a checkpoint off."""
        if control.should_save and is_epoch_over(state):
            self.is_due, control.should_save = True, False

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Ask for it again."""
        control.should_save = control.should_save or self.is_due
        self.is_due = False


class SaveByTime(TrainerCallback):  # type: ignore[misc]
    """Asks for a checkpoint every so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.last = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look at the clock."""
        if _agree(time.monotonic() - self.last >= self.seconds, args):
            control.should_save = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Count from any checkpoint, whatever asked for it."""
        self.last = time.monotonic()


class RestoreSums(TrainerCallback):  # type: ignore[misc]
    """Gives the trainer of a continued run what had been summed up for the log."""

    def __init__(self, restore: Callable[[], None]) -> None:
        self.restore = restore

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Restore, after `Trainer` has set all to zero."""
        self.restore()


def is_epoch_over(state: TrainerState) -> bool:
    """Tell whether the step that was done is the last one of its epoch, or of the run."""
    return float(state.epoch or 0.0).is_integer() or state.global_step >= state.max_steps


def _agree(wanted: bool, args: TrainingArguments) -> bool:
    """Tell whether any process wants it, in all of them."""
    if args.world_size == 1:
        return wanted
    import torch

    votes = torch.tensor(int(wanted), device=args.device)
    torch.distributed.all_reduce(votes, op=torch.distributed.ReduceOp.MAX)
    return bool(votes)


class SaveBest(TrainerCallback):  # type: ignore[misc]
    """Asks for a checkpoint at every new best score, whatever the interval of checkpoints."""

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Compare with the best so far; `Trainer` notes the new one right after."""
        value = (metrics or {}).get(args.metric_for_best_model or "")
        if value is None or not args.load_best_model_at_end:
            return
        best = state.best_metric
        if best is None or (value > best if args.greater_is_better else value < best):
            control.should_save = True


def format_seconds(seconds: float) -> str:
    """Write a time for people: `45 s`, `12 min`, `3.4 h`."""
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _format(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
