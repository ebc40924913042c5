import logging

from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.data import Column, prepare_held_out, prepare_rows
from ftkit.recipe import DataSection

COLUMNS = (Column("text", "text", required=True, meaning="a text"),)


def make_section(**settings):
    return DataSection.model_validate(settings)


def make_rows(number, start=0):
    return [{"text": f"  第 {index}  行 row " + "x" * (index % 9)} for index in range(start, start + number)]


def read_texts(prepared, split):
    return [row["text"] for row in prepared.splits[split]]


def test_sources_are_cleaned_and_then_split(caplog):
    caplog.set_level(logging.INFO, "ftkit")
    section = make_section(
        train=make_rows(60),
        test=[{"text": " a  longer test "}],
        validation="20%",
        clean=["white_space", {"min_characters": 9}],
    )
    prepared = prepare_rows(section, seed=1, columns=COLUMNS)
    assert list(prepared.splits) == ["train", "test", "validation"]
    assert prepared.num_read == {"train": 60, "test": 1}
    assert read_texts(prepared, "test") == ["a longer test"]
    kept = len(prepared.splits["train"]) + len(prepared.splits["validation"])
    assert kept + prepared.changes.select("train").count_rules("dropped")["min_characters"] == 60
    assert "data.train: white_space: 60 rows changed" in caplog.text


def test_without_rules_rows_come_as_they_are():
    prepared = prepare_rows(make_section(train=[{"a": " b "}], validation=None), seed=0)
    assert list(prepared.splits["train"]) == [{"a": " b "}]
    assert list(prepared.changes) == []


def test_rows_to_score_on_are_cleaned_by_the_same_rules():
    section = make_section(train="nowhere.jsonl", columns={"text": "body"}, clean=["white_space"])
    rows, changes = prepare_held_out(section, [{"body": " 你  好 "}], columns=COLUMNS)
    assert list(rows) == [{"text": "你 好"}]
    assert changes.count_rules() == {"white_space": 1}


def test_cleaned_rows_still_know_what_the_file_calls_their_columns():
    section = make_section(
        train=[{"text": "x", "body": " a ", "n": 1}],
        validation=None,
        columns={"text": "body"},
        clean=["white_space"],
    )
    rows = prepare_rows(section, seed=0, columns=COLUMNS).splits["train"]
    assert list(rows) == [{"text": "a", "n": 1}]
    assert rows.columns == {"text": "body"}


@settings(max_examples=20, deadline=None)
@given(st.integers(10, 60), st.integers(1, 40), st.integers(0, 3))
def test_a_row_stays_in_its_split_when_rows_are_added_and_equal_rows_stand_together(old, new, seed):
    def split(rows):
        rules = ["white_space", {"min_characters": 8}]
        return prepare_rows(make_section(train=rows, validation=0.3, clean=rules), seed=seed, columns=COLUMNS)

    before, after = (
        split(make_rows(old)),
        split([*make_rows(old), *make_rows(new, old), {"text": make_rows(1)[0]["text"] + "\t"}]),
    )
    if (
        min(len(rows) for rows in before.splits.values()) > 1
    ):  # a split of one row may have been filled by chance
        assert set(read_texts(before, "validation")) <= set(read_texts(after, "validation"))
        assert set(read_texts(before, "train")) <= set(read_texts(after, "train"))
    assert not set(read_texts(after, "train")) & set(read_texts(after, "validation"))
