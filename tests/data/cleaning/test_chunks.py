import json

import pytest

from ftkit.data import Column, load_rows
from ftkit.data.cleaning import chunks, clean_rows
from ftkit.data.cleaning.chunks import Cleaning, clean_chunks, count_cores, cut_chunks
from ftkit.errors import DataError, MissingDependencyError
from ftkit.recipe.sections.cleaning import CleaningRule
from ftkit.sources import cache_folder

COLUMNS = (Column("text", "text", required=True, meaning="a text"),)


def make_cleaning(*forms, renamed=None):
    rules = tuple(CleaningRule.model_validate(form) for form in forms)
    return Cleaning(rules, COLUMNS, renamed or {})


def read_cleaned_files():
    """Read what cleaning left in the cache: by name of the file, its bytes."""
    (entry,) = (cache_folder() / "cleaned").glob("*/entry")
    return {path.name: path.read_bytes() for path in entry.iterdir()}


def test_many_processes_write_the_same_files_as_one(write, mails, poems, monkeypatch, tmp_path):
    texts = [*poems, *mails[:200]]
    rows = [{"body": text, "n": 1.0, "lines": text.splitlines()[:2]} for text in texts]
    write("rows.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    forms = (
        "html",
        "urls",
        {"chinese": "simplified"},
        "personal_data",
        "white_space",
        {"min_characters": 30},
    )
    monkeypatch.setattr(chunks, "ROWS_AT_ONCE", 37)
    found = []
    for name, least in (("one", 10**12), ("many", 0)):
        monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / name))
        monkeypatch.setattr(chunks, "FEWEST_BYTES", least)
        monkeypatch.setattr("joblib.cpu_count", lambda: 2)
        loaded = load_rows("rows.jsonl", columns={"text": "body"})
        assert (count_cores(loaded, make_cleaning(*forms)) > 1) == (name == "many")
        clean_rows(loaded, make_cleaning(*forms).rules, columns=COLUMNS)
        found.append(read_cleaned_files())
    one, many = found
    assert {name: len(content) > 1000 for name, content in one.items()} == {
        "rows.arrow": True,
        "changes.jsonl": True,
        "about.json": False,
    }
    assert one == many


def test_few_rows_stay_in_this_process_and_so_does_a_function_of_the_script():
    few, many = ([{"text": "春" * 100}] * number for number in (10, 20_000))
    assert count_cores(load_rows(few), make_cleaning("html")) == 1
    assert count_cores(load_rows(many), make_cleaning({"function": "__main__:f"})) == 1
    assert count_cores(load_rows(many).select(range(10)), make_cleaning("html")) == 1


def test_what_fails_in_another_process_is_the_same_error(write, monkeypatch):
    write("rows.jsonl", '{"text": "a"}\n')
    monkeypatch.setattr(chunks, "FEWEST_BYTES", 0)
    monkeypatch.setattr("joblib.cpu_count", lambda: 2)
    rows = load_rows("rows.jsonl")
    with pytest.raises(DataError, match="cleaning_functions:fail failed with KeyError: 'body'; the row was"):
        list(clean_chunks(rows, make_cleaning({"function": "cleaning_functions:fail"})))
    with pytest.raises(DataError, match="one of 2 processes that clean rows was ended"):
        list(clean_chunks(rows, make_cleaning({"function": "cleaning_functions:end_process"})))
    monkeypatch.setitem(__import__("sys").modules, "ftfy", None)
    with pytest.raises(MissingDependencyError):
        list(clean_chunks(rows, make_cleaning("fix_encoding")))


@pytest.mark.parametrize("order", [None, [4, 1, 2], [0, 3]])
def test_chunks_hold_every_row_once_and_are_cut_by_length_too(order, monkeypatch):
    monkeypatch.setattr(chunks, "CHARACTERS_AT_ONCE", 40)
    rows = load_rows([{"text": "字" * length} for length in (1, 50, 2, 3, 4)])
    rows = rows if order is None else rows.select(order)
    cut = list(cut_chunks(rows))
    assert [json.loads(text) for _, texts in cut for text in texts] == list(rows)
    assert [start for start, _ in cut] == [sum(len(texts) for _, texts in cut[:n]) for n in range(len(cut))]
    assert len(cut) > 1 or order == [0, 3]
