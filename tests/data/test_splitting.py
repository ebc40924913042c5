import hashlib
import logging
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data import load_rows, prepare_rows, split_rows
from ftkit.data.split_columns import hash_values
from ftkit.data.splitting import make_split_numbers
from ftkit.errors import DataError
from ftkit.recipe.sections import DataSection, SplitSection

MASK = 2**64 - 1


def make_number_slowly(row_hash, seed, name):
    """The number of one row, in whole numbers of Python."""
    salt = hashlib.blake2b(f"{name}:{seed}".encode(), digest_size=8).digest()
    number = row_hash ^ int.from_bytes(salt, "little")
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        number ^= number >> 33
        number = number * factor & MASK
    return number ^ number >> 33


def make_table(num_rows, start=0):
    return load_rows(
        [{"text": f"月 {index}", "label": index % 3} for index in range(start, start + num_rows)]
    )


def read_keys(rows):
    return [repr(row) for row in rows]


@given(st.lists(st.integers(0, MASK), min_size=1), st.integers(0, 2**40), st.sampled_from(["test", "验证"]))
def test_numbers_are_those_of_the_slow_way(hashes, seed, name):
    found = make_split_numbers(np.array(hashes, dtype=np.uint64), seed, name)
    assert found.tolist() == [make_number_slowly(each, seed, name) for each in hashes]


contents = st.lists(st.integers(0, 30), min_size=2, max_size=60)


@given(contents, st.floats(0.01, 0.99), st.integers(0, 5))
def test_a_split_is_a_partition_in_order_without_equal_rows_on_both_sides(numbers, share, seed):
    if len(set(numbers)) < 2:
        return
    rows = load_rows([{"a": number} for number in numbers])
    left, taken = split_rows(rows, share, seed=seed)
    assert left
    assert taken
    assert sorted([row["a"] for row in left] + [row["a"] for row in taken]) == sorted(numbers)
    assert not {row["a"] for row in left} & {row["a"] for row in taken}
    for part in (left, taken):
        assert part.indices.tolist() == sorted(part.indices.tolist())


@given(contents, contents, st.floats(0.05, 0.95), st.integers(0, 5))
def test_a_share_moves_no_row_when_rows_are_added(numbers, added, share, seed):
    def decide(each):
        rows = load_rows([{"a": number} for number in each])
        split_numbers = make_split_numbers(rows.hashes, seed, "validation")
        left, taken = split_rows(rows, share, seed=seed)
        is_by_chance = not (split_numbers.min() < share * 2**64 < split_numbers.max())
        return {row["a"] for row in left}, {row["a"] for row in taken}, is_by_chance

    if len(set(numbers)) < 2:
        return
    left, taken, is_by_chance = decide(numbers)
    left_later, taken_later, is_by_chance_later = decide(numbers + added)
    if not (is_by_chance or is_by_chance_later):
        assert left <= left_later
        assert taken <= taken_later


@given(contents, st.integers(1, 10), st.integers(0, 5))
def test_a_number_takes_so_many_different_rows_with_all_their_repetitions(numbers, number, seed):
    rows = load_rows([{"a": each} for each in numbers])
    if number >= len(set(numbers)):
        with pytest.raises(DataError):
            split_rows(rows, number, seed=seed)
        return
    left, taken = split_rows(rows, number, seed=seed)
    assert len({row["a"] for row in taken}) == number
    assert not {row["a"] for row in left} & {row["a"] for row in taken}
    assert len(left) + len(taken) == len(numbers)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9])
def test_a_share_is_about_that_share_of_the_rows(share):
    rows = make_table(20_000)
    _, taken = split_rows(rows, share, seed=3)
    deviation = (20_000 * share * (1 - share)) ** 0.5
    assert abs(len(taken) - 20_000 * share) < 5 * deviation  # 5 sigma of a binomial


def test_rows_stay_in_their_split_wherever_they_come_from(write):
    lines = write("a.jsonl", "".join(f'{{"label":{n},"text":"{n}"}}\n' for n in range(200)))
    memory = [{"text": str(n), "label": n} for n in reversed(range(200))]
    from_file = split_rows(load_rows(lines), 0.2, seed=1)[1]
    from_memory = split_rows(load_rows(memory), 0.2, seed=1)[1]
    assert {row["text"] for row in from_file} == {row["text"] for row in from_memory}


