import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.data import Column, load_rows, prepare_rows
from ftkit.data.cleaning import drop_repetitions
from ftkit.data.cleaning.duplicates import find_equal
from ftkit.errors import RecipeError
from ftkit.recipe import DataSection, make_recipe
from ftkit.recipe.sections.cleaning import CleaningRule

COLUMNS = (
    Column("text", "text", required=True, meaning="a text"),
    Column("label", "label", required=False, meaning="its label"),
)


def drop(rows, rule):
    return drop_repetitions(load_rows(rows), CleaningRule.model_validate(rule), columns=COLUMNS)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ab月"), st.integers(0, 2)), min_size=1, max_size=20), st.booleans()
)
def test_the_first_of_equal_rows_stays(pairs, only_text):
    rows = [{"text": text, "label": label} for text, label in pairs]
    kept, changes = drop(rows, {"duplicates": {"columns": ["text"]}} if only_text else "duplicates")
    seen, expected = set(), []
    for row in rows:
        key = row["text"] if only_text else tuple(row.values())
        if key not in seen:
            expected.append(row)
        seen.add(key)
    assert list(kept) == expected
    assert len(kept) + sum(changes.counts.values()) == len(rows)


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(0, 2**64 - 1))
def test_equal_numbers_are_found_as_by_looking_through_all(small, salt):
    hashes = [(number * 0x9E3779B97F4A7C15 + salt) % 2**64 for number in small]
    expected = {(place, hashes.index(each)) for place, each in enumerate(hashes) if each in hashes[:place]}
    assert set(find_equal(np.array(hashes, dtype=np.uint64))) == expected


def test_the_record_says_which_row_is_repeated():
    section = DataSection(
        train=[{"text": "a"}, {"text": "春"}, {"text": "a"}], validation=None, clean=["duplicates"]
    )
    prepared = prepare_rows(section, seed=0, columns=COLUMNS)
    (entry,) = prepared.changes
    assert entry == {
        "split": "train",
        "source": "train[2]",
        "row": 2,
        "rule": "duplicates",
        "action": "dropped",
        "detail": "equal",
        "other": "train[0]",
        "before": {"text": "a"},
    }


def test_near_duplicates_of_real_poems_are_found(poems):
    poems = [poem for poem in poems if len(poem) > 60][:60]
    changed = [poem.replace("，", ",").replace(poem[10], "某", 1) for poem in poems[:20]]
    rows = [{"text": text, "label": "x"} for text in [*poems, *changed]]
    kept, changes = drop(rows, "near_duplicates")
    found = {entry["row"]: entry for entry in changes}
    assert len(found) >= 19
    assert all(row >= len(poems) for row in found)
    assert all(entry["other"] == row - len(poems) for row, entry in found.items())
    assert next(iter(found.values()))["detail"].startswith(("similarity 0.", "equal texts"))
    assert len(kept) + len(found) == len(rows)
    again, none = drop_repetitions(kept, CleaningRule.model_validate("near_duplicates"), columns=COLUMNS)
    assert list(again) == list(kept)
    assert list(none) == []


def test_duplicates_are_dropped_within_a_split_and_found_in_the_cache(cache, monkeypatch):
    rows = [{"text": f"row {index % 30} 行"} for index in range(90)]
    section = DataSection(train=rows, validation=0.3, test=rows[:5] * 2, clean=["duplicates"])
    first = prepare_rows(section, seed=0, columns=COLUMNS)
    assert len(first.splits["train"]) + len(first.splits["validation"]) == 30
    assert len(first.splits["test"]) == 5
    monkeypatch.setattr("ftkit.data.cleaning.duplicates._find", None)
    assert list(prepare_rows(section, seed=0, columns=COLUMNS).changes) == list(first.changes)


def test_rules_that_compare_rows_come_last(tmp_path):
    recipe = {
        "task": "causal-lm",
        "model": "m",
        "data": {"train": "x", "clean": ["duplicates", "white_space", "near_duplicates"]},
    }
    message = r"data.clean\[0\]: duplicates compares the rows .* move it behind white_space"
    with pytest.raises(RecipeError, match=message):
        make_recipe(recipe, folder=tmp_path)
