"""The benchmark of cleaning runs, on a few rows of the samples."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_benchmark_of_cleaning_measures_every_rule_and_finds_repetitions(tmp_path):
    command = [
        sys.executable,
        "tests/benchmarks/cleaning.py",
        "--rows",
        "300",
        "--texts",
        "20",
        "--rounds",
        "1",
    ]
    poems = ROOT / "data" / "poems_zh" / "test.jsonl.gz"
    done = subprocess.run(
        [*command, str(poems)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("MB/s") == 18
    left_out = [int(line.split()[-4]) for line in done.stdout.splitlines() if line.endswith("rows left out")]
    assert len(left_out) == 2
    assert min(left_out) > 20
