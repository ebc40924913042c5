"""Texts, pairs, and what is made of those that are too long."""

import pytest
import torch
from tiny_models import make_unigram_tokenizer, make_wordpiece_tokenizer

from ftkit.tasks.protocol import Encoding
from ftkit.tasks.text_encoding import (
    collate_texts,
    compute_logits,
    count_weights,
    make_encode,
    pool_windows,
    share_room,
)
from ftkit.tasks.windows import cut_middle

LONG = "the cat sat on the mat now good bad dog"


def make_typed_tokenizer():
    """A tokenizer that tells the two texts of a pair apart, as those of BERT do."""
    tokenizer = make_wordpiece_tokenizer()
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    return tokenizer


def encode(rows, tokenizer=None, **options):
    rejected = []
    encoding = Encoding(**{"max_tokens": 8, "too_long": "truncate", "labelled": False, **options})
    reject = lambda *entry: rejected.append(entry)  # noqa: E731
    tokenizer = tokenizer or make_typed_tokenizer()
    return list(
        make_encode(lambda row, _: row["label"])(enumerate(rows), tokenizer, encoding, reject)
    ), rejected


@pytest.mark.parametrize(
    "make_tokenizer", [make_typed_tokenizer, make_wordpiece_tokenizer, make_unigram_tokenizer]
)
def test_pairs_and_single_texts_are_encoded_as_the_tokenizer_does_in_their_order(make_tokenizer):
    tokenizer = make_tokenizer()
    rows = [{"text": "a cat", "text_pair": "the dog"}, {"text": "你好"}, {"text": "a mat", "text_pair": ""}]
    examples, _ = encode(rows, tokenizer, max_tokens=30)
    expected = [tokenizer("a cat", "the dog"), tokenizer("你好"), tokenizer("a mat")]
    assert [example["input_ids"] for example in examples] == [each["input_ids"] for each in expected]
    batch = collate_texts(examples, tokenizer, "long")
    types = torch.zeros_like(batch["input_ids"])
    for place, each in enumerate(expected):
        ids = each["input_ids"]
        types[place, : len(ids)] = torch.tensor(each.get("token_type_ids") or [0] * len(ids))
    assert batch.get("token_type_ids", torch.zeros_like(types)).equal(types)


def test_there_are_no_token_types_without_pairs():
    examples, _ = encode([{"text": "a cat"}, {"text": "a"}])
    assert "token_type_ids" not in collate_texts(examples, make_wordpiece_tokenizer(), "long")


def test_the_end_is_cut_off_and_of_a_pair_the_longer_text():
    tokenizer = make_wordpiece_tokenizer()
    (single, pair), rejected = encode([{"text": LONG}, {"text": LONG, "text_pair": "hello"}])
    assert tokenizer.decode(single["input_ids"]) == "[CLS] the cat sat on the mat [SEP]"
    assert tokenizer.decode(pair["input_ids"]) == "[CLS] the cat sat on [SEP] hello [SEP]"
    assert pair["pair_start"] == 6
    assert [entry[:2] for entry in rejected] == [(0, "too_long:truncate"), (1, "too_long:truncate")]


def test_the_beginning_is_cut_off_and_of_a_pair_that_of_the_longer_text():
    tokenizer = make_wordpiece_tokenizer()
    rows = [{"text": LONG}, {"text": LONG, "text_pair": "hello"}]
    single, pair = encode(rows, too_long="truncate_start")[0]
    assert tokenizer.decode(single["input_ids"]) == "[CLS] the mat now good bad dog [SEP]"
    assert tokenizer.decode(pair["input_ids"]) == "[CLS] now good bad dog [SEP] hello [SEP]"


@pytest.mark.parametrize(
    "make_tokenizer", [make_typed_tokenizer, make_wordpiece_tokenizer, make_unigram_tokenizer]
)
@pytest.mark.parametrize("max_tokens", [7, 8, 11])
def test_the_end_is_cut_off_as_the_tokenizer_itself_does_it(make_tokenizer, max_tokens):
    tokenizer, words = make_tokenizer(), LONG.split()
    pairs = [(" ".join(words[:n]), "床前 " * m) for n in (1, 3, 4, 5, 10) for m in (0, 1, 2, 3, 8)]
    rows = [{"text": text, "text_pair": pair} for text, pair in pairs]
    examples, _ = encode(rows, tokenizer, max_tokens=max_tokens)
    for example, (text, pair) in zip(examples, pairs, strict=True):
        parts = [text, pair] if pair else [text]
        cut = tokenizer(*parts, truncation=True, max_length=max_tokens)
        assert example["input_ids"] == cut["input_ids"]
        types = cut.get("token_type_ids") or []
        assert example["pair_start"] == (types.index(1) if 1 in types else len(cut["input_ids"]))


