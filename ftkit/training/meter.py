"""What training takes: tokens, operations and time between two lines of the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class StepMeter:
    """Counts tokens and operations, and the seconds that steps took; what is paused does not count."""

    def __init__(self) -> None:
        self.num_tokens = 0
        """Tokens since this process began, padding not counted."""

        self.num_operations = 0.0
        """Floating point operations that those tokens need, of all processes."""

        self._began = time.perf_counter()
        self._noted = (0.0, 0.0, 0.0)
        self._paused_seconds = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of training since this process began."""
        return time.perf_counter() - self._began - self._paused_seconds

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out the time that the body takes, such as an evaluation."""
        before = time.perf_counter()
        try:
            yield
        finally:
            self._paused_seconds += time.perf_counter() - before

    def read_speeds(self) -> tuple[float, float]:
        """Return tokens a second and operations a second since this was last asked."""
        now = (float(self.num_tokens), self.num_operations, self.seconds)
        tokens, operations, seconds = (after - before for after, before in zip(now, self._noted, strict=True))
        self._noted = now
        return tokens / max(seconds, 1e-9), operations / max(seconds, 1e-9)
