"""What of a row is compared, for every task."""

import pytest

from ftkit.data import Column, load_rows
from ftkit.data.records import Records, find_compared_columns
from ftkit.recipe import TASKS
from ftkit.tasks import get_task


def make_records(table, task):
    rows = load_rows(table)
    return list(Records((rows,), find_compared_columns(get_task(task).COLUMNS, rows)))


@pytest.mark.parametrize(
    ("task", "row", "record"),
    [
        ("text-classification", {"text": "春", "label": "a"}, ("春",)),
        ("text-classification", {"text": "a", "text_pair": "b", "label": 1}, ("a", "b")),
        ("token-classification", {"tokens": ["Zoe", "sat"], "tags": ["PER", "O"]}, ("Zoe sat",)),
        ("token-classification", {"text": "Zoe sat", "entities": []}, ("Zoe sat",)),
        ("question-answering", {"context": "c", "question": "q", "answer": "a"}, ("c", "q")),
        ("multiple-choice", {"question": "q", "choices": ["x", "y"], "answer": 0}, ("q", "x y")),
        ("causal-lm", {"text": "t", "path": "p"}, ("t",)),
        ("masked-lm", {"text": "t"}, ("t",)),
        ("seq2seq", {"source": "s", "target": "t"}, ("s",)),
        ("chat", {"prompt": "p", "answer": "a", "system": "s"}, ("p",)),
        ("chat", {"instruction": "翻译", "input": "你好", "output": "hi"}, ("翻译\n你好",)),
        ("chat", {"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}, ("q",)),
        (
            "chat",
            {
                "messages": [
                    {"role": "system", "content": "s"},
                    {"role": "user", "content": "一"},
                    {"role": "assistant", "content": "a"},
                    {"role": "user", "content": "二"},
                    {"role": "assistant", "content": "b"},
                ]
            },
            ("一\n二",),
        ),
        ("chat", {"messages": [{"role": "assistant", "content": "only me"}]}, ("only me",)),
    ],
)
def test_what_says_what_a_row_is_and_not_its_answer(task, row, record):
    assert make_records([row], task) == [record]


def test_a_text_that_some_rows_lack_is_empty_there():
    table = [{"text": "a", "label": 1}, {"text": "a", "text_pair": "b", "label": 1}]
    assert make_records(table, "text-classification") == [("a", ""), ("a", "b")]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_says_by_what_its_rows_are_compared(task):
    assert any(column.compared_as for column in get_task(task).COLUMNS)


def test_a_task_that_does_not_say_is_compared_by_its_texts():
    columns = (
        Column("body", "text", required=True, meaning="a text", also=("content",)),
        Column("kind", "label", required=True, meaning="a label"),
    )
    assert find_compared_columns(columns, load_rows([{"content": "x", "kind": 1}])) == {"body": ("content",)}


def test_records_of_tables_are_one_table():
    tables = tuple(load_rows([{"text": f"{start + index}"} for index in range(3)]) for start in (0, 10))
    records = Records(tables, {"text": ("text",)})
    assert [records[index] for index in range(len(records))] == list(records)
    assert [records.find(index) for index in range(6)] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert records[1:5:2] == [("1",), ("10",)]
    with pytest.raises(IndexError, match="there are 6 records"):
        records.find(6)


def test_a_sample_is_spread_over_all_tables():
    tables = tuple(load_rows([{"text": f"{place} {index}"} for index in range(100)]) for place in (0, 1))
    sample = list(Records(tables, {"text": ("text",)}).sample(20))
    assert len(sample) == 20
    assert sample[:2] == [("0 0",), ("0 10",)]
    assert sample[-1] == ("1 90",)
