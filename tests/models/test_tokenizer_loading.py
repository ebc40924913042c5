"""Tokenizers: there must be one, it must fit, and it must be able to pad."""

import logging

import pytest
from tiny_models import make_byte_level_tokenizer, make_chat_tokenizer, make_wordpiece_tokenizer

from ftkit.errors import ModelError
from ftkit.models import fingerprint_tokenizer, load_tokenizer
from ftkit.models.tokenizer import check_vocabulary, choose_pad_token


def test_the_bases_tokenizer_is_loaded(tiny_llama, make_section):
    tokenizer = load_tokenizer(make_section(tiny_llama))
    text = "床前明月光 hello  world 100"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.pad_token == "<|pad|>"


def test_another_tokenizer_can_be_named(tiny_bert, tiny_llama, make_section):
    tokenizer = load_tokenizer(make_section(tiny_bert, tokenizer=str(tiny_llama)))
    assert tokenizer.pad_token == "<|pad|>"


def test_a_folder_without_vocabulary_is_not_given_an_empty_tokenizer(bert_copy, make_section):
    (bert_copy / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer: .*set model.tokenizer to the folder or hub id"):
        load_tokenizer(make_section(bert_copy))


def test_a_tokenizer_of_bytes_needs_no_vocabulary(tmp_path, make_section):
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    assert load_tokenizer(make_section(tmp_path))("a")["input_ids"][0] == ord("a") + 3


def test_a_broken_tokenizer_is_an_error_for_people(bert_copy, make_section):
    (bert_copy / "tokenizer.json").write_text('{"version": "1.0"')
    with pytest.raises(ModelError, match="the tokenizer cannot be loaded; .*set model.tokenizer to another"):
        load_tokenizer(make_section(bert_copy))


def test_random_weights_need_a_tokenizer(make_section):
    with pytest.raises(ModelError, match="model.tokenizer: missing"):
        load_tokenizer(
            make_section(None, config={"model_type": "llama"}, tokenizer="x").model_copy(
                update={"tokenizer": None}
            )
        )


def test_a_tokenizer_with_its_own_code_is_not_run(tmp_path, make_section):
    (tmp_path / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["mine.Mine", null]}}'
    )
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ModelError, match="set model.trust_remote_code: true"):
        load_tokenizer(make_section(tmp_path))
    assert not (tmp_path / "ran").exists()


def test_padding_with_the_end_token_is_said_once(tiny_gpt2, make_section, caplog):
    with caplog.at_level(logging.INFO):
        tokenizer = load_tokenizer(make_section(tiny_gpt2))
    assert tokenizer.pad_token == tokenizer.eos_token
    assert caplog.text.count("no padding token; padding with <|endoftext|>") == 1


@pytest.mark.parametrize(
    ("special", "expected"),
    [
        (["<s>", "</s>", "<pad>"], "<pad>"),
        (
            ["<s>", "</s>", "<|reserved_special_token_1|>", "<|reserved_special_token_0|>"],
            "<|reserved_special_token_1|>",
        ),
        (["<s>", "</s>", "<unused0>"], "<unused0>"),
        (["<s>", "</s>", "[unused3]", "[PAD]"], "[PAD]"),
        (["<s>", "</s>", "<image>"], "</s>"),
    ],
)
def test_a_padding_token_is_found_among_those_there_are(special, expected):
    tokenizer = make_byte_level_tokenizer(special, bos_token="<s>", eos_token="</s>")
    before = len(tokenizer)
    assert choose_pad_token(tokenizer, "x") == expected
    assert len(tokenizer) == before


def test_without_any_candidate_padding_is_an_error():
    with pytest.raises(ModelError, match="neither a padding nor an end token"):
        choose_pad_token(make_byte_level_tokenizer([]), "x")


def test_more_tokens_than_embeddings_is_an_error(tiny_bert):
    from transformers import AutoModelForMaskedLM

    model = AutoModelForMaskedLM.from_pretrained(tiny_bert)
    tokenizer = make_wordpiece_tokenizer()
    check_vocabulary("x", model, tokenizer)
    tokenizer.add_tokens(["<new>"])
    with pytest.raises(ModelError, match="has 152 tokens, but the model has embeddings for 151"):
        check_vocabulary("x", model, tokenizer)


def test_the_fingerprint_is_the_same_for_the_same_tokenizer(tiny_llama, make_section):
    first, second = (load_tokenizer(make_section(tiny_llama)) for _ in range(2))
    second(["a", "b c d"], padding=True, truncation=True, max_length=2)
    assert fingerprint_tokenizer(first) == fingerprint_tokenizer(second)


def test_the_fingerprint_changes_with_everything_that_changes_tokens():
    found = {fingerprint_tokenizer(make_chat_tokenizer()), fingerprint_tokenizer(make_wordpiece_tokenizer())}
    template = make_chat_tokenizer()
    template.chat_template += " "
    added = make_chat_tokenizer()
    added.add_tokens(["<new>"])
    renamed = make_chat_tokenizer()
    renamed.pad_token = "<|endoftext|>"
    found |= {fingerprint_tokenizer(tokenizer) for tokenizer in (template, added, renamed)}
    assert len(found) == 5
