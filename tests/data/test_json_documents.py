import json
import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data import files
from ftkit.data.files import make_data_file
from ftkit.data.json_documents import read_json_document
from ftkit.errors import DataError

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
tables = st.lists(st.dictionaries(texts, values, max_size=3), max_size=4)


def read(name):
    return list(read_json_document(make_data_file(Path(name), name)))


def read_values(name):
    return [json.loads(text) for _, text in read(name)]


def test_a_list_of_objects_gives_its_items_as_they_were_written(write):
    assert read(write("a.json", '[{"a": 1.0},\n {"b":"月"} ]')) == [(~0, '{"a": 1.0}'), (~1, '{"b":"月"}')]


def test_a_gzipped_document_is_read(write):
    assert read_values(write("a.json.gz", '[{"a": 1}]')) == [{"a": 1}]


def test_the_one_list_of_objects_inside_an_object_is_read_and_said(write, caplog):
    content = (
        '{"version": 1.5, "names": ["x"], "none": [], "data": [{"a": 1}, {"a": 2}], "more": {"b": [{}]}}'
    )
    with caplog.at_level(logging.INFO):
        assert read_values(write("a.json", content)) == [{"a": 1}, {"a": 2}]
    assert (
        "a.json: the rows are the list under 'data'; left out: 'version', 'names', 'none', 'more'"
        in caplog.text
    )


def test_two_lists_of_objects_are_refused(write):
    with pytest.raises(DataError, match="holds two lists of objects, 'train' and 'test'"):
        read(write("a.json", '{"train": [{"a": 1}], "test": [{"a": 2}]}'))


@pytest.mark.parametrize("content", ['{"text": ["a", "b"], "label": [0, 1]}', '{"text": "a", "label": 0}'])
def test_an_object_without_a_list_of_objects_is_refused_with_its_keys(write, content):
    with pytest.raises(DataError, match="without a list of objects; its keys are 'text', 'label'"):
        read(write("a.json", content))


def test_json_lines_under_this_suffix_are_read_as_lines_and_said(write, caplog):
    with caplog.at_level(logging.INFO):
        assert read(write("a.json", '{"a": [{"b": 1}]}\n{"a": 2}\n')) == [
            (1, '{"a": [{"b": 1}]}'),
            (2, '{"a": 2}'),
        ]
    assert "a.json: each line is an object, so it is read as JSON lines" in caplog.text


def test_a_document_of_one_line_is_no_json_lines(write):
    assert read_values(write("a.json", '{"data": [{"b": 1}]}\n')) == [{"b": 1}]


@pytest.mark.parametrize("content", ["", " \n ", "[]", "\ufeff[ ]"])
def test_a_document_without_rows_has_none(write, content):
    assert read(write("a.json", content)) == []


@pytest.mark.parametrize("size", [1, 3, 1 << 20])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1},\n {"a" 2}]', "a.json:2: broken JSON: Expecting ':' delimiter"),
        ('[{"a": 1},\n\n {"a": 2}', "a.json:3: broken JSON: the file ends too early, before ']'"),
        ('[{"a": 1},\n {"a": "open', "a.json:2: broken JSON: Unterminated string"),
        ('[{"a": 1} {"a": 2}]', "a.json:1: broken JSON: expected ']'"),
        ('[{"a": 1},]', "a.json:1: broken JSON: Expecting value"),
        ('[{"a": 1}] x', "a.json:1: broken JSON: text after the end of the document"),
        ('{1: [{"a": 1}]}', "a.json:1: broken JSON: expected a key in double quotes"),
        ('{"a"; [{}]}', "a.json:1: broken JSON: expected ':'"),
        ('{"a": [{}] "b": 1}', "a.json:1: broken JSON: expected ','"),
        ("[truth]", "a.json:1: broken JSON: Expecting value"),
        ('"text"', "a.json: is a single value"),
    ],
)
def test_broken_json_is_found_by_line(write, content, message, size, monkeypatch):
    monkeypatch.setattr(files, "CHUNK_BYTES", size)
    with pytest.raises(DataError) as caught:
        read(write("a.json", content))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" + "9" * 5000 + "]", "a.json:1: broken JSON: Exceeds the limit"),
        ("[" * 200_000, "a.json:1: broken JSON: maximum recursion"),
    ],
)
def test_json_beyond_the_limits_of_python_is_an_error(write, content, message):
    with pytest.raises(DataError) as caught:
        read(write("a.json", content))
    assert str(caught.value).startswith(message)


def test_the_place_of_the_break_is_shown(write):
    with pytest.raises(DataError) as caught:
        read(write("a.json", '[{"a": 1},\n {"a" 2}]'))
    assert str(caught.value).endswith('[{"a": 1}, {"a" >>>HERE>>> 2}]')


def test_what_is_wrong_with_a_single_item_is_left_to_the_check_of_rows(write):
    assert read(write("a.json", '[{"a": 1}, 5, {"a": NaN}]')) == [
        (~0, '{"a": 1}'),
        (~1, "5"),
        (~2, '{"a": NaN}'),
    ]


@given(tables, st.integers(1, 40), st.sampled_from([None, 2]), st.booleans())
def test_pieces_of_any_size_give_what_json_gives_for_the_whole(table, size, indent, is_inside):
    document = {"version": -12.5e300, "data": table, "end": [1.5e-7, None]} if is_inside and table else table
    original, files.CHUNK_BYTES = files.CHUNK_BYTES, size
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.json"
            path.write_text(
                json.dumps(document, indent=indent, ensure_ascii=False), encoding="utf-8", newline=""
            )
            found = read_values(str(path))
    finally:
        files.CHUNK_BYTES = original
    assert repr(found) == repr(table)


def test_only_a_piece_of_a_large_document_is_in_memory(write, monkeypatch):
    monkeypatch.setattr(files, "CHUNK_BYTES", 1000)
    pieces = []
    original = files.read_chunks

    def watch(stream, name):
        for piece in original(stream, name):
            pieces.append(piece)
            yield piece

    monkeypatch.setattr("ftkit.data.json_documents.read_chunks", watch)
    name = write("a.json", "[" + ",\n".join('{"a": "' + "x" * 90 + '"}' for _ in range(1000)) + "]")
    rows = read_json_document(make_data_file(Path(name), name))
    next(rows)
    assert len(pieces) < 5
    assert len(list(rows)) == 999
    assert len(pieces) > 50