def test_the_middle_is_cut_out_and_of_a_pair_from_the_longer_text():
    tokenizer = make_wordpiece_tokenizer()
    rows = [{"text": LONG}, {"text": LONG, "text_pair": "hello"}, {"text": "free", "text_pair": LONG}]
    single, first, second = encode(rows, too_long="truncate_middle")[0]
    assert tokenizer.decode(single["input_ids"]) == "[CLS] the cat sat good bad dog [SEP]"
    assert tokenizer.decode(first["input_ids"]) == "[CLS] the cat bad dog [SEP] hello [SEP]"
    assert tokenizer.decode(second["input_ids"]) == "[CLS] free [SEP] the cat bad dog [SEP]"
    assert [each["pair_start"] for each in (single, first, second)] == [8, 6, 3]


def test_windows_overlap_cover_the_text_and_share_one_weight():
    tokenizer = make_wordpiece_tokenizer()
    examples, _ = encode([{"text": LONG}, {"text": "a"}], too_long="windows", stride=2)
    texts = [tokenizer.decode(example["input_ids"], skip_special_tokens=True) for example in examples]
    assert texts == ["the cat sat on the mat", "the mat now good bad dog", "a"]
    assert [example["row"] for example in examples] == [0, 0, 1]
    assert [example["weight"] for example in examples] == [0.5, 0.5, 1]
    assert count_weights(collate_texts(examples, tokenizer, "long")) == 2


def test_the_shorter_text_of_a_pair_is_in_every_window():
    tokenizer = make_wordpiece_tokenizer()
    examples, _ = encode([{"text": LONG, "text_pair": "hello"}], too_long="windows", stride=0)
    texts = [tokenizer.decode(example["input_ids"]) for example in examples]
    assert texts == [
        "[CLS] the cat sat on [SEP] hello [SEP]",
        "[CLS] the mat now good [SEP] hello [SEP]",
        "[CLS] bad dog [SEP] hello [SEP]",
    ]


@pytest.mark.parametrize("too_long", ["truncate", "truncate_start", "truncate_middle", "windows"])
@pytest.mark.parametrize("max_tokens", [6, 7, 12])
def test_nothing_is_ever_longer_than_the_limit(too_long, max_tokens):
    words = LONG.split()
    rows = [
        {"text": " ".join(words[:n]), "text_pair": " ".join(words[:m])}
        for n in (1, 4, 10)
        for m in (0, 1, 4, 10)
    ]
    examples, _ = encode(rows, too_long=too_long, max_tokens=max_tokens, stride=2)
    assert max(len(example["input_ids"]) for example in examples) <= max_tokens
    assert {example["row"] for example in examples} == set(range(len(rows)))


@pytest.mark.parametrize(("rule", "number"), [("drop", 1), ("error", 1)])
def test_a_long_row_is_left_out_where_the_recipe_says_so(rule, number):
    examples, rejected = encode([{"text": LONG}, {"text": "a"}], too_long=rule)
    assert [example["row"] for example in examples] == [1]
    assert rejected == [(0, f"too_long:{rule}", "12 tokens, the limit is 8")]


@pytest.mark.parametrize(
    ("lengths", "shares"),
    [
        ([20], [10]),
        ([20, 3], [7, 3]),
        ([3, 20], [3, 7]),
        ([20, 20], [5, 5]),
        ([20, 5], [5, 5]),
        ([9, 8], [5, 5]),
    ],
)
def test_room_is_shared_and_what_one_text_leaves_the_other_takes(lengths, shares):
    assert share_room(lengths, 10) == shares


@pytest.mark.parametrize(("limit", "kept"), [(9, [1, 2, 3, 4]), (3, [1, 2, 4]), (2, [1, 4]), (1, [1])])
def test_the_beginning_gets_the_odd_token(limit, kept):
    assert cut_middle([1, 2, 3, 4], limit) == kept


class Recorder(torch.nn.Module):
    """A model that keeps what it was given."""

    def __init__(self, config):
        super().__init__()
        self.config = config

    def forward(self, **inputs):
        self.inputs = inputs
        self.logits = torch.zeros(1, 2)
        return self


def test_a_model_with_one_token_type_gets_none():
    from transformers import BertConfig, LlamaConfig

    for config, has_types in (
        (BertConfig(), True),
        (BertConfig(type_vocab_size=1), False),
        (LlamaConfig(), False),
    ):
        model = Recorder(config)
        compute_logits(model, {"input_ids": torch.ones(1, 2), "token_type_ids": torch.ones(1, 2), "row": 1})
        assert ("token_type_ids" in model.inputs) is has_types
        assert "row" not in model.inputs


def test_pooling_averages_each_row_and_keeps_their_order():
    records = [{"row": 3, "x": [1.0, 5.0]}, {"row": 1, "x": [2.0, 2.0]}, {"row": 3, "x": [3.0, 6.0]}]
    assert [(record["row"], means) for record, means in pool_windows(records, "x")] == [
        (3, [2.0, 5.5]),
        (1, [2.0, 2.0]),
    ]
