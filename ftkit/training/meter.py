"""What training takes: tokens and time between two lines of the log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class StepMeter:
    """Counts tokens, and the seconds that steps took; what is paused (an evaluation) does not count."""

    def __init__(self) -> None:
        self.num_tokens = 0
        """Tokens since this process began, padding not counted."""

        self._began = time.perf_counter()
        self._noted = (0, 0.0)
        self._paused_seconds = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of training since this process began."""
        return time.perf_counter() - self._began - self._paused_seconds

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out the time that the body takes."""
        before = time.perf_counter()
        try:
            yield
        finally:
            self._paused_seconds += time.perf_counter() - before

    def read_tokens_per_second(self) -> float:
        """Return the speed since this was last asked."""
        now = (self.num_tokens, self.seconds)
        num_tokens, seconds = (after - before for after, before in zip(now, self._noted, strict=True))
        self._noted = now
        return num_tokens / max(seconds, 1e-9)
