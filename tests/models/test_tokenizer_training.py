import logging

import pytest
from tiny_models import SENTENCES
from transformers import AutoTokenizer

from ftkit.errors import DataError, RecipeError
from ftkit.models.tokenizer_training import ALGORITHMS, NORMALIZERS, learn_tokenizer

TEXTS = SENTENCES * 5


def learn(algorithm, **settings):
    return learn_tokenizer(TEXTS, algorithm=algorithm, **{"vocab_size": 300, **settings})


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_reads_english_and_chinese_and_comes_back_from_disk(algorithm, tmp_path):
    made = learn(algorithm)
    made.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    for text in ["the cat sat on the mat", "床前明月光"]:
        ids = made(text)["input_ids"]
        assert loaded(text)["input_ids"] == ids
        assert made.unk_token_id not in ids
        assert ids[0] == made.cls_token_id
        assert ids[-1] == made.sep_token_id
        assert loaded.decode(ids, skip_special_tokens=True).replace(" ", "") == text.replace(" ", "")
    assert loaded.mask_token_id == made.mask_token_id is not None
    assert len(made) <= 300


@pytest.mark.parametrize("algorithm", ["byte-level-bpe", "bpe"])
def test_the_same_texts_give_the_same_tokenizer(algorithm):
    assert learn(algorithm).get_vocab() == learn(algorithm).get_vocab()


def test_byte_level_gives_back_any_text_as_it_was():
    tokenizer = learn("byte-level-bpe")
    text = "  Two  spaces, ｆｕｌｌ width, 龘 and 🙂\n"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text


def test_special_tokens_are_one_token_each_and_never_cut():
    tokenizer = learn("unigram", special_tokens=["<|user|>", "<|user|>"])
    ids = tokenizer("cat<|user|>cat", add_special_tokens=False)["input_ids"]
    assert ids.count(tokenizer.convert_tokens_to_ids("<|user|>")) == 1
    assert "<|user|>" in tokenizer.all_special_tokens


def test_the_special_tokens_around_a_text_are_those_of_the_kind_of_model():
    def read(frame, *texts):
        tokenizer = learn("bpe", vocab_size=400, frame=frame)
        return tokenizer.convert_ids_to_tokens(tokenizer(*texts)["input_ids"])

    assert read("encoder", "cat", "dog") == ["<s>", "▁cat", "</s>", "▁dog", "</s>"]
    assert read("encoder-decoder", "cat") == ["▁cat", "</s>"]
    assert read("decoder", "cat") == ["▁cat"]


def test_an_encoder_decoder_gets_the_sentinels_of_span_corruption():
    tokenizer = learn("unigram", frame="encoder-decoder", vocab_size=400)
    ids = tokenizer("cat <extra_id_0> dog <extra_id_99>")["input_ids"]
    assert {tokenizer.convert_tokens_to_ids(f"<extra_id_{number}>") for number in (0, 99)} < set(ids)


def test_only_wordpiece_gives_the_second_text_a_type_of_its_own():
    assert learn("wordpiece")("cat", "dog")["token_type_ids"] == [0, 0, 0, 1, 1]
    assert "token_type_ids" not in learn("byte-level-bpe")("cat", "dog")


@pytest.mark.parametrize("normalizer", NORMALIZERS)
def test_every_normalizer_works(normalizer):
    tokenizer = learn("bpe", normalizer=normalizer)
    lowers = normalizer in ("nfkc-lowercase", "bert")
    same = tokenizer("CAT", add_special_tokens=False) == tokenizer("cat", add_special_tokens=False)
    assert same == lowers
    widths = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("ｃａｔ", "cat")]
    assert (widths[0] == widths[1]) == (normalizer in ("auto", "nfkc", "nfkc-lowercase"))


def test_few_texts_give_fewer_tokens_and_that_is_said(caplog):
    with caplog.at_level(logging.WARNING):
        tokenizer = learn_tokenizer(["the cat"], algorithm="wordpiece", vocab_size=5000)
    assert len(tokenizer) < 30
    assert caplog.messages == [
        f"tokenizer: vocab_size is 5000, but the texts gave only {len(tokenizer)} tokens"
    ]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_vocabulary_that_is_too_small_is_refused(algorithm):
    with pytest.raises(RecipeError, match="vocab_size is 20"):
        learn(algorithm, vocab_size=20)


def test_a_longest_input_is_written_down():
    assert learn("bpe", max_tokens=64).model_max_length == 64


def test_mistakes_name_what_there_is():
    with pytest.raises(RecipeError, match=r"unknown algorithm 'word-piece'.*did you mean wordpiece\?"):
        learn("word-piece")
    with pytest.raises(RecipeError, match="unknown normalizer 'nfd'"):
        learn("bpe", normalizer="nfd")
    with pytest.raises(DataError, match="no text"):
        learn_tokenizer([], algorithm="byte-level-bpe")
