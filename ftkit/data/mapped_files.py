"""Arrow files that are mapped to memory, and whose pages are given back.

The system counts every page that was read through a map as memory of the process, with 64 kB around it, until
it is short of memory. Given back, they stay in the system's cache and cost nothing to read again.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow

_READS_BETWEEN = 64  # of single values; each may have brought in 128 kB


class MappedFile:
    """A file that is read through a map."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._num_reads = 0

    def open(self) -> pyarrow.BufferReader:
        """Open it for Arrow; what is read of it are views on the map."""
        import pyarrow as pa

        return pa.BufferReader(pa.py_buffer(self._map))

    def release(self) -> None:
        """Give the pages back; views stay good."""
        if hasattr(self._map, "madvise"):  # not on Windows
            self._map.madvise(mmap.MADV_DONTNEED)

    def note_read(self) -> None:
        """Count a read of a single value, and give the pages back now and then."""
        self._num_reads += 1
        if self._num_reads % _READS_BETWEEN == 0:
            self.release()
