"""What a process knows of the launcher that started it, and tells it."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftkit.errors import FtkitError, InterruptedRun

logger = logging.getLogger(__name__)

STARTED_BY_US = "FTKIT_LAUNCHED"
"""Set in processes that ftkit itself has started; its value is the command that the user gave."""


def hand_over(error: FtkitError) -> bool:
    """Leave an error to the launcher that started this process, so that it is said once.

    Returns:
        Whether there is one.
    """
    path = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if STARTED_BY_US not in os.environ or path is None:
        return False
    told = {"message": str(error), "signal": error.signal if isinstance(error, InterruptedRun) else None}
    # The shape that torch's launcher reads; the first one by the clock is the cause.
    message = {"message": str(error), "extraInfo": {"timestamp": str(int(time.time()))}}
    Path(path).write_text(json.dumps({"message": message, "ftkit": told}), encoding="utf-8")
    return True


@contextmanager
def said_before() -> Iterator[None]:
    """Say nothing while that comes again which the launcher has said when it prepared the rows."""
    log = logging.getLogger("ftkit")
    level = log.level
    if STARTED_BY_US in os.environ:
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def is_started_again() -> bool:
    """Tell whether the launcher has started this process again after a loss; says so once."""
    count = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    if count:
        most = os.environ.get("TORCHELASTIC_MAX_RESTARTS", "?")
        logger.warning("a process was lost; all start again from the last checkpoint (%d of %s)", count, most)
    return count > 0
