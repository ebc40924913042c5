from collections import Counter

import numpy as np
import pytest
from tiny_models import make_byte_level_tokenizer, make_wordpiece_tokenizer

from ftkit.errors import ModelError
from ftkit.tasks.masking import Vocabulary, choose_hidden, read_vocabulary, replace_hidden

UNITS = [-1, 1, 0, 0, 1, 1, 0, -1, 0, 1]


def draw(units=UNITS, probability=0.15, number=4000):
    return np.array(
        [choose_hidden(units, probability, np.random.default_rng((7, each))) for each in range(number)]
    )


def test_special_tokens_are_never_hidden_and_words_always_as_a_whole():
    hidden = draw()
    assert not hidden[:, [0, 7]].any()
    for word in ([1, 2, 3], [5, 6]):
        assert (hidden[:, word].all(axis=1) == hidden[:, word].any(axis=1)).all()


def test_what_goes_on_behind_a_special_token_is_a_unit_of_its_own():
    hidden = draw()
    assert (hidden[:, 8] != hidden[:, 6]).any()
    assert not choose_hidden([0, 0], 0.15, np.random.default_rng(0)).sum() % 2


def test_the_rate_is_the_one_that_was_set():
    units = [1] * 5 + [0] * 3 + [1] * 192
    # 200 tokens in 2,000 draws: the standard error of the mean is 0.0006
    assert draw(units, number=2000).mean() == pytest.approx(0.15, abs=0.003)
    assert draw(units, 0.4, number=2000).mean() == pytest.approx(0.4, abs=0.004)


def test_a_short_text_has_at_least_one_word_hidden():
    assert (draw([-1, 1, 0, -1]).sum(axis=1) == 2).all()
    assert draw([-1, -1]).sum() == 0


def test_eight_in_ten_become_the_mask_one_random_and_one_stays():
    vocabulary = Vocabulary(4, np.arange(10, 1000), frozenset(range(10)))
    ids = [5] * 20_000  # never drawn: 5 is special
    hidden = np.arange(20_000) % 2 == 0
    replaced = replace_hidden(ids, hidden, vocabulary, np.random.default_rng(1))
    assert set(replaced[1::2]) == {5}
    counts = Counter("mask" if each == 4 else "same" if each == 5 else "random" for each in replaced[::2])
    # 10,000 draws: three standard errors are 0.012
    assert counts["mask"] / 10_000 == pytest.approx(0.8, abs=0.012)
    assert counts["random"] / 10_000 == pytest.approx(0.1, abs=0.009)
    assert all(each in (4, 5) or each >= 10 for each in replaced)


def test_special_tokens_and_the_unknown_one_are_neither_hidden_nor_drawn():
    tokenizer = make_wordpiece_tokenizer()
    vocabulary = read_vocabulary(tokenizer)
    assert vocabulary.mask == tokenizer.mask_token_id
    assert vocabulary.special == set(range(5))
    assert set(vocabulary.ordinary.tolist()) == set(tokenizer.get_vocab().values()) - vocabulary.special


def test_added_words_can_be_hidden():
    tokenizer = make_wordpiece_tokenizer()
    tokenizer.add_tokens(["catdog"])
    vocabulary = read_vocabulary(tokenizer)
    assert tokenizer.convert_tokens_to_ids("catdog") in vocabulary.ordinary


def test_a_tokenizer_without_a_mask_token_is_refused():
    with pytest.raises(ModelError, match="no mask token"):
        read_vocabulary(make_byte_level_tokenizer(["<s>"], eos_token="<s>"))
