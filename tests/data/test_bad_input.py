"""What people's files really look like: each is read right, or is one clear error, or a counted reject."""

import gzip
import json
import logging
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ftkit.data import check_columns, load_rows, prepare_rows
from ftkit.errors import DataError, RecipeError
from ftkit.recipe import DataSection, make_recipe
from ftkit.tasks import get_task

COLUMNS = get_task("text-classification").COLUMNS
TEXT = get_task("causal-lm").COLUMNS


def prepare(train, *rules, columns=TEXT, **settings):
    section = DataSection(train=train, validation=None, clean=list(rules), **settings)
    return prepare_rows(section, seed=0, columns=columns)


def test_a_value_of_the_wrong_type_is_an_error_with_its_line_also_behind_rules(write):
    write("a.jsonl", '{"text": "好", "label": "x"}\n{"text": 7, "label": "x"}\n')
    with pytest.raises(DataError, match=r"a.jsonl:2: column 'text' is a number \(7\), not a text"):
        check_columns(load_rows("a.jsonl"), COLUMNS)
    rows = prepare("a.jsonl", "white_space", columns=COLUMNS).splits["train"]
    with pytest.raises(DataError, match=r"a.jsonl:2: column 'text' is a number"):
        check_columns(rows, COLUMNS)


def test_a_truncated_gzip_is_an_error(write, tmp_path):
    packed = gzip.compress(b'{"text": "x"}\n' * 500)
    (tmp_path / "a.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(
        DataError, match=r"a.jsonl.gz: the gzip file ends too early; download or copy it again"
    ):
        load_rows(str(tmp_path / "a.jsonl.gz"))


def test_a_stray_quote_in_a_csv_is_an_error_with_its_line(write):
    write("a.csv", 'text,label\ngood,x\n"never closed,y\nmore,z\n')
    with pytest.raises(DataError, match=r"a.csv:3: .*quot"):
        load_rows("a.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_mixed_line_ends_and_a_byte_order_mark_are_read(write, name):
    text = (
        "\ufefftext,label\r\n春,x\nb,y\r\n" if name == "a.csv" else '\ufeff{"text": "春"}\r\n{"text": "b"}\n'
    )
    write(name, text)
    assert [row["text"] for row in load_rows(name)] == ["春", "b"]


def test_a_parquet_whose_schema_changes_between_files_keeps_every_value(tmp_path):
    pq.write_table(pa.table({"text": ["一"], "label": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["二"], "label": ["one"], "extra": [[1.5]]}), tmp_path / "b.parquet")
    rows = load_rows([str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")])
    assert list(rows) == [{"text": "一", "label": 1}, {"text": "二", "label": "one", "extra": [1.5]}]
    assert rows.column_names == ["text", "label", "extra"]


def test_nested_json_as_text_is_said_to_be_text(write):
    turns = json.dumps([{"role": "user", "content": "你好"}], ensure_ascii=False)
    write("a.jsonl", json.dumps({"messages": turns}, ensure_ascii=False) + "\n")
    with pytest.raises(
        DataError, match=r"a.jsonl:1: column 'messages' is a text \(.*\), not a list of messages"
    ):
        check_columns(load_rows("a.jsonl"), get_task("chat").COLUMNS)


def test_many_empty_rows_are_counted_and_cost_no_error(caplog):
    caplog.set_level(logging.INFO, "ftkit")
    prepared = prepare(
        [{"text": ""}, {"text": " \n"}, {"text": None}, {}] * 500 + [{"text": "有"}], {"min_characters": 1}
    )
    assert list(prepared.splits["train"]) == [{"text": "有"}]
    assert prepared.changes.count_rules("dropped") == {"min_characters": 2000}
    assert "data.train: min_characters: 2000 rows dropped" in caplog.text


def test_rows_that_are_all_empty_are_one_error():
    message = (
        "train: cleaning leaves none of 30 rows; by rule: min_characters: 30; loosen the rules of data.clean"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        prepare([{"text": ""}] * 30, {"min_characters": 1})


def test_a_row_of_50_megabytes_is_read_cleaned_and_recorded_in_part(write):
    write("a.jsonl", json.dumps({"text": "月光 " * 8_000_000 + "  end"}) + '\n{"text": "b"}\n')
    prepared = prepare("a.jsonl", "white_space", {"max_characters": 1000})
    assert list(prepared.splits["train"]) == [{"text": "b"}]
    changed, dropped = prepared.changes
    assert dropped["detail"] == "16,000,003 characters, more than 1,000"
    assert max(len(changed["before"]["text"]), len(dropped["before"]["text"])) < 3000


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            {"drop_matching": "(unclosed"},
            r"data.clean\[0\].drop_matching: is no regular expression: missing \), un.* at character 1",
        ),
        (
            {"replace": {"pattern": "a", "by": r"\2"}},
            r"data.clean\[0\].*: by: .* does not fit the pattern: invalid group",
        ),
        ({"replace": "a"}, r"replace has no value of its own, only options"),
        ({"min_characters": {}}, r"min_characters needs characters"),
        ({"min_characters": {"letters": 3}}, r"min_characters needs characters"),
        (
            {"urls": {"acton": "tag"}},
            r"data.clean\[0\].urls.acton: unknown setting; urls takes columns, action",
        ),
        (
            {"personal_data": "hide"},
            r"data.clean\[0\].personal_data: must be mask, tag or drop; found 'hide'",
        ),
        (
            {"function": "no_colon"},
            r"must be module:function, such as my_lab.rules:drop_ads; found 'no_colon'",
        ),
        (["white_space"], "must be one rule"),
        ({"white_space": None, "html": None}, "must be one rule"),
    ],
)
def test_mistakes_in_rules_are_errors_of_the_recipe(rule, message, tmp_path):
    recipe = {"task": "causal-lm", "model": "m", "data": {"train": "x.jsonl", "clean": [rule]}}
    with pytest.raises(RecipeError, match=message):
        make_recipe(recipe, folder=tmp_path)
