"""Predictions as JSON lines, CSV and parquet."""

import csv
import json
import logging
import math

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.errors import RecipeError, RunError
from ftkit.inference.prediction_files import check_output, list_columns, write_predictions

LABELS = {"row": 0, "prediction": "垃圾", "probabilities": {"垃圾": 0.75, "正常": 0.25}}
ENTITIES = [
    {"row": 0, "entities": [{"label": "LOC", "text": "北京", "start": 3, "end": 5, "score": 0.5}]},
    {"row": 1, "entities": []},
]
ANSWERS = [
    {"row": 0, "answer": 'a "quoted",\nanswer', "start": 4, "end": 9, "score": 0.5},
    {"row": 1, "answer": "", "start": None, "end": None, "score": None},
]


def read_csv(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_lines_of_json_are_the_predictions(tmp_path):
    write_predictions(tmp_path / "p.jsonl", [LABELS, *ENTITIES])
    lines = (tmp_path / "p.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [LABELS, *ENTITIES]
    assert "垃圾" in lines[0]


def test_a_csv_file_has_texts_and_numbers_as_they_are_and_json_for_the_rest(tmp_path):
    write_predictions(tmp_path / "p.csv", [LABELS])
    (row,) = read_csv(tmp_path / "p.csv")
    assert (row["row"], row["prediction"]) == ("0", "垃圾")
    assert json.loads(row["probabilities"]) == LABELS["probabilities"]


def test_a_csv_file_keeps_quotes_line_breaks_and_what_is_missing(tmp_path):
    write_predictions(tmp_path / "p.csv", ANSWERS)
    first, second = read_csv(tmp_path / "p.csv")
    assert first["answer"] == 'a "quoted",\nanswer'
    assert [second[name] for name in ("answer", "start", "score")] == ["", "", ""]


@pytest.mark.parametrize("predictions", [[LABELS], ENTITIES, ANSWERS])
def test_a_parquet_file_gives_back_what_was_predicted(tmp_path, predictions):
    write_predictions(tmp_path / "p.parquet", predictions)
    assert pyarrow.parquet.read_table(tmp_path / "p.parquet").to_pylist() == predictions


def test_a_column_that_parquet_cannot_hold_is_json_and_this_is_said(tmp_path, caplog):
    predictions = [{"id": "a"}, {"id": 5}]
    with caplog.at_level(logging.WARNING):
        write_predictions(tmp_path / "p.parquet", predictions)
    found = pyarrow.parquet.read_table(tmp_path / "p.parquet").to_pylist()
    assert [json.loads(row["id"]) for row in found] == ["a", 5]
    assert "column 'id' has values of several types; written as JSON" in caplog.text


def test_columns_are_those_of_any_prediction_in_their_order():
    assert list_columns([{"row": 0, "text": "a"}, {"row": 1, "id": "x", "text": "b"}]) == [
        "row",
        "text",
        "id",
    ]


VALUES = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\r\0")) | st.integers()


@given(st.lists(st.fixed_dictionaries({"row": st.integers(), "value": VALUES, "more": st.lists(VALUES)})))
def test_any_prediction_survives_a_csv_file(tmp_path_factory, predictions):
    path = tmp_path_factory.mktemp("csv") / "p.csv"
    write_predictions(path, predictions)
    found = read_csv(path)
    assert [int(row["row"]) for row in found] == [each["row"] for each in predictions]
    assert [json.loads(row["more"]) for row in found] == [each["more"] for each in predictions]
    for row, each in zip(found, predictions, strict=True):
        assert row["value"] == ("" if each["value"] is None else str(each["value"]))


@pytest.mark.parametrize("name", ["p.xlsx", "p", "p.json"])
def test_an_unknown_suffix_is_refused_with_those_that_there_are(tmp_path, name):
    with pytest.raises(RecipeError, match=r"\.jsonl, \.csv, \.parquet; found .*; choose another name"):
        check_output(tmp_path / name)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError):
        check_output(tmp_path / "file" / "p.csv")


def test_a_file_that_fails_half_way_leaves_the_old_one(tmp_path):
    path = tmp_path / "p.csv"
    write_predictions(path, ANSWERS)
    before = path.read_bytes()
    with pytest.raises(TypeError):
        write_predictions(path, [{"row": 0}, {"row": object()}])
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == ["p.csv"]


def test_numbers_keep_their_last_digit(tmp_path):
    number = math.pi / 3
    for name in ("p.csv", "p.jsonl", "p.parquet"):
        write_predictions(tmp_path / name, [{"score": number}])
    assert float(read_csv(tmp_path / "p.csv")[0]["score"]) == number
    assert pyarrow.parquet.read_table(tmp_path / "p.parquet").to_pylist() == [{"score": number}]
