import random

import pytest
from tiny_models import make_byte_level_tokenizer, make_wordpiece_tokenizer

from ftkit.tasks.windows import choose_owners, cut_windows, find_special_tokens


def draw_rows(number):
    draw = random.Random(7)
    for _ in range(number):
        limit = draw.randint(1, 12)
        sizes = [draw.randint(1, limit) for _ in range(draw.randint(0, 30))]
        yield sizes, limit, draw.randint(0, limit)


def test_windows_cover_every_unit_within_the_limit_and_each_brings_a_new_one():
    for sizes, limit, overlap in draw_rows(500):
        windows = cut_windows(sizes, limit, overlap)
        assert {unit for window in windows for unit in window} == set(range(len(sizes)))
        assert all(sum(sizes[unit] for unit in window) <= limit for window in windows)
        stops = [window.stop for window in windows]
        assert stops == sorted(set(stops))


def test_neighbours_share_at_most_the_overlap_and_as_much_as_fits():
    for sizes, limit, overlap in draw_rows(500):
        windows = cut_windows(sizes, limit, overlap)
        for first, second in zip(windows, windows[1:], strict=False):
            shared = sum(sizes[second.start : first.stop])
            assert shared <= overlap
            # One unit more would be too much overlap, or leave no room for the next new unit.
            more = shared + sizes[second.start - 1]
            is_full = more > min(overlap, limit - sizes[first.stop])
            assert is_full or second.start == first.start + 1


def test_single_tokens_are_cut_as_the_tokenizers_own_overflow_cuts_them():
    tokenizer = make_wordpiece_tokenizer()
    text = " ".join(random.Random(1).choices(["the", "cat", "sat", "on", "mat"], k=40))
    plain = tokenizer(text, add_special_tokens=False)["input_ids"]
    special = find_special_tokens(tokenizer)
    for limit, overlap in ((10, 0), (10, 3), (17, 5), (42, 10), (64, 8)):
        own = tokenizer(
            text, max_length=limit, stride=overlap, truncation=True, return_overflowing_tokens=True
        )["input_ids"]
        windows = cut_windows([1] * len(plain), limit - special.number, overlap)
        ours = [[*special.before, *plain[window.start : window.stop], *special.after] for window in windows]
        assert ours == own


def test_a_row_that_fits_is_one_window_and_an_empty_one_too():
    assert cut_windows([2, 3], 5, 4) == [range(2)]
    assert cut_windows([], 5, 4) == [range(0)]


def find_owner_slowly(windows, sizes, unit):
    contexts = []
    for number, window in enumerate(windows):
        if unit in window:
            before = sum(sizes[other] for other in window if other < unit)
            behind = sum(sizes[other] for other in window if other > unit)
            contexts.append((-min(before, behind), number))
    return min(contexts)[1]


def test_a_unit_belongs_to_the_window_where_it_has_most_context():
    for sizes, limit, overlap in draw_rows(300):
        windows = cut_windows(sizes, limit, overlap)
        expected = [find_owner_slowly(windows, sizes, unit) for unit in range(len(sizes))]
        assert choose_owners(windows, sizes) == expected


@pytest.mark.parametrize("pair", [False, True])
def test_special_tokens_are_those_around_and_between(pair):
    tokenizer = make_wordpiece_tokenizer()
    special = find_special_tokens(tokenizer, pair=pair)
    first, second = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("cat", "the dog"))
    expected = tokenizer("cat", "the dog") if pair else tokenizer("cat")
    ours = [*special.before, *first, *special.between, *(second if pair else []), *special.after]
    assert ours == expected["input_ids"]
    assert special.number == len(ours) - len(first) - (len(second) if pair else 0)


def test_a_tokenizer_without_special_tokens_has_none():
    special = find_special_tokens(make_byte_level_tokenizer(["<s>"], eos_token="<s>"))
    assert (special.before, special.between, special.after, special.number) == ([], [], [], 0)