def test_renamed_columns_do_not_move_rows():
    table = [{"body": str(n)} for n in range(100)]
    renamed = split_rows(load_rows(table, columns={"text": "body"}), 0.2, seed=1)[1]
    assert [row["text"] for row in renamed] == [
        row["body"] for row in split_rows(load_rows(table), 0.2, seed=1)[1]
    ]


def test_another_seed_and_another_name_take_other_rows():
    rows = make_table(1000)
    taken = [
        read_keys(split_rows(rows, 0.2, seed=seed, name=name)[1])
        for seed, name in ((1, "test"), (2, "test"), (1, "validation"))
    ]
    assert taken[0] == read_keys(split_rows(rows, 0.2, seed=1, name="test")[1])
    assert len({tuple(each) for each in taken}) == 3


def test_a_second_split_of_the_same_name_is_a_bug_and_not_an_empty_split():
    left, _ = split_rows(make_table(1000), 0.2, seed=1)
    with pytest.raises(ValueError, match="was split off these rows before"):
        split_rows(left, 0.2, seed=1)


def test_a_small_table_gives_and_keeps_at_least_one_row():
    for seed in range(50):
        for num_rows in (2, 3, 5):
            for share in (0.01, 0.99):
                left, taken = split_rows(make_table(num_rows), share, seed=seed)
                assert min(len(left), len(taken)) >= 1


@pytest.mark.parametrize(
    ("table", "setting", "message"),
    [
        ([{"a": 1}], 0.1, "data.validation: 0.1 leaves no rows to train on; there are 1 rows; set a smaller"),
        ([{"a": 1}] * 9, 0.1, "leaves no rows to train on; there are 9 rows, 1 different; set a smaller"),
        ([{"a": 1}, {"a": 2}], 2, "data.validation: 2 leaves no rows to train on; there are 2 rows; set"),
        ([{"a": 1}, {"a": 2}], 500, "data.validation: 500 leaves no rows to train on; there are 2 rows; set"),
        ([{"a": 1}, {"a": 2}], 0, "data.validation: a number of rows is at least 1; found 0"),
        ([{"a": 1}, {"a": 2}], 1.0, "data.validation: a share is above 0 and below 1; found 1.0"),
        ([{"a": 1}, {"a": 2}], 0.0, "data.validation: a share is above 0 and below 1; found 0.0"),
    ],
)
def test_a_split_that_leaves_no_rows_is_refused(table, setting, message):
    with pytest.raises(DataError) as caught:
        split_rows(load_rows(table), setting, seed=0)
    assert message in str(caught.value)


def test_how_many_rows_are_split_off_is_said(caplog):
    with caplog.at_level(logging.INFO):
        split_rows(make_table(1500), 100, seed=0, name="test")
    assert "test: 100 of 1,500 rows, split off by content" in caplog.text


def make_section(train, validation=None, test=None, columns=None, **split):
    return DataSection(
        train=train, validation=validation, test=test, columns=columns or {}, split=SplitSection(**split)
    )


def load_splits(section, *, seed):
    return prepare_rows(section, seed=seed).splits


def test_splits_are_what_the_recipe_names(write):
    for name in ("train", "validation", "test"):
        write(f"{name}.jsonl", f'{{"body": "{name}"}}\n')
    section = make_section("train.jsonl", "validation.jsonl", "test.jsonl", {"text": "body"})
    splits = load_splits(section, seed=0)
    assert {name: list(rows) for name, rows in splits.items()} == {
        name: [{"text": name}] for name in ("train", "validation", "test")
    }


def test_splits_that_the_recipe_does_not_want_are_not_there():
    assert list(load_splits(make_section([{"a": 1}]), seed=0)) == ["train"]


def test_shares_are_of_all_rows_and_do_not_overlap():
    table = [{"a": number} for number in range(10_000)]
    splits = load_splits(make_section(table, 0.25, 0.5), seed=0)
    sizes = {name: len(rows) for name, rows in splits.items()}
    assert sum(sizes.values()) == 10_000
    assert sorted(row["a"] for rows in splits.values() for row in rows) == list(range(10_000))
    for name, share in (("train", 0.25), ("validation", 0.25), ("test", 0.5)):
        assert abs(sizes[name] - 10_000 * share) < 250  # 5 sigma of a binomial


