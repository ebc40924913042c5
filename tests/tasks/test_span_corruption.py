"""Spans are taken out, and nothing is lost."""

import numpy as np
import pytest
from tiny_models import make_byte_level_tokenizer

from ftkit.errors import ModelError
from ftkit.tasks.span_corruption import choose_length, corrupt, count_noise, find_sentinels

END = 1
SENTINELS = list(range(900, 1000))


def draw(number, seed=0):
    tokens = list(range(10, 10 + number))
    return tokens, *corrupt(tokens, SENTINELS, END, np.random.default_rng(seed))


def restore(source, target):
    """Put the spans back, the slow and obvious way."""
    spans, current = {}, None
    for token in target[:-1]:
        if token in SENTINELS:
            current = spans.setdefault(token, [])
        else:
            current.append(token)
    return [piece for token in source[:-1] for piece in spans.get(token, [token])]


@pytest.mark.parametrize("number", [2, 3, 5, 17, 100, 512])
def test_source_and_target_together_are_the_text(number):
    for seed in range(5):
        tokens, source, target = draw(number, seed)
        assert restore(source, target) == tokens
        assert source[-1] == target[-1] == END


@pytest.mark.parametrize("number", [2, 3, 5, 17, 100, 512])
def test_as_many_tokens_and_spans_are_taken_out_as_counted(number):
    _, source, target = draw(number)
    num_noise, num_spans = count_noise(number)
    assert sum(token in SENTINELS for token in source) == num_spans
    assert [token for token in target if token in SENTINELS] == SENTINELS[:num_spans]
    assert len(target) == num_noise + num_spans + 1


def test_the_share_and_the_mean_length_are_those_of_the_paper():
    assert count_noise(512) == (77, 26)  # 15 % of 512; 77 / 3


def test_the_same_seed_draws_the_same_spans_and_another_one_others():
    assert draw(100, 3) == draw(100, 3)
    assert draw(100, 3) != draw(100, 4)


def test_every_token_is_taken_out_now_and_then():
    taken = set()
    for seed in range(400):
        tokens, _, target = draw(20, seed)
        taken |= set(target) & set(tokens)
    assert taken == set(tokens)


@pytest.mark.parametrize(
    ("longest", "longest_target", "sentinels"), [(512, 128, 100), (64, 12, 100), (512, 500, 5)]
)
def test_the_chosen_length_fits_and_one_more_would_not(longest, longest_target, sentinels):
    def fits(length):
        num_noise, num_spans = count_noise(length)
        source, target = length - num_noise + num_spans + 1, num_noise + num_spans + 1
        return source <= longest and target <= longest_target and num_spans <= sentinels

    length = choose_length(longest, longest_target, sentinels)
    assert fits(length)
    assert not fits(length + 1)


def test_t5s_usual_length_is_found():
    assert choose_length(512, 114, 100) == 568  # the values of T5's own configuration


def test_the_sentinels_are_found_in_their_order():
    tokenizer = make_byte_level_tokenizer(["<pad>", "<extra_id_1>", "<extra_id_0>"], pad_token="<pad>")
    assert find_sentinels(tokenizer, 5) == [2, 1]


def test_a_tokenizer_without_sentinels_is_refused():
    with pytest.raises(ModelError, match=r"<extra_id_0>.*model\.new_tokens"):
        find_sentinels(make_byte_level_tokenizer(["<pad>"], pad_token="<pad>"), 5)
