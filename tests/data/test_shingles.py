"""Pieces of texts, beside the slow and obvious way to cut them."""

import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data.shingles import hash_shingles, normalize_text, weigh_shingles

TEXTS = st.text(alphabet="ab C1_.,-+ \n春眠ا한글👍é", max_size=20)


def cut_slowly(text):
    """Pairs of neighbouring words, the last word alone."""
    words = re.findall(r"[春眠👍+\-]|[ab c1_éا한글]+", text.replace("\n", " "))
    words = [each for word in words for each in word.split()]
    return list(zip(words, [*words[1:], None], strict=False))


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_pieces_are_those_of_the_slow_way(texts):
    normal = [normalize_text(text) for text in texts]
    hashes, bounds = hash_shingles(normal)
    found = [hashes[start:end].tolist() for start, end in zip(bounds, bounds[1:], strict=False)]
    expected = [cut_slowly(text) for text in normal]
    assert list(map(len, found)) == list(map(len, expected))
    names = {}
    for hash_value, piece in zip(sum(found, []), sum(expected, []), strict=True):
        assert names.setdefault(hash_value, piece) == piece
    assert len(set(names.values())) == len(names)


def test_the_same_text_has_the_same_pieces_wherever_it_stands():
    alone, _ = hash_shingles(["处处闻啼鸟"])
    among, bounds = hash_shingles(["a b", "处处闻啼鸟", ""])
    assert among[bounds[1] : bounds[2]].tolist() == alone.tolist()
    assert bounds.tolist() == [0, 2, 7, 7]


def test_hashes_are_the_same_in_every_process():
    assert hash_shingles(["春眠"])[0].tolist() == [6152180005645348731, 7094909345076952556]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ｆｕｌｌ　Width", "full width"),
        ("straße", "STRASSE"),
        ("two\n\n  lines\t", "two lines"),
        ("ﬁne", "fine"),
    ],
)
def test_form_case_and_space_do_not_matter(one, other):
    assert normalize_text(one) == normalize_text(other)


def test_signs_are_words_and_sentence_marks_are_not():
    def cut(text):
        return hash_shingles([text])[0].tolist()

    assert cut("1 + 1") != cut("1 - 1")
    assert cut("c++") != cut("c")
    assert cut("he said: “go”, (now)!") == cut("he said go now")
    assert cut("他说：“去”，（现在）！") == cut("他说去现在")


def test_a_long_word_is_told_from_another_one():
    assert hash_shingles(["x" * 200 + "a"])[0].tolist() != hash_shingles(["x" * 200 + "b"])[0].tolist()


def test_half_a_surrogate_pair_is_no_reason_to_fail():
    assert len(hash_shingles(["a \ud800 b"])[0]) == 2


def weigh_slowly(texts, piece):
    """Weight by the definition: in full up to 1 text of 100 (or 5 texts), 0 in all, by the logarithm."""
    count = max(Counter(p for text in texts for p in set(hash_shingles([text])[0].tolist()))[piece], 1)
    few = max(len(texts) / 100, 5)
    if len(texts) <= few:
        return 1.0
    return min(1.0, math.log(len(texts) / count) / math.log(len(texts) / few))


@given(st.lists(TEXTS.map(normalize_text), min_size=1, max_size=12), st.integers(1, 5))
def test_weights_are_those_of_the_slow_way(texts, batch_size):
    batches = [texts[start : start + batch_size] for start in range(0, len(texts), batch_size)]
    weights = weigh_shingles(batches)
    pieces = np.unique(hash_shingles(texts)[0])
    expected = [weigh_slowly(texts, piece) for piece in pieces.tolist()]
    assert weights.weigh(pieces).tolist() == pytest.approx(expected)


def test_a_piece_of_all_texts_weighs_nothing_and_one_of_a_tenth_half():
    texts = [f"n{number} of" + " common case" * (number % 100 < 10) for number in range(1000)]
    weights = weigh_shingles([texts])
    pieces = hash_shingles(["common case"])[0]
    assert weights.weigh(pieces)[0] == pytest.approx(0.5)
    assert weights.weigh(hash_shingles(["n7 of"])[0])[0] == 1.0
    assert weigh_shingles([["the same"] * 100]).weigh(hash_shingles(["the same"])[0]).tolist() == [0.0, 0.0]
