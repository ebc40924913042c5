"""What was found out about all rows is not found out again."""

import pytest

from ftkit.data import load_rows, remember
from ftkit.errors import DataError


@pytest.fixture
def rows(write, cache):
    return load_rows(write("rows.jsonl", '{"text": "春眠不觉晓"}\n{"text": "b"}\n'))


def fail():
    pytest.fail("found out again")


def test_a_finding_is_made_once(rows):
    assert remember(rows, "labels", lambda: [["ham", 2]], key={"version": 1}) == [["ham", 2]]
    assert remember(rows, "labels", fail, key={"version": 1}) == [["ham", 2]]


@pytest.mark.parametrize(("name", "key"), [("labels", {"version": 2}), ("columns", {"version": 1})])
def test_another_name_or_key_is_another_finding(rows, name, key):
    remember(rows, "labels", lambda: 1, key={"version": 1})
    assert remember(rows, name, lambda: 2, key=key) == 2


def test_other_rows_have_findings_of_their_own(rows):
    remember(rows, "labels", lambda: 1, key={})
    assert remember(rows.select([0]), "labels", lambda: 2, key={}) == 2


def test_nothing_is_kept_of_what_went_wrong(rows):
    def fail_once():
        raise DataError("rows.jsonl:1: wrong")

    with pytest.raises(DataError):
        remember(rows, "labels", fail_once, key={})
    assert remember(rows, "labels", lambda: 3, key={}) == 3


def test_of_rows_in_memory_nothing_is_kept(cache):
    rows = load_rows([{"text": "a"}])
    assert remember(rows, "labels", lambda: 1, key={}) == 1
    assert remember(rows, "labels", lambda: 2, key={}) == 2
    assert not list(cache.rglob("finding.json"))


def test_none_is_a_finding_too(rows):
    remember(rows, "checked", lambda: None, key={})
    assert remember(rows, "checked", fail, key={}) is None
