import json
import logging

import pytest

from ftkit.data import Column, load_rows
from ftkit.data.cleaning import clean_rows
from ftkit.errors import DataError
from ftkit.recipe.sections.cleaning import CleaningRule

COLUMNS = (
    Column("text", "text", required=True, meaning="a text"),
    Column("label", "label", required=True, meaning="its label"),
)
ROWS = [
    {"text": "  春眠不觉晓，处处闻啼鸟。\t", "label": "诗"},
    {"text": "hello   world", "label": " a  b "},
    {"text": "hi", "label": "x"},
    {"text": "nothing to do", "label": "y", "n": 1.0},
]


def clean(rows, *rules, columns=COLUMNS):
    rows = rows if not isinstance(rows, list) else load_rows(rows)
    return clean_rows(rows, [CleaningRule.model_validate(rule) for rule in rules], columns=columns)


def test_rules_run_in_order_and_every_change_is_recorded():
    rows, changes = clean(ROWS, "white_space", {"min_characters": 5})
    assert list(rows) == [
        {"text": "春眠不觉晓，处处闻啼鸟。", "label": "诗"},
        {"text": "hello world", "label": " a  b "},
        {"text": "nothing to do", "label": "y", "n": 1.0},
    ]
    assert [(entry["row"], entry["rule"], entry["action"]) for entry in changes] == [
        (0, "white_space", "changed"),
        (1, "white_space", "changed"),
        (2, "min_characters", "dropped"),
    ]
    assert list(changes)[2]["before"] == {"text": "hi", "label": "x"}
    assert list(changes)[2]["detail"] == "2 characters, fewer than 5"


def test_kept_rows_still_know_where_they_stood(write):
    write("a.jsonl", '{"text": "x"}\n{"text": "long enough"}\n')
    write("b.jsonl", '\n{"text": "also long"}\n')
    rows, changes = clean(load_rows(["a.jsonl", "b.jsonl"]), {"min_characters": 5}, columns=COLUMNS[:1])
    assert [rows.where(index) for index in range(len(rows))] == ["a.jsonl:2", "b.jsonl:2"]
    assert len(rows) + sum(changes.counts.values()) == 3


def test_rows_of_a_selection_keep_their_places():
    rows, _ = clean(load_rows(ROWS).select([3, 1, 2]), {"min_characters": 5})
    assert [rows.where(index) for index in range(2)] == ["train[3]", "train[1]"]


def test_a_rule_works_on_the_columns_that_it_names():
    rows, _ = clean(ROWS, {"white_space": {"columns": ["label"]}})
    assert rows[1] == {"text": "hello   world", "label": "a b"}


def test_texts_inside_messages_are_cleaned_and_roles_and_calls_are_not():
    columns = (Column("messages", "messages", required=True, meaning="turns"),)
    call = {"function": {"name": "a  b", "arguments": '{"x":  1}'}}
    turns = [
        {"role": " user ", "content": "你好  吗"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    rows, _ = clean([{"messages": turns}], "white_space", columns=columns)
    assert rows[0]["messages"] == [{**turns[0], "content": "你好 吗"}, turns[1]]


def test_cleaned_rows_come_from_the_cache_until_rows_or_rules_change(cache, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "ftkit")
    clean(ROWS, "white_space")
    caplog.clear()
    first = clean(ROWS, "white_space")
    assert "cleaning" not in caplog.text
    assert len(list(first[1])) == 2
    clean(ROWS, {"white_space": {"columns": ["label"]}})
    clean(ROWS[1:], "white_space")
    assert caplog.text.count("cleaning train") == 2


def test_rules_that_leave_nothing_are_an_error_with_their_counts():
    with pytest.raises(DataError, match=r"leaves none of 4 rows; by rule: min_characters: 4; loosen"):
        clean(ROWS, {"min_characters": 1000})


def test_a_column_that_is_not_there_is_an_error():
    with pytest.raises(
        DataError, match="white_space: train has no column 'body'; the columns are 'text', 'label'"
    ):
        clean(ROWS, {"white_space": {"columns": ["body"]}})


def test_a_missing_or_null_text_has_no_characters():
    rows, changes = clean(
        [{"label": "a"}, {"text": None, "label": "b"}, {"text": "abcdef", "label": "c"}],
        {"min_characters": 1},
    )
    assert [row["label"] for row in rows] == ["c"]
    assert (
        json.dumps([entry["before"] for entry in changes]) == '[{"label": "a"}, {"text": null, "label": "b"}]'
    )
