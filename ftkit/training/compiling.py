"""What happens when torch.compile cannot compile a model: it runs as it is."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


@contextmanager
def falling_back(is_compiled: bool) -> Iterator[None]:
    """Let what cannot be compiled run as it is, within, and say so once instead of a page for each piece.

    Args:
        is_compiled: whether anything is compiled at all; torch's compiler is left alone otherwise.
    """
    if not is_compiled:
        yield
        return
    import torch._dynamo

    config, speaker, failure = (
        torch._dynamo.config,
        logging.getLogger("torch._dynamo.convert_frame"),
        _Failure(),
    )
    before = config.suppress_errors
    config.suppress_errors = True
    speaker.addFilter(failure)
    try:
        yield
    finally:
        config.suppress_errors = before
        speaker.removeFilter(failure)


class _Failure(logging.Filter):
    """Takes torch's warnings that a piece was not compiled, and turns the first into one line."""

    def __init__(self) -> None:
        super().__init__()
        self.was_said = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep what is not about a failure."""
        error = record.exc_info[1] if record.exc_info else None
        if record.levelno < logging.WARNING or error is None:
            return True
        if not self.was_said:
            reason = " ".join(str(error).split("\n")[:2])  # who raised it, and what
            logger.warning("torch.compile failed, and the model runs as it is: %s", reason)
            self.was_said = True
        return False
