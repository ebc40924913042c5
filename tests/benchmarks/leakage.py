"""How long the leakage gate takes, and how much memory.

    python tests/benchmarks/leakage.py rows.jsonl 10000 100000 200000

The last 2,000 rows of the file (JSON lines with a `text`) are held out, so many first ones are trained on.
For each number a fresh process with an empty cache prepares the rows twice.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

NUM_HELD_OUT = 2_000


def write_part(lines, path):
    path.write_text("".join(lines), encoding="utf-8")
    return str(path)


def measure(train, test):
    """Print the seconds of the gate, the first time and the second time, and the peak memory."""
    from ftkit.data.leakage import find_leakage
    from ftkit.data.loading import load_rows
    from ftkit.recipe import DataSection
    from ftkit.tasks import get_task

    splits = {"train": load_rows(train), "test": load_rows(test, split_name="test")}
    columns = get_task("causal-lm").COLUMNS
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        found = find_leakage(splits, DataSection(train=train), columns)
        seconds.append(time.perf_counter() - started)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{len(splits['train']):>9,} rows  first {seconds[0]:6.2f} s  again {seconds[1]:6.3f} s  "
        f"peak {after:5.0f} MB ({before:.0f} before)  {len(found.matches):,} found"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=Path)
    parser.add_argument("numbers", type=int, nargs="+")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        test = write_part(open_last(arguments.rows), Path(folder) / "test.jsonl")
        for number in arguments.numbers:
            with arguments.rows.open(encoding="utf-8") as lines:
                train = write_part(islice(lines, number), Path(folder) / f"{number}.jsonl")
            environment = {**os.environ, "FTKIT_CACHE": str(Path(folder) / f"cache-{number}")}
            code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import leakage; "
            code += f"leakage.measure({train!r}, {test!r})"
            subprocess.run([sys.executable, "-c", code], env=environment, check=True)


def open_last(path):
    with path.open(encoding="utf-8") as lines:
        return list(lines)[-NUM_HELD_OUT:]


if __name__ == "__main__":
    main()
