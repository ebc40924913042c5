import datetime
import decimal
import io
import json
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftkit.data.files import make_data_file
from ftkit.data.row_json import BrokenRow
from ftkit.data.table_readers import read_arrow, read_dataset, read_parquet
from ftkit.errors import DataError

TABLE = pa.table({"text": ["床前", None, "c"], "label": [1, 2, 3], "turns": [[{"role": "user"}], [], None]})


def as_parquet(table, **options):
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def as_arrow(table, open_writer):
    sink = pa.BufferOutputStream()
    with open_writer(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def read(reader, name):
    return list(reader(make_data_file(Path(name), name)))


def read_values(found):
    return [json.loads(text) for _, text in found]


@pytest.mark.parametrize("name", ["a.parquet", "a.parquet.gz"])
def test_parquet_rows_come_as_objects_by_index(write, name):
    found = read(read_parquet, write(name, as_parquet(TABLE, row_group_size=2)))
    assert [place for place, _ in found] == [~0, ~1, ~2]
    assert read_values(found) == TABLE.to_pylist()


@pytest.mark.parametrize("name", ["a.arrow", "a.arrow.gz"])
@pytest.mark.parametrize("open_writer", [pa.ipc.new_file, pa.ipc.new_stream])
def test_arrow_rows_come_from_both_formats(write, name, open_writer):
    assert read_values(read(read_arrow, write(name, as_arrow(TABLE, open_writer)))) == TABLE.to_pylist()


def test_a_large_batch_is_read_a_few_rows_at_a_time(write, monkeypatch):
    monkeypatch.setattr("ftkit.data.table_readers.ROWS_AT_ONCE", 7)
    table = pa.table({"a": list(range(100))})
    for name, content, reader in (
        ("a.arrow", as_arrow(table, pa.ipc.new_file), read_arrow),
        ("a.parquet", as_parquet(table), read_parquet),
    ):
        assert read_values(read(reader, write(name, content))) == table.to_pylist()


def test_types_that_json_lacks_are_converted(write):
    table = pa.table(
        {
            "day": [datetime.date(2026, 11, 23)],
            "price": [decimal.Decimal("1.10")],
            "name": pa.array([b"ok"], pa.binary()),
            "map": pa.array([[("x", 1)]], pa.map_(pa.string(), pa.int64())),
            "kind": pa.array(["ham"]).dictionary_encode(),
        }
    )
    assert read_values(read(read_parquet, write("a.parquet", as_parquet(table)))) == [
        {"day": "2026-11-23", "price": "1.10", "name": "ok", "map": {"x": 1}, "kind": "ham"}
    ]


def test_a_value_that_cannot_be_kept_breaks_its_row_only(write):
    table = pa.table({"a": [1.0, float("nan"), 2.0]})
    found = read(read_parquet, write("a.parquet", as_parquet(table)))
    assert isinstance(found[1][1], BrokenRow)
    assert "column 'a' holds NaN" in str(found[1][1])
    assert found[2] == (~2, '{"a": 2.0}')


def test_a_key_that_comes_twice_in_a_map_is_an_error(write):
    table = pa.table({"map": pa.array([[("x", 1), ("x", 2)]], pa.map_(pa.string(), pa.int64()))})
    with pytest.raises(DataError, match="a.parquet: damaged, or no parquet file"):
        read(read_parquet, write("a.parquet", as_parquet(table)))


@pytest.mark.parametrize(
    ("name", "content", "reader"),
    [
        ("a.parquet", b"PAR1" + b"0" * 100, read_parquet),
        ("a.parquet", as_parquet(TABLE)[:-30], read_parquet),
        ("a.arrow", b"hello hello hello hello", read_arrow),
        ("a.arrow", b"ARROW1\0\0abc", read_arrow),
        ("a.arrow", as_arrow(TABLE, pa.ipc.new_file)[:-50], read_arrow),
        ("a.arrow", as_arrow(TABLE, pa.ipc.new_stream)[:-50], read_arrow),
    ],
)
def test_a_damaged_table_is_refused(write, name, content, reader):
    with pytest.raises(DataError) as caught:
        read(reader, write(name, content))
    assert str(caught.value).startswith(f"{name}: damaged, or no {name[2:]} file: ")
    assert str(caught.value).endswith("; download or write it again")


def test_a_column_name_that_comes_twice_is_refused(write):
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    with pytest.raises(DataError, match="a.arrow: has the column 'a' twice; rename one"):
        read(read_arrow, write("a.arrow", as_arrow(table, pa.ipc.new_file)))


def test_class_numbers_of_a_data_set_become_their_names():
    names = datasets.ClassLabel(names=["ham", "spam"])
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": names, "tags": datasets.Sequence(names)}
    )
    dataset = datasets.Dataset.from_dict(
        {"text": ["a", "b", "c"], "label": [1, 0, -1], "tags": [[0, 1], [], None]}, features=features
    )
    assert read_values(read_dataset(dataset)) == [
        {"text": "a", "label": "spam", "tags": ["ham", "spam"]},
        {"text": "b", "label": "ham", "tags": []},
        {"text": "c", "label": None, "tags": None},
    ]


def test_the_format_of_a_data_set_does_not_matter():
    dataset = datasets.Dataset.from_dict({"a": [[1, 2], [3, 4]], "at": [datetime.datetime(2026, 1, 2)] * 2})
    expected = [{"a": [1, 2], "at": "2026-01-02T00:00:00"}, {"a": [3, 4], "at": "2026-01-02T00:00:00"}]
    assert read_values(read_dataset(dataset)) == expected
    assert read_values(read_dataset(dataset.with_format("numpy"))) == expected
