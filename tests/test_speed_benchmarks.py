"""The benchmarks of training and evaluation run to their end, on few rows."""

import json
import subprocess
import sys

import pytest


def run(name, *arguments):
    command = [sys.executable, f"tests/benchmarks/{name}.py", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(autouse=True)
def _here(request, monkeypatch):
    monkeypatch.chdir(request.config.rootpath)


@pytest.mark.slow
def test_contestants_do_the_same_work(tmp_path):
    lines = run("compare", "classification", "--rows", 4, "--rounds", 1, "--json", tmp_path / "found.json")
    assert [line.split()[0] for line in lines[1:]] == ["who", "plain", "limit", "ftkit"]
    found = json.loads((tmp_path / "found.json").read_text())["lines"]
    assert all(each["tokens_per_second"] > 0 < each["peak_mb"] for each in found)
    for each in found:  # two steps on the same four rows, each from a head of its own
        assert len(each["losses"]) == 2
        assert 0.2 < each["losses"][0] < 2


@pytest.mark.slow
def test_an_evaluation_is_measured_beside_a_bare_forward_pass():
    lines = run("evaluation_cost", "--rows", 60, "--timed-rows", 20, "--repeats", 1)
    assert [line.split()[0] for line in lines] == ["batch", "all", "time", "memory", "time"]
    assert all(float(line.split()[-1]) > 0 for line in lines[-2:])


@pytest.mark.slow
def test_time_by_tokens_and_memory_by_rows_are_measured():
    lines = run("growth", "--tokens", 256, "--rows", 30, "--steps", 2)
    tokens, seconds, speed = (float(word.replace(",", "")) for word in lines[1].split())
    assert tokens == 256
    assert seconds * speed == pytest.approx(256, rel=0.05)
    assert float(lines[-1].split()[-1].replace(",", "")) > 100
