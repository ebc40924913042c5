"""Libraries that talk less: ftkit says in one line what they say in tables and bars."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Switch off transformers' log lines and progress bars while the body runs.

    What matters of them, such as newly initialised parameters, is in what its functions return.
    """
    from transformers.utils import logging as library

    verbosity, has_bars = library.get_verbosity(), library.is_progress_bar_enabled()
    library.set_verbosity_error()
    library.disable_progress_bar()
    try:
        yield
    finally:
        library.set_verbosity(verbosity)
        if has_bars:
            library.enable_progress_bar()


@contextmanager
def log_warnings(*, but_not: tuple[str, ...] = ()) -> Iterator[None]:
    """Turn Python warnings of the body into one log line each.

    Args:
        but_not: beginnings of warnings about what the library has already put right itself.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        if not text.startswith(but_not):
            logger.warning("%s", text.strip().splitlines()[0])
