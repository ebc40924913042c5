"""A first and a second start on the same rows: seconds, and the most memory, by number of rows.

    python tests/benchmarks/preparation.py [10000 100000 1000000]

Each start is a process of its own. Measured is what a run does with its rows before the model trains:
load, clean, split, look for duplicates and leakage, check, labels, encode, lengths. The imports of torch and
transformers, and loading the model, come on top of it and do not depend on the rows. Processes that clean
rows beside it are not counted; each takes the same for any number of rows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from prepared_rows import MINILM, measure, read_peak_mb, write_rows

CLEAN = ["control_characters", "urls", "white_space", {"min_characters": 20}, "duplicates"]

SETTLE_SECONDS = 2.5
"""A file is read again within 2 s of its last change."""


def prepare(path: Path, model: Path) -> dict[str, float]:
    """Prepare the rows of a file as a run does; return seconds, and peak memory before and after."""
    import datasets  # noqa: F401 - its import is not measured
    import torch  # noqa: F401

    from ftkit.data import check_columns, prepare_rows
    from ftkit.models.tokenizer import fingerprint_tokenizer, read_tokenizer
    from ftkit.recipe import make_recipe
    from ftkit.tasks import get_task, read_labels, suit_task
    from ftkit.tasks.encoding import check_splits, encode_rows
    from ftkit.tasks.protocol import Encoding
    from ftkit.training.loop import read_lengths

    tokenizer = read_tokenizer(MINILM, model)
    sections = {
        "task": "text-classification",
        "model": MINILM,
        "data": {"train": str(path), "validation": 100, "clean": CLEAN},
    }
    recipe = make_recipe(sections, folder=path.parent)
    before = read_peak_mb()

    def work() -> None:
        task = get_task(recipe.task)
        rows = prepare_rows(recipe.data, seed=1, columns=task.COLUMNS).splits
        for some in rows.values():
            check_columns(some, task.COLUMNS)
        task = suit_task(task, recipe.data, rows["train"])
        labels = tuple(read_labels(task, recipe.data, rows["train"]))
        check_splits(rows, task, recipe.data, labels)
        encoding = Encoding(128, "truncate", labels=labels)
        fingerprint = fingerprint_tokenizer(tokenizer)
        for name, some in rows.items():
            split = encode_rows(
                recipe.task,
                task,
                some,
                tokenizer,
                encoding,
                split=name,
                tokenizer_fingerprint=fingerprint,
            )
            read_lengths(split.examples)

    return {"seconds": measure(work), "before_mb": before, "peak_mb": read_peak_mb()}


def start(path: Path, model: Path, cache: Path) -> Any:
    """Prepare in a process of its own."""
    command = [sys.executable, __file__, "--prepare", str(path), str(model)]
    environment = {**os.environ, "FTKIT_CACHE": str(cache), "TOKENIZERS_PARALLELISM": "true"}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(sizes: list[int]) -> list[dict[str, float]]:
    """Measure both starts for each number of rows and print a table."""
    from ftkit.sources import locate

    model, results = Path(str(locate(MINILM).path)), []
    print(f"{'rows':>9} {'first s':>8} {'second s':>9} {'peak MB, first':>15} {'second':>7}")
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path, cache = Path(folder) / f"{size}.jsonl", Path(folder) / f"cache-{size}"
            write_rows(path, size, words_in_row=18)
            time.sleep(SETTLE_SECONDS)
            first, second = (start(path, model, cache) for _ in range(2))
            print(
                f"{size:9,} {first['seconds']:8.2f} {second['seconds']:9.2f} "
                f"{first['peak_mb']:15.0f} {second['peak_mb']:7.0f}"
            )
            results.append({"first": first["peak_mb"], "second": second["peak_mb"], **second})
    return results


if __name__ == "__main__":
    if sys.argv[1:2] == ["--prepare"]:
        print(json.dumps(prepare(*map(Path, sys.argv[2:]))))
    else:
        main([int(size) for size in sys.argv[1:]] or [10_000, 100_000, 1_000_000])
