import json
import logging
import os
from pathlib import Path

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftkit.data import Rows, load_rows
from ftkit.data.files import FORMATS
from ftkit.data.loading import READERS
from ftkit.errors import DataError, FtkitError, SourceError

ROWS = [{"text": "床前明月光", "label": "1"}, {"text": 'a, "b"\nc', "label": ""}]


def write_rows(name):
    """Write `ROWS` in the format of a name, whatever it is."""
    table = pa.Table.from_pylist(ROWS)
    if name.endswith(".parquet"):
        pq.write_table(table, name)
    elif name.endswith(".arrow"):
        with pa.ipc.new_file(name, table.schema) as writer:
            writer.write_table(table)
    elif name.endswith((".csv", ".tsv")):
        mark = "," if name.endswith(".csv") else "\t"
        quoted = [[json.dumps(value, ensure_ascii=False) for value in row.values()] for row in ROWS]
        lines = [mark.join(fields).replace('\\"', '""').replace("\\n", "\n") for fields in quoted]
        Path(name).write_text("\n".join([f"text{mark}label", *lines]), encoding="utf-8", newline="")
    elif name.endswith(".json"):
        Path(name).write_text(json.dumps(ROWS), encoding="utf-8")
    else:
        Path(name).write_text("\n".join(json.dumps(row) for row in ROWS), encoding="utf-8")
    return name


def test_every_format_has_a_reader():
    assert set(READERS) == set(FORMATS)


@pytest.mark.parametrize("suffix", [suffix for suffix in FORMATS if suffix != "txt"])
def test_every_format_gives_the_same_rows_also_gzipped(write, suffix):
    write("empty", "")
    name = write_rows(f"train.{suffix}")
    assert list(load_rows(name)) == ROWS
    packed = write(f"{name}.gz", Path(name).read_bytes())
    assert list(load_rows(packed)) == ROWS
    assert isinstance(load_rows(Path(packed)), Rows)


def test_a_text_file_is_one_document(write):
    assert list(load_rows(write("poem.txt", "床前\n明月光\n"))) == [{"text": "床前\n明月光\n"}]


def test_files_whose_columns_differ_load_together(write):
    write("empty", "")
    pq.write_table(pa.table({"a": [1]}), "one.parquet")
    pq.write_table(pa.table({"a": ["x"], "b": [[1.5]]}), "two.parquet")
    assert list(load_rows("*.parquet")) == [{"a": 1}, {"a": "x", "b": [1.5]}]


def test_a_glob_gives_its_files_sorted(write):
    for name in ("b", "a", "c"):
        write(f"part-{name}.jsonl", json.dumps({"a": name}))
    assert [row["a"] for row in load_rows("part-*.jsonl")] == ["a", "b", "c"]
    assert [row["a"] for row in load_rows(["part-c.jsonl", "part-[ab].jsonl"])] == ["c", "a", "b"]


def test_a_glob_takes_the_data_files_and_says_what_it_leaves_out(write, caplog):
    write("data/a.jsonl", '{"a": 1}')
    write("data/README.md", "")
    write("data/LICENSE.txt", "Apache")
    write("data/sub/b.jsonl", '{"a": 2}')
    with caplog.at_level(logging.INFO):
        assert len(load_rows("data/*")) == 1
    assert "data/*: 2 of 3 files left out: LICENSE.txt, README.md" in caplog.text
    assert len(load_rows("data/**/*.jsonl")) == 2


def test_a_folder_gives_its_own_data_files(write, caplog):
    write("data/b.jsonl", '{"a": 2}')
    write("data/a.csv", "a\n1\n")
    write("data/.hidden.jsonl", '{"a": 3}')
    write("data/README.md", "")
    write("data/notes.txt", "x")
    write("data/sub/c.jsonl", '{"a": 4}')
    with caplog.at_level(logging.INFO):
        rows = load_rows("data")
    assert list(rows) == [{"a": "1"}, {"a": 2}]
    assert [rows.where(0), rows.where(1)] == ["data/a.csv:2", "data/b.jsonl:1"]
    assert "data: 2 of 4 files left out: README.md, notes.txt" in caplog.text


