import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data import Column, load_rows
from ftkit.data.cleaning.languages import load_identifier
from ftkit.data.statistics import describe_rows, measure_lengths

COLUMNS = (
    Column("text", "text", required=True, meaning="a text"),
    Column("label", "labels", required=False, meaning="labels"),
)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=60))
def test_lengths_are_those_of_the_slow_way(lengths):
    found = measure_lengths(np.array(lengths))
    ordered = sorted(lengths)
    assert found.percentiles[0] == ordered[0]
    assert found.percentiles[100] == ordered[-1]
    assert found.percentiles[50] == ordered[(len(ordered) - 1) // 2]
    assert sum(number for _, _, number in found.bars) == len(lengths)
    assert len(found.bars) <= 10
    for low, high, number in found.bars:
        assert sum(low <= length < high for length in lengths) == number


def test_a_split_is_counted():
    rows = [{"text": "今天天气很好，我们去公园。", "label": ["a", "b"]}] * 2 + [
        {"text": "The weather is fine today.", "label": "a"},
        {"text": "ok", "label": None},
    ]
    found = describe_rows(load_rows(rows), COLUMNS, split="train")
    assert found.num_rows == 4
    assert found.labels == {"a": 3, "b": 2, "missing": 1}
    assert found.num_repeated == 1
    assert found.languages == {"zh": 2, "en": 1, "too short to tell": 1}
    assert found.columns == {"text": 4, "label": 4}
    assert found.lengths.percentiles[100] == 26


def test_without_the_library_there_are_no_languages(monkeypatch):
    load_identifier.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "py3langid.langid", None)
    found = describe_rows(load_rows([{"text": "hello world", "label": "a"}]), COLUMNS, split="train")
    assert found.languages is None
    assert found.num_identified == 0


def test_rows_are_found_by_where_they_stand(write):
    write("a.jsonl", '{"text": "x"}\n\n{"text": "y"}\n')
    rows = load_rows("a.jsonl")
    assert rows.find({"a.jsonl:3", "a.jsonl:9"}) == {"a.jsonl:3": 1}
    assert rows.select([1]).find({"a.jsonl:3"}) == {"a.jsonl:3": 0}
    with pytest.raises(IndexError):
        rows.where(2)
