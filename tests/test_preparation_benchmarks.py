"""The benchmarks of preparation run, on few rows."""

import subprocess
import sys

import pytest


def run(name, *arguments):
    command = [sys.executable, f"tests/benchmarks/{name}.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.slow
def test_encoding_is_measured_beside_the_library(request, monkeypatch):
    monkeypatch.chdir(request.config.rootpath)
    head, _, *lines = run("encoding", "--rows", "200", "--rounds", "1")
    assert head.startswith("200 rows, ")
    assert [line.split()[0] for line in lines] == ["text-classification", "causal-lm"]
    assert all(float(line.split()[-1]) > 0 for line in lines)


@pytest.mark.slow
def test_two_starts_are_measured(request, monkeypatch):
    monkeypatch.chdir(request.config.rootpath)
    _, line = run("preparation", "300")
    rows, first, second, *memory = (float(word.replace(",", "")) for word in line.split())
    assert rows == 300
    assert second < first
    assert all(number > 0 for number in memory)