def test_a_folder_of_documents_gives_one_row_per_document(write):
    for name in ("one", "two"):
        write(f"poems/{name}.txt", name)
    assert [row["text"] for row in load_rows("poems")] == ["one", "two"]


def test_a_folder_that_datasets_saved_is_read(write):
    write("empty", "")
    datasets.Dataset.from_list(ROWS).save_to_disk("saved")
    assert list(load_rows("saved")) == ROWS


@pytest.mark.parametrize(
    ("files", "source", "message"),
    [
        ([], "nothing.jsonl", "nothing.jsonl: no such file or folder"),
        ([], "nothing-*.jsonl", "nothing-*.jsonl: no file matches"),
        (
            ["data/README.md"],
            "data",
            "data: no data file in this folder; it has README.md; data files are .json",
        ),
        (["data/README.md"], "data/*", "data/*: matches no data file, but README.md; data files are .json"),
        (["data/sub/a.jsonl"], "data", "it has sub/; data files are .json"),
        (["data/sub/a.jsonl"], "data", "for files in subfolders, write data/**/*.jsonl"),
        (["a.xlsx"], "a.xlsx", "a.xlsx: unknown suffix '.xlsx'; data files are"),
        (["a.jsonl"], "a.jsonl", "a.jsonl: is empty, it has no rows"),
        (["a.parquet"], "a.parquet", "a.parquet: is empty, it has no rows"),
        (["a.jsonl", "b.jsonl"], "*.jsonl", "a.jsonl and 1 more: no rows in any of the files"),
    ],
)
def test_sources_without_rows_are_refused(write, files, source, message):
    for name in files:
        write(name, "")
    with pytest.raises(FtkitError) as caught:
        load_rows(source)
    assert message in str(caught.value)


def test_an_empty_file_of_a_glob_is_a_warning_only_each_time(write, caplog):
    write("a.jsonl", '{"a": 1}')
    write("b.jsonl", "")
    for _ in range(2):
        assert len(load_rows("*.jsonl")) == 1
    assert caplog.text.count("b.jsonl: is empty") == 2


def test_an_empty_file_that_is_named_is_an_error_also_after_a_glob_read_it(write):
    write("a.jsonl", '{"a": 1}')
    write("b.jsonl", "")
    load_rows("*.jsonl")
    with pytest.raises(DataError, match="b.jsonl: is empty"):
        load_rows(["a.jsonl", "b.jsonl"])


def test_a_file_that_is_named_twice_is_read_once_and_said(write, caplog):
    write("a.jsonl", '{"a": 1}')
    assert len(load_rows(["a.jsonl", "./*.jsonl"])) == 1
    assert "a.jsonl: named twice, read once" in caplog.text


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_an_error(write):
    Path(write("a.jsonl", '{"a": 1}')).chmod(0)
    with pytest.raises(DataError, match="a.jsonl: cannot be read: Permission denied"):
        load_rows("a.jsonl")


def test_a_changed_file_is_read_again_and_an_unchanged_one_is_not(write, cache, caplog):
    write("a.jsonl", '{"a": 1}')
    caplog.set_level(logging.INFO)
    load_rows("a.jsonl")
    assert caplog.text.count("reading a.jsonl") == 1
    os.rename(write("a.jsonl", '{"a": 1}'), "b.jsonl")
    assert list(load_rows("b.jsonl")) == [{"a": 1}]
    assert "reading b.jsonl" not in caplog.text
    assert list(load_rows(write("b.jsonl", '{"a": 2}'))) == [{"a": 2}]


def test_the_same_bytes_in_another_format_are_other_rows(write):
    assert list(load_rows(write("a.csv", "a\tb\n1\t2\n".replace("\t", ",")))) == [{"a": "1", "b": "2"}]
    assert list(load_rows(write("a.txt", "a,b\n1,2\n"))) == [{"text": "a,b\n1,2\n"}]


def test_a_package_file_is_called_by_its_address(write, monkeypatch):
    path = Path(write("cached/rows.jsonl", '{"a": 1}\n')).absolute()
    monkeypatch.setattr("ftkit.sources.location.fetch_package_path", lambda spec: path)
    rows = load_rows(f"pypi:some-data==1.0/rows.jsonl#sha256={'0' * 64}")
    assert rows.where(0) == "pypi:some-data==1.0/rows.jsonl:1"