def test_the_test_rows_do_not_depend_on_the_validation_rows():
    table = [{"a": number} for number in range(500)]
    alone = load_splits(make_section(table, test=50), seed=0)["test"]
    beside = load_splits(make_section(table, 0.1, 50), seed=0)["test"]
    assert list(alone) == list(beside)


def test_shares_that_leave_nothing_to_train_on_are_refused():
    with pytest.raises(
        DataError, match="data.validation: 50%, beside 50% for test, leaves no rows to train on"
    ):
        load_splits(make_section([{"a": number} for number in range(100)], 0.5, 0.5), seed=0)


def test_a_validation_file_is_called_by_its_split(write):
    splits = load_splits(make_section([{"a": 1}], [{"a": 2}]), seed=0)
    assert splits["validation"].where(0) == "validation[0]"


def test_groups_are_split_alike_in_every_file_and_language():
    table = [{"文": f"段 {number // 3}", "n": number} for number in range(600)]
    _, taken = split_rows(load_rows(table), 0.2, seed=1, by="group", column="文")
    _, later = split_rows(load_rows(list(reversed(table))), 0.2, seed=1, by="group", column="文")
    assert {row["n"] for row in taken} == {row["n"] for row in later}


groups = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 30)), min_size=2, max_size=60)


def load_groups(pairs):
    return load_rows([{"group": group, "a": content} for group, content in pairs])


@given(groups, st.one_of(st.floats(0.05, 0.95), st.integers(1, 20)), st.integers(0, 5))
def test_no_group_is_on_both_sides(pairs, setting, seed):
    if len({group for group, _ in pairs}) < 2:
        return
    try:
        left, taken = split_rows(load_groups(pairs), setting, seed=seed, by="group", column="group")
    except DataError as error:
        assert isinstance(setting, int)
        assert "leaves no rows to train on" in str(error)  # noqa: PT017 - a share never leaves none
        return
    assert len(left) + len(taken) == len(pairs)
    assert not {row["group"] for row in left} & {row["group"] for row in taken}


@given(groups, groups, st.floats(0.05, 0.95), st.integers(0, 5))
def test_a_share_of_groups_moves_no_group_when_rows_are_added(pairs, added, share, seed):
    def decide(each):
        rows = load_groups(each)
        numbers = make_split_numbers(hash_values(rows, "group"), seed, "validation")
        left, taken = split_rows(rows, share, seed=seed, by="group", column="group")
        is_by_chance = not (numbers.min() < share * 2**64 < numbers.max())
        return {row["group"] for row in left}, {row["group"] for row in taken}, is_by_chance

    if len({group for group, _ in pairs}) < 2:
        return
    left, taken, is_by_chance = decide(pairs)
    left_later, taken_later, is_by_chance_later = decide(pairs + added)
    if not (is_by_chance or is_by_chance_later):
        assert left <= left_later
        assert taken <= taken_later


def test_groups_much_larger_than_the_share_are_said(caplog):
    rows = load_rows([{"group": number % 2, "n": number} for number in range(100)])
    _, taken = split_rows(rows, 0.1, seed=0, by="group", column="group")
    assert len(taken) == 50
    message = "groups of 'group' are large: 10.0% of the rows were asked for, whole groups have 50.0%"
    assert message in caplog.text


def test_every_label_keeps_its_share():
    rows = load_rows([{"label": "稀" if number % 20 == 0 else "常", "n": number} for number in range(2000)])
    left, taken = split_rows(rows, 0.1, seed=0, by="stratified")
    assert Counter(row["label"] for row in taken) == {"稀": 10, "常": 190}
    assert Counter(row["label"] for row in left) == {"稀": 90, "常": 1710}


def test_numbers_and_lists_can_be_strata():
    rows = load_rows([{"kinds": [number % 3], "n": number} for number in range(90)])
    _, taken = split_rows(rows, 9, seed=0, by="stratified", column="kinds")
    assert Counter(row["kinds"][0] for row in taken) == {0: 3, 1: 3, 2: 3}


