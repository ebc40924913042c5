"""The exceptions that ftkit raises on a user's mistake.

Each message says where, what is wrong, what was found, and what to do. Each kind also inherits the
builtin that it is, so that a notebook can catch either.
"""

import unicodedata


class FtkitError(Exception):
    """Root of everything that ftkit raises on purpose; the command line prints it without a traceback."""

    def __str__(self) -> str:
        """Return the message; what a file put into it can neither steer the terminal nor fail to print."""
        return "".join(
            sign
            if sign == "\n" or not unicodedata.category(sign).startswith("C")
            else sign.encode("unicode_escape").decode()
            for sign in super().__str__()
        )


class RecipeError(FtkitError, ValueError):
    """A recipe that cannot be read or does not hold together; lists every mistake at once."""


class SourceError(FtkitError, OSError):
    """A file, package, hub id or address that cannot be reached or is not what it should be."""


class DataError(FtkitError, ValueError):
    """Rows that are broken, lack a column or do not fit the task; names file and line."""


class ModelError(FtkitError, ValueError):
    """A checkpoint that cannot be loaded, or that does not fit the task or the adapter."""


class MetricError(FtkitError, ValueError):
    """A metric that is unknown, does not fit the task, or got values it cannot score."""


class RunError(FtkitError, RuntimeError):
    """A run folder that is taken, unfinished, damaged or not writable."""


class TrainingError(FtkitError, RuntimeError):
    """Training that cannot go on, such as a loss that is not finite."""


class CheckError(FtkitError, ValueError):
    """A run that would be useless, found out before its first step; lists why."""


class DeviceMemoryError(FtkitError, MemoryError):
    """Not enough memory; the message says what to lower and by how much."""


class LaunchError(FtkitError, RuntimeError):
    """Processes that cannot be started, a host that did not come, or a process that was lost."""


class InterruptedRun(FtkitError):  # noqa: N818 - an event, not an error
    """A run that a signal stopped; the message says how to continue."""

    def __init__(self, message: str, *, signal: int | None = None) -> None:
        super().__init__(message)
        self.signal = signal or 2
        """Number of the signal; 2 is Ctrl-C."""


class MissingDependencyError(FtkitError, ImportError):
    """A library that an optional feature needs; the message says how to install it."""