def test_a_folder_of_a_package_is_called_by_its_address(write, monkeypatch):
    path = Path(write("cached/rows/a.jsonl", '{"a": 1}\n')).absolute().parent
    monkeypatch.setattr("ftkit.sources.location.fetch_package_path", lambda spec: path)
    assert load_rows("pypi:some-data==1.0/rows").where(0) == "pypi:some-data==1.0/rows/a.jsonl:1"


def test_a_file_outside_the_current_folder_is_called_by_its_whole_path(write, tmp_path, monkeypatch):
    write("a.jsonl", '{"a": 1}')
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert load_rows("../a.jsonl").where(0) == f"{tmp_path / 'a.jsonl'}:1"


def test_rows_from_a_notebook_need_no_disk(cache):
    rows = load_rows([{"a": (1, np.float32(0.5))}, {"b": None}])
    assert list(rows) == [{"a": [1, 0.5]}, {"b": None}]
    assert not list(cache.iterdir())


def test_broken_rows_from_a_notebook_are_named_by_index():
    with pytest.raises(DataError) as caught:
        load_rows([{"a": 1}, {"a": float("nan")}, {2: 1}], split_name="test")
    assert str(caught.value).splitlines()[:3] == [
        "test: 2 problems in 3 rows:",
        "  test[1]: column 'a' holds NaN or infinity, which JSON does not have; use None",
        "  test[2]: has a column named 2; names of columns are texts",
    ]


def test_a_data_set_from_a_notebook_is_kept_on_disk_by_its_content(cache):
    first = load_rows(datasets.Dataset.from_list(ROWS))
    again = load_rows(datasets.Dataset.from_list(ROWS), split_name="test")
    other = load_rows(datasets.Dataset.from_list(ROWS[:1]))
    assert list(first) == list(again) == ROWS
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert [first.where(1), again.where(1)] == ["train[1]", "test[1]"]
    assert len(list(cache.glob("rows/*/entry"))) == 2


def test_an_empty_data_set_is_refused():
    with pytest.raises(DataError, match="train: is empty"):
        load_rows(datasets.Dataset.from_dict({"a": []}))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([], "data.train: is an empty list, so there are no rows"),
        (5, "data.train: is of type int, which is no source"),
        ({"text": ["a"]}, "data.train: is of type dict"),
        (["a.jsonl", {"a": 1}], "data.train: is a list of dict and str, which is neither rows nor files"),
        ([[1]], "data.train: is a list of list"),
    ],
)
def test_what_is_no_source_is_refused(source, message):
    with pytest.raises(DataError) as caught:
        load_rows(source)
    assert str(caught.value).startswith(message)
    assert "give a file, folder, glob" in str(caught.value)


def test_a_data_frame_is_refused_with_the_way_out():
    import pandas as pd

    with pytest.raises(DataError, match="is a DataFrame; pass frame.to_dict"):
        load_rows(pd.DataFrame({"a": [1]}))


def test_a_column_that_loses_its_name_to_another_is_said(write, caplog):
    with caplog.at_level(logging.INFO):
        rows = load_rows(write("a.jsonl", '{"text": "raw", "body": "clean"}'), columns={"text": "body"})
    assert rows[0] == {"text": "clean"}
    assert "a.jsonl: column 'text' is left out, because 'body' takes its name" in caplog.text


def test_reading_says_so_once_and_the_libraries_say_nothing(write, cache, caplog, capfd):
    caplog.set_level(logging.INFO)
    for _ in range(2):
        load_rows(datasets.Dataset.from_list(ROWS))
        load_rows(write("a.jsonl", '{"a": 1}'))
    assert [record.getMessage() for record in caplog.records] == ["reading train", "reading a.jsonl"]
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_is_an_error_of_the_source_and_an_os_error(write):
    write("train.jsonl", "{}")
    with pytest.raises(SourceError) as caught:
        load_rows("trian.jsonl")
    assert isinstance(caught.value, OSError)
    assert "train.jsonl" in str(caught.value)
