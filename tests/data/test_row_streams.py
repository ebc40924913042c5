"""Rows that are read while they are needed."""

import json

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data import Column, load_rows, row_streams
from ftkit.data.cleaning import clean_rows
from ftkit.data.cleaning.chunks import Cleaning
from ftkit.data.row_streams import Place, RowStream, clean_chunk, open_stream
from ftkit.data.storage import Part
from ftkit.errors import DataError, SourceError
from ftkit.recipe import DataSection
from ftkit.recipe.sections.cleaning import CleaningRule
from ftkit.sources import cache_folder


def make_stream(sizes):
    def read(number):
        return ((line, json.dumps({"n": [number, line]})) for line in range(1, sizes[number] + 1))

    parts = [Part(f"{number}.jsonl", "", lambda number=number: read(number)) for number in range(len(sizes))]
    return RowStream(tuple(parts), {})


def read_all(stream, start=Place()):  # noqa: B008
    return [row["n"] for rows, _ in stream.read(start) for row in rows]


@given(st.lists(st.integers(0, 7), min_size=1, max_size=5), st.integers(1, 5))
def test_from_every_place_come_exactly_the_rows_behind_it(sizes, at_once):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_streams, "ROWS_AT_ONCE", at_once)
        stream = make_stream(sizes)
        expected = [[number, line] for number, size in enumerate(sizes) for line in range(1, size + 1)]
        assert read_all(stream) == expected
        done = 0
        for rows, end in stream.read():
            assert [rows.where(index) for index in range(len(rows))] == [
                f"{number}.jsonl:{line}" for number, line in expected[done : done + len(rows)]
            ]
            done += len(rows)
            assert read_all(stream, end) == expected[done:]


def test_files_before_the_place_are_not_opened(monkeypatch):
    stream = make_stream([3, 4])
    opened = []
    parts = tuple(
        Part(part.name, "", lambda part=part: opened.append(part.name) or part.read())
        for part in stream.parts
    )
    assert len(read_all(RowStream(parts, {}), Place(1, 2))) == 2
    assert opened == ["1.jsonl"]


def test_a_long_row_ends_its_chunk(monkeypatch):
    monkeypatch.setattr(row_streams, "CHARACTERS_AT_ONCE", 20)
    assert [len(rows) for rows, _ in make_stream([4]).read()] == [2, 2]


def test_files_of_all_kinds_are_streamed_as_they_are_loaded_and_nothing_is_stored(write, monkeypatch, cache):
    rows = [{"body": f"春眠不觉晓 {number}", "n": float(number)} for number in range(7)]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    write("a.jsonl", lines)
    write("b.jsonl.gz", lines)
    pa.parquet.write_table(pa.Table.from_pylist(rows), "c.parquet")
    monkeypatch.setattr(row_streams, "ROWS_AT_ONCE", 4)
    files = ["a.jsonl", "b.jsonl.gz", "c.parquet"]
    stream = open_stream(DataSection(train=files, columns={"text": "body"}))
    found = [(row, rows.where(index)) for rows, _ in stream.read() for index, row in enumerate(rows)]
    assert not (cache_folder() / "rows").exists()
    loaded = load_rows(files, columns={"text": "body"})
    assert found == [(row, loaded.where(index)) for index, row in enumerate(loaded)]
    assert stream.read_head()[0] == {"text": "春眠不觉晓 0", "n": 0.0}


def test_rows_behind_an_address_are_read_from_there(write, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(row_streams, "ROWS_AT_ONCE", 10)
    lines = "".join(json.dumps({"text": f"月 {number}"}) + "\n" for number in range(25))
    write("a.jsonl", lines)
    write("b.jsonl.gz", lines)
    pa.parquet.write_table(pa.table({"text": ["月"] * 5}), "c.parquet")
    stream = open_stream(DataSection(train=[f"local://{tmp_path}/*"]))
    assert [part.name.rpartition("/")[2] for part in stream.parts] == ["a.jsonl", "b.jsonl.gz", "c.parquet"]
    chunks = list(stream.read())
    assert [len(rows) for rows, _ in chunks] == [10, 10, 10, 10, 10, 5]
    assert chunks[3][0].where(0).endswith("/b.jsonl.gz:6")
    assert not list(cache.rglob("*.jsonl"))
    (tmp_path / "b.jsonl.gz").unlink()
    with pytest.raises(SourceError, match=r"b.jsonl.gz: no such file"):
        list(stream.read())


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([{"text": "a"}], "reads files, and data.train are rows in memory"),
        (
            "org/name",
            "is a data set of the hub, which is loaded whole; name its files instead: hf://datasets/",
        ),
    ],
)
def test_what_cannot_be_streamed_is_said(train, message):
    with pytest.raises(DataError, match=message):
        open_stream(DataSection(train=train))


def test_a_broken_row_is_named_and_so_are_files_without_rows(write):
    write("a.jsonl", '{"text": "a"}\n{"text": \n')
    with pytest.raises(DataError, match=r"a.jsonl:2: broken JSON"):
        list(open_stream(DataSection(train="a.jsonl")).read())
    write("b.jsonl", "\n\n")
    with pytest.raises(DataError, match=r"b.jsonl: no rows in any of the files"):
        open_stream(DataSection(train="b.jsonl")).read_head()


def test_a_chunk_is_cleaned_as_stored_rows_are(write):
    columns = (Column("text", "text", required=True, meaning="a text"),)
    rules = [CleaningRule.model_validate(rule) for rule in ("html", "white_space", {"min_characters": 3})]
    texts = ["<b>月光</b>  下", "月", "ok  ok"]
    write("a.jsonl", "".join(json.dumps({"body": text}) + "\n" for text in texts))
    stored, changes = clean_rows(load_rows("a.jsonl", columns={"text": "body"}), rules, columns=columns)
    stream = open_stream(DataSection(train="a.jsonl", columns={"text": "body"}))
    ((rows, _),) = stream.read()
    cleaning = Cleaning(tuple(rules), columns, rows.columns)
    kept, entries, counts = clean_chunk(rows, cleaning, cleaning.make_rules())
    assert list(kept) == list(stored) == [{"text": "月光 下"}, {"text": "ok ok"}]
    assert [kept.where(index) for index in range(2)] == ["a.jsonl:1", "a.jsonl:3"]
    assert list(map(json.loads, entries.splitlines())) == list(changes)
    assert counts == changes.counts
