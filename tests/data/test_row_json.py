import datetime
import decimal
import hashlib
import json
import math
import random
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data.row_json import (
    BrokenRow,
    hash_row,
    name_place,
    parse_row,
    read_stored,
    show_place,
    write_row,
    write_rows,
)

texts = st.text(st.characters(exclude_categories=("Cs",)))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)
rows = st.dictionaries(texts, values, max_size=5)


def exactly(value):
    """Text that differs where == does not: 1, 1.0 and True, the order of keys, -0.0."""
    return repr(value)


@given(rows)
def test_a_row_comes_back_exactly_as_it_was_written(row):
    text = write_row(row)
    assert exactly(parse_row(text)) == exactly(row)
    assert exactly(read_stored(text)) == exactly(row)


@given(rows, st.randoms(use_true_random=False))
def test_the_hash_depends_on_the_content_and_not_on_the_order_of_keys(row, chance):
    names = list(row)
    chance.shuffle(names)
    assert hash_row({name: row[name] for name in names}) == hash_row(row)


@given(rows, rows)
def test_rows_have_one_hash_exactly_when_their_json_is_the_same(first, second):
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (hash_row(first) == hash_row(second)) == same


def test_the_hash_stays_the_same_so_that_rows_stay_in_their_split():
    content = "json 5 1 label1text 4 5 text床前明月光"
    digest = hashlib.blake2b(content.encode(), digest_size=8).digest()
    assert hash_row({"text": "床前明月光", "label": 1}) == int.from_bytes(digest, "little")
    assert hash_row({"text": "床前明月光", "label": 1}) == 17767438493173616544


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "1"}, {"a": 1}),
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {"a": True}),
        ({"a": "b", "c": ""}, {"a": "", "cb": ""}),
        ({"a": None}, {}),
        ({"a": "null"}, {"a": None}),
    ],
)
def test_rows_that_are_nearly_the_same_have_different_hashes(one, other):
    assert hash_row(one) != hash_row(other)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1,}', "broken JSON: Expecting property name enclosed in double quotes, at column 9"),
        ('{"a": 1} {"a": 2}', "broken JSON: Extra data"),
        ("", "broken JSON"),
        ("[1]", "is a list, not an object"),
        ('"a"', "is a text, not an object"),
        ("12", "is a number, not an object"),
        ("true", "is true or false, not an object"),
        ("null", "is null, not an object"),
        ('{"a": NaN}', "holds the number NaN, which JSON does not have"),
        ('{"a": [-Infinity]}', "holds the number -Infinity"),
        ('{"a": 1, "a": 2}', "has the key 'a' twice"),
        ('{"a": {"b": 1, "b": 1}}', "has the key 'b' twice"),
        ('{"a": ' + "1" * 5000 + "}", "more than 4,300 digits"),
        ('{"a": ' + "[" * 200_000, "is nested too deeply"),
    ],
)
def test_what_is_no_row_is_refused_with_the_reason(text, problem):
    with pytest.raises(BrokenRow) as caught:
        parse_row(text)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (r'{"a": "\ud83d"}', r"half a surrogate pair (\ud83d)"),
        (r'{"\udc00": 1}', r"half a surrogate pair (\udc00)"),
        (r'{"a": ["\udfff"]}', r"half a surrogate pair (\udfff)"),
        ('{"a": 1e999}', "too large for a float"),
    ],
)
def test_json_that_cannot_be_kept_is_refused_with_the_reason(text, problem):
    with pytest.raises(BrokenRow) as caught:
        hash_row(parse_row(text))
    assert problem in str(caught.value)


def test_an_escaped_pair_of_surrogates_is_one_character():
    row = parse_row(r'{"a": "\ud83d\ude00"}')
    assert row == {"a": "😀"}
    assert hash_row(row) == hash_row({"a": "😀"})


def test_the_place_of_a_break_is_shown_on_one_line():
    assert show_place('{"a":\n "b" "c"}', 11) == '{"a": "b" >>>HERE>>> "c"}'


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (datetime.datetime(2026, 11, 23, 18, 5, tzinfo=datetime.timezone.utc), "2026-11-23T18:05:00+00:00"),
        (datetime.date(2026, 11, 23), "2026-11-23"),
        (datetime.time(18, 5), "18:05:00"),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ("床前".encode(), "床前"),
        ((1, (2, "3")), [1, [2, "3"]]),
        (np.int64(3), 3),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.datetime64("2026-11-23T18:05:00", "ns"), "2026-11-23T18:05:00.000000000"),
        (np.array(["2026-11-23"], dtype="datetime64[D]"), ["2026-11-23"]),
        ({"a": np.int8(1)}, {"a": 1}),
    ],
)
def test_values_that_json_lacks_are_converted_as_documented(value, kept):
    result = parse_row(write_row({"column": value}))["column"]
    assert exactly(result) == exactly(kept)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"a": 1, "b": math.nan}, "column 'b' holds NaN or infinity"),
        ({"b": [math.inf]}, "column 'b' holds NaN or infinity"),
        ({"b": b"\xff\xd8\xff"}, "column 'b' holds 3 bytes that are not UTF-8 text"),
        ({"b": {1, 2}}, "column 'b' holds a set"),
        ({"b": datetime.timedelta(1)}, "column 'b' holds a timedelta"),
        ({"b": np.timedelta64(1, "s")}, "column 'b' holds a timedelta64"),
        ({3: 1}, "has a column named 3"),
    ],
)
def test_values_that_cannot_be_kept_are_refused_by_column(row, problem):
    with pytest.raises(BrokenRow) as caught:
        write_row(row)
    assert problem in str(caught.value)


def test_a_missing_time_of_pandas_is_refused():
    import pandas as pd

    with pytest.raises(BrokenRow, match="holds NaT"):
        write_row({"a": pd.NaT})


def test_broken_rows_among_good_ones_keep_their_index():
    found = list(write_rows([{"a": 1}, {"a": math.nan}, {"a": 2}]))
    assert [place for place, _ in found] == [~0, ~1, ~2]
    assert isinstance(found[1][1], BrokenRow)
    assert found[2][1] == '{"a": 2}'


def test_a_place_is_a_line_from_one_or_an_index_from_zero():
    assert name_place("data/train.jsonl", 1042) == "data/train.jsonl:1042"
    assert name_place("train", ~5) == "train[5]"


def test_hashes_of_many_rows_do_not_collide():
    chance = random.Random(0)
    many = [{"text": str(chance.random()), "label": chance.random()} for _ in range(20_000)]
    assert len({hash_row(row) for row in many}) == len(many)
