"""Near duplicates, beside comparing every record with every other one."""

import random
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data.near_duplicates import find_matches, find_repetitions, weigh_records
from ftkit.data.shingles import hash_shingles, normalize_text
from ftkit.data.signatures import choose_rows_per_band

WORDS = [*"月光明前床疑是地上霜123", "the", "a", "of", "river", "boat", "runs", "deep", "slow", "fast"]


@cache
def cut(text):
    return frozenset(hash_shingles([normalize_text(text)])[0].tolist())


def compare_slowly(one, other, weights):
    """The least weighted Jaccard similarity of the texts of two records."""
    similarities = []
    for left, right in zip(map(cut, one), map(cut, other), strict=True):
        shared, whole = (
            sum(weights.weigh(np.array([*pieces], dtype=np.uint64)))
            for pieces in (left & right, left | right)
        )
        similarities.append(1.0 if left == right else shared / whole if whole else 0.0)
    return min(similarities)


def make_texts(rng, number, length=20):
    return [" ".join(rng.choices(WORDS, k=rng.randint(3, length))) for _ in range(number)]


def change(rng, text, number):
    """Change some words of a text."""
    words = text.split()
    for _ in range(number):
        words[rng.randrange(len(words))] = f"x{rng.random()}"
    return " ".join(words)


@pytest.mark.parametrize("threshold", [0.5, 0.7, 0.8, 0.95])
@pytest.mark.parametrize("num_texts", [1, 2])
def test_all_and_only_those_are_found_that_comparing_all_pairs_finds(threshold, num_texts):
    rng = random.Random(num_texts)
    others = list(zip(*(make_texts(rng, 60) for _ in range(num_texts)), strict=True))
    near = [
        tuple(change(rng, text, rng.choice([0, 0, 1, 2])) for text in rng.choice(others)) for _ in range(60)
    ]
    records = near + list(zip(*(make_texts(rng, 20) for _ in range(num_texts)), strict=True))
    weights = weigh_records(records, others)
    found = {
        match.index: match for match in find_matches(records, others, threshold=threshold, weights=weights)
    }
    for index, record in enumerate(records):
        best = max(compare_slowly(record, other, weights) for other in others)
        if best >= threshold:
            assert found[index].similarity == pytest.approx(best)
            other = others[found[index].other]
            assert compare_slowly(record, other, weights) == pytest.approx(best)
        else:
            assert index not in found
    assert len(found) > 3


@given(st.lists(st.sampled_from(["春眠不觉晓", "春眠 不觉晓", "a b c d", "A  b c d", "", "b"]), max_size=12))
def test_equal_texts_are_found_whatever_their_length(texts):
    records = [(text,) for text in texts]
    matches = list(find_repetitions(records, threshold=1.0, weights=weigh_records(records)))
    normal = [normalize_text(text) for text in texts]
    expected = {index: normal.index(text) for index, text in enumerate(normal) if normal.index(text) < index}
    assert {match.index: match.other for match in matches if match.is_exact} == expected


def test_repetitions_point_back_and_are_those_of_comparing_all_pairs():
    rng = random.Random(5)
    texts = make_texts(rng, 50)
    records = [
        (text,) for text in texts + [change(rng, rng.choice(texts), rng.randint(0, 1)) for _ in range(80)]
    ]
    weights = weigh_records(records)
    found = {match.index: match for match in find_repetitions(records, threshold=0.8, weights=weights)}
    for index, record in enumerate(records):
        best = max((compare_slowly(record, other, weights) for other in records[:index]), default=0.0)
        assert (index in found) == (best >= 0.8)
        if index in found:
            assert found[index].other < index
            assert found[index].similarity == pytest.approx(best)


def test_batches_change_nothing(monkeypatch):
    rng = random.Random(3)
    others = [(text,) for text in make_texts(rng, 50)]
    records = [(change(rng, rng.choice(others)[0], 1),) for _ in range(50)]
    weights = weigh_records(records, others)
    at_once = list(find_matches(records, others, threshold=0.6, weights=weights))
    monkeypatch.setattr("ftkit.data.near_duplicates._MOST_RECORDS", 7)
    assert list(find_matches(iter(records), others, threshold=0.6, weights=weights)) == at_once
    assert at_once


def test_rows_of_a_template_that_differ_in_one_name_are_no_duplicates():
    prompts = [(f"I found a call of n{index}.join() in a script. What does it do?",) for index in range(200)]
    weights = weigh_records(prompts)
    assert list(find_matches(prompts[:100], prompts[100:], threshold=0.8, weights=weights)) == []


def test_rows_of_a_chinese_template_that_differ_in_one_name_are_no_duplicates():
    names = [chr(0x4E00 + 2 * index) + chr(0x4E01 + 2 * index) for index in range(200)]
    prompts = [(f"请用一句话说明{name}函数的作用，并举一个例子。",) for name in names]
    weights = weigh_records(prompts)
    assert list(find_matches(prompts[:100], prompts[100:], threshold=0.8, weights=weights)) == []


def test_one_other_word_in_a_short_row_is_no_duplicate_even_without_a_template():
    pairs = [("What does os.path.join() do?", "What does os.path.exists() do?"), ("法语词典", "德语词典")]
    for one, other in pairs:
        weights = weigh_records([(one,)], [(other,)])
        assert list(find_matches([(one,)], [(other,)], threshold=0.8, weights=weights)) == []


def test_a_variant_of_a_poem_is_a_duplicate():
    one = "三月雪連夜，未應傷物華。\n只緣春欲盡，留著伴棃花。"
    other = "三月雪連夜，未應傷物華。只緣春欲盡，留著伴梨花。"
    [match] = find_matches(
        [(one,)], [("床前明月光",), (other,)], threshold=0.8, weights=weigh_records([(one,)])
    )
    assert (match.index, match.other, match.is_exact) == (0, 1, False)


def test_questions_on_one_context_are_not_duplicates_of_each_other():
    context = "The river runs deep and slow. " * 10
    asked = [(context, "Where does the river run?"), (context, "How deep is it?")]
    held_out = [(context, "Is the water cold in winter?"), (context, "where does  the river run?")]
    weights = weigh_records(asked, held_out)
    [match] = find_matches(asked, held_out, threshold=0.8, weights=weights)
    assert (match.index, match.other, match.is_exact) == (0, 1, True)


def test_nothing_is_like_nothing():
    weights = weigh_records([("a",)])
    assert list(find_matches([("a",)], [], threshold=0.8, weights=weights)) == []
    assert list(find_repetitions([], threshold=0.8, weights=weights)) == []


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 0.99])
def test_bands_find_999_in_1000_at_the_threshold_wherever_64_hashes_can(threshold):
    rows = choose_rows_per_band(threshold)
    assert 64 % rows == 0
    assert 1 - (1 - threshold**rows) ** (64 // rows) >= 0.999 or rows == 1
