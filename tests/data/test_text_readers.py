import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data.files import make_data_file
from ftkit.data.row_json import BrokenRow
from ftkit.data.text_readers import read_document, read_json_lines, read_table_lines
from ftkit.errors import DataError


def read(reader, name):
    return list(reader(make_data_file(Path(name), name)))


def read_table(name):
    """Rows by line; problems as text."""
    found = read(read_table_lines, name)
    return {
        line: str(text) if isinstance(text, BrokenRow) else json.loads(text)
        for line, text in found
    }  # fmt: skip


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.jsonl.gz"])
def test_each_line_is_a_row_as_it_was_written(write, name):
    text = '{"a": 1.0, "b":1e5}\n{"text": "床前"}\n'
    assert read(read_json_lines, write(name, text)) == [(1, '{"a": 1.0, "b":1e5}'), (2, '{"text": "床前"}')]


def test_blank_lines_are_no_rows_and_lines_keep_their_numbers(write):
    text = '\ufeff\n{"a": 1}\r\n  \r\n\t{"a": 2} \n\n{"a": 3}'
    assert read(read_json_lines, write("a.jsonl", text)) == [
        (2, '{"a": 1}'),
        (4, '{"a": 2}'),
        (6, '{"a": 3}'),
    ]


def test_characters_that_unicode_calls_line_ends_are_none(write):
    text = '{"a": "x\u2028y\u0085z\\u000b"}\n{"a": 2}\n'
    assert [line for line, _ in read(read_json_lines, write("a.jsonl", text))] == [1, 2]


def test_a_json_document_named_as_lines_is_refused_at_once(write):
    with pytest.raises(DataError, match="a.jsonl: named as JSON lines .* give it the suffix .json"):
        read(read_json_lines, write("a.jsonl", '[\n  {"a": 1},\n  {"a": 2}\n]\n'))


def test_csv_rows_are_texts_by_column_and_line(write):
    text = 'text,label\n"a, ""b""",1\n\n"two\nlines",spam\n月光,\n'
    assert read_table(write("a.csv", text)) == {
        2: {"text": 'a, "b"', "label": "1"},
        4: {"text": "two\nlines", "label": "spam"},
        6: {"text": "月光", "label": ""},
    }


def test_csv_with_byte_order_mark_and_windows_line_ends_is_read(write):
    assert read_table(write("a.csv.gz", "\ufefftext,label\r\na,b\r\n")) == {2: {"text": "a", "label": "b"}}


def test_tsv_is_separated_by_tabs(write):
    assert read_table(write("a.tsv", 'text\tlabel\na, "b"\tc\n')) == {2: {"text": 'a, "b"', "label": "c"}}


def test_a_quote_inside_a_field_without_quotes_is_a_character(write):
    assert read_table(write("a.csv", 'text,size\ndisk,5" wide\n')) == {2: {"text": "disk", "size": '5" wide'}}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("alone", "has 1 field; the header has 2 (text, label)"),
        ("a,b,c", "has 3 fields; the header has 2 (text, label)"),
        ('"a"b,c', "stray quote: text after a closing quote"),
        ("a\rb,c", "a carriage return outside quotes"),
    ],
)
def test_a_broken_csv_row_is_found_by_its_line_and_the_rest_is_read(write, row, problem):
    found = read_table(write("a.csv", f"text,label\nx,y\n{row}\nz,w\n"))
    assert found[2] == {"text": "x", "label": "y"}
    assert found[3].startswith(problem)
    assert found[4] == {"text": "z", "label": "w"}


def test_a_quote_that_is_never_closed_is_found_where_it_opens(write):
    found = read_table(write("a.csv", 'text,label\nx,y\n"open,w\nz,w\n'))
    assert found[3] == "the quote that opens in this row is never closed"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.csv",
            "text,label,text\n",
            "a.csv:1: the header names a column twice: 'text'; rename one of each",
        ),
        (
            "a.csv",
            "text;label\n",
            "a.csv:1: the header is one column, 'text;label'; it looks separated by a semicolon",
        ),
        ("a.csv", "text\tlabel\n", "it looks separated by a tab"),
        ("a.tsv", "text,label\n", "it looks separated by a comma"),
        ("a.csv", 'te"xt\r,label\n"\n', "a.csv:1: the header is broken: a carriage return"),
    ],
)
def test_a_header_that_cannot_be_right_is_refused(write, name, content, message):
    with pytest.raises(DataError) as caught:
        read_table(write(name, content))
    assert message in str(caught.value)


@pytest.mark.parametrize("content", ["", "\n\n", "text,label\n", "text,label\n\n"])
def test_a_table_without_rows_has_none(write, content):
    assert read_table(write("a.csv", content)) == {}


def test_a_field_may_be_far_larger_than_the_default_limit_of_python(write):
    long = "月" * 1_000_000
    assert read_table(write("a.csv", f"text\n{long}\n"))[2] == {"text": long}


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0")),
            min_size=2,
            max_size=2,
        ),
        max_size=5,
    ),
    st.sampled_from([",", "\t"]),
)
def test_what_python_writes_as_csv_comes_back_exactly(records, delimiter):
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([["text", "标签"], *records])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("a.csv" if delimiter == "," else "a.tsv")
        path.write_bytes(sink.getvalue().encode())
        found = [json.loads(text) for _, text in read(read_table_lines, str(path))]
    assert found == [{"text": text, "标签": label} for text, label in records]


def test_a_document_is_one_row_with_its_whole_text(write):
    assert read(read_document, write("a.txt", "\ufeff床前\r\n明月光\n")) == [
        (1, '{"text": "床前\\r\\n明月光\\n"}')
    ]


def test_an_empty_document_has_no_row(write):
    assert read(read_document, write("a.txt", "")) == []
