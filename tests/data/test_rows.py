import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data import Rows, load_rows
from ftkit.data.row_json import parse_row
from ftkit.errors import DataError

TABLE = [
    {"body": "床前", "kind": 1},
    {"body": "b", "kind": "x", "more": [1.0]},
    {"kind": None, "text": "t"},
    {},
]
texts = st.text(st.characters(exclude_categories=("Cs",)))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
tables = st.lists(st.dictionaries(texts, scalars | st.lists(scalars), max_size=4), min_size=1, max_size=5)


@pytest.fixture(params=["memory", "disk"])
def rows(request, write):
    """The rows of `TABLE`, in memory and on disk."""
    if request.param == "memory":
        return load_rows(TABLE)
    return load_rows(write("a.jsonl", "\n\n".join(json.dumps(row) for row in TABLE)))


def test_rows_are_a_sequence_of_what_was_written(rows):
    assert isinstance(rows, Rows)
    assert len(rows) == 4
    assert list(rows) == TABLE
    assert [rows[index] for index in range(4)] == TABLE
    assert rows[-1] == TABLE[-1]
    assert list(rows[1:3]) == TABLE[1:3]
    assert list(rows[::-2]) == TABLE[::-2]
    assert rows.column_names == ["body", "kind", "more", "text"]


@pytest.mark.parametrize("index", [4, -5, 100])
def test_a_row_that_does_not_exist_is_an_index_error(rows, index):
    with pytest.raises(IndexError, match=f"row {index}: there are 4 rows"):
        rows[index]


def test_a_changed_row_does_not_change_the_table(rows):
    rows[0]["body"] = "changed"
    assert rows[0]["body"] == "床前"


def test_rows_are_selected_in_the_given_order(rows):
    chosen = rows.select([3, 0, 1])
    assert list(chosen) == [TABLE[3], TABLE[0], TABLE[1]]
    assert [chosen[index] for index in range(3)] == list(chosen)
    assert list(chosen.select(np.array([2, 0]))) == [TABLE[1], TABLE[3]]
    assert list(rows.select([1, 1])) == [TABLE[1], TABLE[1]]
    assert list(rows.select([])) == []


@pytest.mark.parametrize("indices", [[4], [0, -1]])
def test_selecting_rows_that_do_not_exist_is_an_index_error(rows, indices):
    with pytest.raises(IndexError, match="rows from 0 to 3 exist"):
        rows.select(indices)


@given(st.lists(st.integers(0, 299)))
def test_a_selection_reads_like_a_list(indices):
    table = [{"a": index} for index in range(300)]
    chosen = load_rows(table).select(indices)
    assert list(chosen) == [table[index] for index in indices]
    assert [chosen[index] for index in range(len(indices))] == list(chosen)


def test_a_selection_across_batches_on_disk_is_read_in_order(write, cache, monkeypatch):
    monkeypatch.setattr("ftkit.data.storage._MOST_ROWS", 10)
    rows = load_rows(write("a.jsonl", "".join(f'{{"a": {index}}}\n' for index in range(100))))
    for indices in ([0, 9, 10, 11, 55, 99], range(30, 41), [99], range(100)):
        assert [row["a"] for row in rows.select(indices)] == list(indices)


def test_mapped_columns_come_under_the_names_of_the_task(write):
    rows = load_rows(TABLE, columns={"text": "body", "label": "kind"})
    assert list(rows) == [
        {"text": "床前", "label": 1},
        {"text": "b", "label": "x", "more": [1.0]},
        {"label": None},
        {},
    ]
    assert rows.column_names == ["text", "label", "more"]


def test_two_columns_can_change_their_names_with_each_other():
    rows = load_rows([{"a": 1, "b": 2, "c": 3}], columns={"a": "b", "b": "a"})
    assert rows[0] == {"a": 2, "b": 1, "c": 3}


def test_one_column_can_serve_for_two():
    rows = load_rows([{"a": 1}], columns={"x": "a", "y": "a"})
    assert rows[0] == {"x": 1, "y": 1}


def test_a_mapping_onto_itself_is_none():
    assert load_rows([{"a": 1}], columns={"a": "a"})[0] == {"a": 1}