def test_the_latest_rows_are_held_out(caplog):
    table = [{"date": f"2024-{month:02}-15", "n": month} for month in range(1, 11)]
    with caplog.at_level(logging.INFO):
        left, taken = split_rows(load_rows(table), 0.2, seed=0, by="time", column="date")
    assert [row["n"] for row in taken] == [9, 10]
    assert [row["n"] for row in left] == list(range(1, 9))
    assert "validation: 2 of 10 rows, split off by time: 'date' from 2024-09-15 on" in caplog.text


def test_test_rows_come_after_validation_rows_and_those_after_the_others():
    table = [{"date": 10**9 + number, "n": number} for number in range(100)]
    splits = load_splits(make_section(table, 0.1, 0.1, by="time", column="date"), seed=0)
    assert [row["n"] for row in splits["test"]] == list(range(90, 100))
    assert [row["n"] for row in splits["validation"]] == list(range(80, 90))


def test_two_splits_by_group_share_no_group():
    table = [{"group": number // 4, "n": number} for number in range(400)]
    splits = load_splits(make_section(table, 0.2, 0.2, by="group", column="group"), seed=0)
    found = [{row["group"] for row in rows} for rows in splits.values()]
    assert sum(map(len, found)) == len(set().union(*found)) == 100


def test_a_column_is_found_by_the_files_name_too():
    rows = load_rows([{"body": f"{n}", "kind": n % 2} for n in range(40)], columns={"label": "kind"})
    by_task, by_file = (
        split_rows(rows, 0.2, seed=0, by="stratified", column=name)[1] for name in ("label", "kind")
    )
    assert read_keys(by_task) == read_keys(by_file)


@pytest.mark.parametrize(
    ("table", "how", "message"),
    [
        (
            [{"contxt": 1, "a": 2}, {"contxt": 2}],
            {"by": "group", "column": "context"},
            "data.split.column: train has no column 'context'; did you mean 'contxt'? the columns are "
            "'contxt', 'a'",
        ),
        (
            [{"group": "x", "n": n} for n in range(3)],
            {"by": "group", "column": "group"},
            "data.split.column: 'group' is the same in all 3 rows, so that no group of them can be held out",
        ),
        (
            [{"group": "x", "n": 1}, {"group": None, "n": 2}, {"n": 3}, {"group": "", "n": 4}],
            {"by": "group", "column": "group"},
            "train: 3 problems in 4 rows:\n  train[1]: column 'group' is null\n  train[2]: column 'group' is "
            "missing\n  train[3]: column 'group' is empty\ndata.split.column needs a value in every row",
        ),
        (
            [
                {"label": "a", "n": 1},
                {"label": "a", "n": 2},
                {"label": "稀", "n": 3},
                {"label": "稀", "n": 3},
            ],
            {"by": "stratified"},
            "data.validation: 1 of 2 values of 'label' have one row (repetitions aside) where a stratified "
            "split needs one for each side: '稀'. Add rows",
        ),
        (
            [{"date": "2024-01-01"}, {"date": "31/01/2024"}, {"date": 17}],
            {"by": "time", "column": "date"},
            "train[1]: column 'date' is '31/01/2024', which is no time. Write times like these: 2024-01-31, ",
        ),
        (
            [{"date": "2024-01-01", "n": n} for n in range(3)],
            {"by": "time", "column": "date"},
            "data.split.column: 'date' is 2024-01-01 in all 3 rows, so that none is later",
        ),
    ],
)
def test_a_column_that_cannot_split_is_refused(table, how, message):
    with pytest.raises(DataError) as caught:
        split_rows(load_rows(table), 0.5, seed=0, **how)
    assert message in str(caught.value)


def test_a_number_that_does_not_reach_every_label_is_refused():
    rows = load_rows([{"label": n % 5, "n": n} for n in range(20)])
    message = "between 5 and 15 rows can be held out; found 4"
    with pytest.raises(DataError, match=message):
        split_rows(rows, 4, seed=0, by="stratified")


def test_a_number_of_the_latest_rows_that_leaves_none_is_refused():
    rows = load_rows([{"date": 2000 + n} for n in range(5)])
    with pytest.raises(DataError, match="data.validation: 5 leaves no rows to train on"):
        split_rows(rows, 5, seed=0, by="time", column="date")


def test_a_split_that_has_nothing_to_decide_is_said(caplog):
    load_splits(make_section([{"a": 1}], [{"a": 2}], by="stratified"), seed=0)
    assert "data.split: by: stratified does nothing, since no split is a share or a number" in caplog.text
