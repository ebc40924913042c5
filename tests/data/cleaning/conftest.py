"""Real text that rules are tried on."""

import gzip
import json
from pathlib import Path

import pytest

DATA = Path(__file__).parents[3] / "data"


def read_texts(name, column):
    with gzip.open(DATA / name, "rt", encoding="utf-8") as file:
        return [json.loads(line)[column] for line in file]


@pytest.fixture(scope="session")
def mails():
    """Real mails, many of them HTML."""
    return read_texts("spam/test.jsonl.gz", "text")


@pytest.fixture(scope="session")
def poems():
    """Chinese poems, in traditional characters."""
    return read_texts("poems_zh/test.jsonl.gz", "text")


@pytest.fixture(scope="session")
def pages():
    """Pages of the Python documentation."""
    return read_texts("python_docs/test.jsonl.gz", "text")