def test_rows_say_where_they_stand(write):
    write("a.jsonl", '{"a": 1}\n\n{"a": 2}\n')
    write("b.csv", 'a\n"x\ny"\nz\n')
    write("c.json", '[{"a": 3}]')
    rows = load_rows(["a.jsonl", "b.csv", "c.json"])
    assert [rows.where(index) for index in range(5)] == [
        "a.jsonl:1",
        "a.jsonl:3",
        "b.csv:2",
        "b.csv:4",
        "c.json[0]",
    ]
    assert rows.select([4, 1]).where(1) == "a.jsonl:3"
    assert load_rows([{"a": 1}, {"a": 2}], split_name="test").where(1) == "test[1]"


def test_the_fingerprint_follows_the_content_the_selection_and_the_names(write):
    one = load_rows(write("a.jsonl", '{"a": 1}\n{"a": 2}\n'))
    moved = load_rows(write("b.jsonl", '{"a": 1}\n{"a": 2}\n'))
    assert one.fingerprint == moved.fingerprint
    others = [
        load_rows(write("c.jsonl", '{"a": 1}\n{"a": 3}\n')),
        load_rows("a.jsonl", columns={"text": "a"}),
        one.select([0]),
        one.select([1]),
        one.select([1, 0]),
        load_rows(write("d.jsonl", '{"a": 1}\n{"a": 2.0}\n')),
    ]
    assert len({rows.fingerprint for rows in [one, *others]}) == 7


def test_equal_rows_have_equal_hashes_in_every_file(write):
    lines = load_rows(write("a.jsonl", '{"text": "床前", "label": 1}\n'))
    document = load_rows(write("b.json", '[{"label":1,"text":"\\u5e8a前"}]'))
    memory = load_rows([{"label": np.int64(1), "text": "床前"}])
    assert lines.hashes.tolist() == document.hashes.tolist() == memory.hashes.tolist()
    assert lines.hashes.dtype == np.uint64


def test_hashes_follow_a_selection():
    rows = load_rows([{"a": index} for index in range(5)])
    assert rows.select([3, 1]).hashes.tolist() == [rows.hashes[3], rows.hashes[1]]


def test_a_table_shows_itself_in_one_line():
    assert (
        repr(load_rows([{"text": "a", "label": 1}] * 1234))
        == "<Rows: 1,234 rows of train; columns: text, label>"
    )


@given(tables)
def test_rows_from_memory_come_back_exactly(table):
    assert repr(list(load_rows(table))) == repr(table)


@given(tables, st.sampled_from(["\n", "\r\n", "\n\n", " \n\t"]), st.booleans(), st.booleans())
def test_rows_from_json_lines_come_back_exactly(table, ending, is_ascii, has_mark):
    content = "".join(json.dumps(row, ensure_ascii=is_ascii) + ending for row in table)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_bytes(content.encode("utf-8-sig" if has_mark else "utf-8"))
        assert repr(list(load_rows(path))) == repr(table)


GOOD, BROKEN, BLANK = (
    '{"a": "月"}',
    ['{"a": ', "[1]", "x", '{"a": NaN}', '{"a": 1, "a": 1}', '"\\ud800"'],
    ["", "  "],
)


@given(st.lists(st.sampled_from([GOOD] * 6 + BROKEN + BLANK), min_size=1, max_size=30))
def test_kept_and_broken_rows_together_are_the_rows_that_were_read(lines):
    num_broken = sum(line in BROKEN for line in lines)
    num_kept = lines.count(GOOD)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_text("\n".join(lines), encoding="utf-8")
        if num_broken == 0 and num_kept:
            assert list(load_rows(path)) == [parse_row(GOOD)] * num_kept
            return
        with pytest.raises(DataError) as caught:
            load_rows(path)
    message = str(caught.value)
    if num_broken > 1:
        assert f": {num_broken} problems in {num_kept + num_broken} rows" in message
    elif num_broken == 1:
        broken = next(index for index, line in enumerate(lines, start=1) if line in BROKEN)
        assert f"a.jsonl:{broken}: " in message
    else:
        assert "has no rows" in message
