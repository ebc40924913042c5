"""Lengths of rows before anything is cut off them."""

import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import make_wordpiece_tokenizer

from ftkit.data import load_rows
from ftkit.tasks import get_task
from ftkit.tasks.encoding import encode_rows
from ftkit.tasks.lengths import PERCENTILES, Lengths, describe_lengths, describe_too_long, read_num_tokens
from ftkit.tasks.protocol import Encoding


@given(st.lists(st.integers(1, 50), min_size=1))
def test_percentiles_are_those_of_the_sorted_lengths(lengths):
    counts = {length: lengths.count(length) for length in lengths}
    found = describe_lengths(counts)
    for percent in PERCENTILES:
        expected = np.percentile(lengths, percent, method="inverted_cdf")
        assert found[f"p{percent}"] == expected
    assert (found["number"], found["longest"], found["total"]) == (len(lengths), max(lengths), sum(lengths))


def test_there_is_nothing_to_say_of_no_rows():
    assert describe_lengths({}) == {}


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_a_report_says_how_long_the_row_was(num_tokens, limit):
    assert read_num_tokens(describe_too_long(num_tokens, limit) + "; the first 2 were left out") == num_tokens
    assert read_num_tokens(f"the target has {num_tokens} tokens, the limit is {limit}") is None


def test_a_row_that_is_too_long_counts_once_and_as_it_was():
    lengths = Lengths()

    def make():
        yield {"row": 0, "input_ids": [1, 2]}
        lengths.note_rejected(1, "too_long:split", describe_too_long(9, 4))
        yield {"row": 1, "input_ids": [1] * 4}
        yield {"row": 1, "input_ids": [1] * 4}
        lengths.note_rejected(2, "span:widened", "2 of 3 entities")
        yield {"row": 2, "input_ids": [1] * 3}
        lengths.note_rejected(3, "too_long:drop", describe_too_long(7, 4))
        yield {"row": 4, "input_ids": [], "sizes": [4, 2]}

    assert len(list(lengths.watch(make()))) == 5
    assert lengths.counts == {2: 1, 9: 1, 3: 1, 7: 1, 4: 1}


@pytest.mark.parametrize("too_long", ["truncate", "truncate_start", "truncate_middle", "windows", "drop"])
def test_lengths_are_the_same_whatever_happens_to_long_rows(cache, caplog, too_long):
    rows = load_rows([{"text": "the cat sat " * number, "label": "a"} for number in (1, 1, 5, 9)])
    task, encoding = get_task("text-classification"), Encoding(10, too_long, stride=2, labels=("a", "b"))
    with caplog.at_level(logging.INFO, "ftkit"):
        split = encode_rows(
            "text-classification", task, rows, make_wordpiece_tokenizer(), encoding, split="train"
        )
    found = split.prepared.summary["lengths"]
    assert found == {"number": 4, "p50": 5, "p90": 29, "p95": 29, "p99": 29, "longest": 29, "total": 56}
    said = "train: 56 tokens; 50 % up to 5, 90 % up to 29, 95 % up to 29, 99 % up to 29, the longest 29"
    assert f"{said} (max_tokens 10)" in caplog.text
