"""Which rows are held out, beside the slow and obvious way to say it."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ftkit.data.held_out import choose_by_number, choose_in_strata, choose_latest, count_different
from ftkit.errors import DataError

SHARES = st.floats(0.02, 0.98)


def number_all(contents):
    """Numbers of contents that look drawn at random, equal for equal ones."""
    return np.random.default_rng(0).permutation(2**16).astype(np.uint64)[contents] << np.uint64(48)


@st.composite
def strata_of_two_or_more(draw):
    """Contents by stratum: rows as (stratum, content), at least two different contents in each."""
    sizes = draw(st.lists(st.integers(2, 15), min_size=1, max_size=5))
    rows = [(place, 100 * place + index) for place, size in enumerate(sizes) for index in range(size)]
    repeated = draw(st.lists(st.sampled_from(rows), max_size=10))
    return draw(st.permutations(rows + repeated))


def split_strata(rows, setting):
    strata, contents = np.array(rows).T
    return choose_in_strata(number_all(contents), strata, setting)


def choose_slowly(rows, share):
    """The different rows of a stratum in order of their numbers, as many as the share says."""
    chosen = set()
    for stratum in {each for each, _ in rows}:
        contents = sorted(
            {content for each, content in rows if each == stratum}, key=lambda c: number_all([c])
        )
        quota = min(max(int(share * len(contents) + 0.5), 1), len(contents) - 1)
        chosen.update(contents[:quota])
    return [content in chosen for _, content in rows]


@given(strata_of_two_or_more(), SHARES)
def test_strata_are_split_as_the_slow_way_does(rows, share):
    assert split_strata(rows, share).tolist() == choose_slowly(rows, share)


@given(strata_of_two_or_more(), SHARES)
def test_every_stratum_is_on_both_sides_and_equal_rows_on_one(rows, share):
    chosen = split_strata(rows, share)
    for stratum in {each for each, _ in rows}:
        sides = {bool(side) for side, (each, _) in zip(chosen, rows, strict=True) if each == stratum}
        assert sides == {True, False}
    for content in {each for _, each in rows}:
        assert len({bool(side) for side, (_, each) in zip(chosen, rows, strict=True) if each == content}) == 1


@given(strata_of_two_or_more(), st.data())
def test_a_number_of_stratified_rows_is_met_exactly_and_in_proportion(rows, data):
    sizes = np.bincount([stratum for stratum, _ in set(rows)])
    number = data.draw(st.integers(len(sizes), int(sizes.sum()) - len(sizes)))
    chosen = split_strata(rows, number)
    held_out = {row for row, side in zip(rows, chosen, strict=True) if side}
    counts = np.bincount([stratum for stratum, _ in held_out], minlength=len(sizes))
    assert counts.sum() == number
    wanted = sizes * number / sizes.sum()
    if ((wanted >= 1) & (wanted <= sizes - 1)).all():  # no bound is in the way: largest remainder
        assert (abs(counts - wanted) < 1).all()
    assert ((counts >= 1) & (counts <= sizes - 1)).all()


@given(strata_of_two_or_more(), st.lists(st.integers(50, 70), min_size=1, unique=True), SHARES, st.data())
def test_added_rows_move_as_many_old_ones_of_their_stratum_at_most_and_no_others(rows, added, share, data):
    stratum = data.draw(st.sampled_from(sorted({each for each, _ in rows})))
    before = split_strata(rows, share)
    later = split_strata(rows + [(stratum, 100 * stratum + each) for each in added], share)[: len(rows)]
    moved = {row for row, old, new in zip(rows, before, later, strict=True) if old != new}
    assert {each for each, _ in moved} <= {stratum}
    assert len(moved) <= len(added)


@given(strata_of_two_or_more())
def test_different_rows_are_counted_by_stratum(rows):
    strata, contents = np.array(rows).T
    expected = [len({c for s, c in rows if s == each}) for each in range(strata.max() + 1)]
    assert count_different(number_all(contents), strata).tolist() == expected


@given(st.lists(st.integers(0, 12), min_size=2, max_size=40), st.integers(1, 30))
def test_whole_groups_are_taken_until_there_are_enough_rows(groups, number):
    numbers = number_all(groups)
    assume(len(set(groups)) > 1)
    chosen = choose_by_number(numbers, number, "data.test", whole=True)
    ordered = sorted(set(groups), key=lambda group: number_all([group]))
    taken = []
    while ordered and sum(groups.count(each) for each in taken) < number:
        taken.append(ordered.pop(0))
    assert chosen.tolist() == [group in taken for group in groups]


times = st.lists(st.integers(0, 20), min_size=2, max_size=40)


@given(times, SHARES)
def test_the_latest_rows_are_held_out_and_equal_times_stay_together(moments, share):
    assume(len(set(moments)) > 1)
    chosen = choose_latest(np.array(moments), share)
    assert chosen.any()
    assert not chosen.all()
    taken = [moment for moment, side in zip(moments, chosen, strict=True) if side]
    left = [moment for moment, side in zip(moments, chosen, strict=True) if not side]
    assert max(left) < min(taken)


@given(times, st.lists(st.integers(21, 40), min_size=1, max_size=20), SHARES)
def test_later_rows_bring_held_out_rows_over_and_never_the_other_way(moments, added, share):
    assume(len(set(moments)) > 1)
    before = choose_latest(np.array(moments), share)
    later = choose_latest(np.array(moments + added), share)[: len(moments)]
    assert not (later & ~before).any()


def test_as_many_latest_rows_are_held_out_as_asked():
    assert choose_latest(np.array([3, 1, 2, 5, 4]), 2).tolist() == [False, False, False, True, True]
    assert choose_latest(np.array([1, 2, 2, 2]), 2).tolist() == [False, True, True, True]


@pytest.mark.parametrize("setting", [0, -3])
def test_a_number_below_one_is_refused(setting):
    with pytest.raises(DataError, match=f"data.test: a number of rows is at least 1; found {setting}"):
        choose_by_number(number_all([1, 2]), setting, "data.test")
