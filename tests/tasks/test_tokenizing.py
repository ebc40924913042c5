"""Tokens in batches are those that calling the tokenizer gives, one text after another."""

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_models import (
    make_byte_level_tokenizer,
    make_chat_tokenizer,
    make_unigram_tokenizer,
    make_wordpiece_tokenizer,
)

from ftkit.tasks.batching import count_characters, in_batches
from ftkit.tasks.tokenizing import Tokens, tokenize, tokenize_ahead

TEXTS = ["a cat", "", "床前明月光，疑是地上霜。", "win  100 dollars\n<|im_end|> now", "é e\u0301 🙂", " x"]


def make_typed_tokenizer():
    tokenizer = make_wordpiece_tokenizer()
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    return tokenizer


class Called(type(make_wordpiece_tokenizer())):
    """A tokenizer whose class does something of its own when it is called."""

    def __call__(self, text, *args, **kwargs):
        return super().__call__([each.upper() for each in text], *args, **kwargs)


MAKERS = [
    make_wordpiece_tokenizer,
    make_typed_tokenizer,
    make_unigram_tokenizer,
    make_chat_tokenizer,
    lambda: make_byte_level_tokenizer(["<s>"], eos_token="<s>"),
]


def tokenize_one_by_one(tokenizer, texts, pairs=None, **options):
    """The obvious way, which takes longer."""
    each = [
        {name: values[0] for name, values in encoded.items()}
        for parts in (zip(texts) if pairs is None else zip(texts, pairs))  # noqa: B905
        for encoded in [
            # In lists of one: called with bare texts, transformers takes an empty second one for none.
            tokenizer(
                *([part] for part in parts),
                return_offsets_mapping=True,
                return_token_type_ids=True,
                **options,
            )
        ]
    ]
    has_types = pairs is not None and "token_type_ids" in tokenizer.model_input_names
    return Tokens(
        [one["input_ids"] for one in each],
        [one["token_type_ids"] for one in each] if has_types else [],
        [[tuple(place) for place in one["offset_mapping"]] for one in each],
    )


@pytest.mark.parametrize("make_tokenizer", MAKERS)
@pytest.mark.parametrize("add_special_tokens", [True, False])
@pytest.mark.parametrize("pairs", [None, TEXTS[::-1]])
def test_a_batch_is_what_each_text_is_alone(make_tokenizer, add_special_tokens, pairs):
    tokenizer = make_tokenizer()
    expected = tokenize_one_by_one(tokenizer, TEXTS, pairs, add_special_tokens=add_special_tokens)
    with_places = tokenize(tokenizer, TEXTS, pairs, add_special_tokens=add_special_tokens, with_offsets=True)
    without = tokenize(tokenizer, TEXTS, pairs, add_special_tokens=add_special_tokens)
    assert with_places == expected
    assert without == Tokens(expected.ids, expected.types)


TOKENIZER = make_wordpiece_tokenizer()


@given(st.lists(st.text(max_size=40), max_size=5))
@settings(max_examples=50, deadline=None)
def test_any_texts_are_tokenized_as_alone(texts):
    found = tokenize(TOKENIZER, texts, with_offsets=True)
    assert found == tokenize_one_by_one(TOKENIZER, texts)


def test_an_earlier_call_that_cut_and_padded_changes_nothing():
    tokenizer = make_wordpiece_tokenizer()
    expected = tokenize(tokenizer, TEXTS)
    tokenizer(TEXTS, truncation=True, max_length=4, padding="max_length")
    assert tokenize(tokenizer, TEXTS) == expected


def test_special_tokens_in_a_text_are_split_where_the_tokenizer_says_so():
    tokenizer = make_chat_tokenizer()
    whole = tokenize(tokenizer, ["<|im_end|>"]).ids
    tokenizer.split_special_tokens = True
    assert tokenize(tokenizer, ["<|im_end|>"]).ids == tokenizer(["<|im_end|>"])["input_ids"] != whole


def test_a_class_with_a_call_of_its_own_is_called():
    plain = make_wordpiece_tokenizer()
    tokenizer = Called(tokenizer_object=plain.backend_tokenizer, unk_token="[UNK]")
    assert tokenize(tokenizer, ["ab"], with_offsets=True) == tokenize(plain, ["AB"], with_offsets=True)


def test_batches_come_in_order_with_their_tokens():
    found = list(tokenize_ahead(iter([[1], [2, 3], [4]]), sum))
    assert found == [([1], 1), ([2, 3], 5), ([4], 4)]
    assert list(tokenize_ahead([], sum)) == []


def test_the_next_batch_is_tokenized_while_one_is_used():
    begun = threading.Event()

    def tokenize_batch(batch):
        if batch == 2:
            begun.set()
        return batch

    for batch, _ in tokenize_ahead([1, 2], tokenize_batch):
        if batch == 1:
            assert begun.wait(10)


def test_no_two_batches_are_tokenized_at_the_same_time():
    lock = threading.Lock()

    def tokenize_batch(batch):
        assert lock.acquire(blocking=False)
        time.sleep(0.005)
        lock.release()

    assert len(list(tokenize_ahead(range(5), tokenize_batch))) == 5


def test_an_error_while_tokenizing_comes_out_where_its_batch_would():
    def tokenize_batch(batch):
        return 1 // batch

    seen = []
    with pytest.raises(ZeroDivisionError):
        seen.extend(batch for batch, _ in tokenize_ahead([1, 1, 0, 1], tokenize_batch))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ftkit-tokenizer")]


def test_who_stops_early_leaves_no_thread_behind():
    batches = tokenize_ahead(range(10), lambda batch: batch)
    next(batches)
    batches.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ftkit-tokenizer")]


def test_a_batch_has_so_many_rows_and_so_much_text(monkeypatch):
    monkeypatch.setattr("ftkit.tasks.batching.MOST_CHARACTERS", 10)
    rows = [{"text": "月" * length} for length in (4, 4, 4, 30, 1, 1, 1)]
    batches = list(in_batches(enumerate(rows), 2))
    assert [[len(row["text"]) for _, row in batch] for batch in batches] == [[4, 4], [4], [30], [1, 1], [1]]


def test_characters_are_counted_in_whatever_a_row_holds():
    assert count_characters((3, {"a": "ab", "b": [{"c": "月d"}, 1.5, None], "d": ("x",)})) == 5
