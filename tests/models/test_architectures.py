"""What an architecture can do, and architectures made from sizes."""

import pytest
from transformers import AutoConfig

from ftkit.errors import ModelError
from ftkit.models.architectures import (
    TASKS_OF_CLASSES,
    check_architecture,
    count_vocabulary,
    list_tasks,
    make_config,
)

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture(scope="module")
def tokenizer():
    from tiny_models import make_chat_tokenizer

    return make_chat_tokenizer()


@pytest.mark.parametrize(
    ("model_type", "has", "lacks"),
    [
        ("llama", {"chat", "causal-lm", "text-classification"}, {"masked-lm", "seq2seq"}),
        ("bert", {"masked-lm", "token-classification", "multiple-choice"}, {"chat", "causal-lm"}),
        ("roberta", {"masked-lm"}, {"chat"}),
        ("gpt2", {"chat", "causal-lm"}, {"masked-lm", "seq2seq"}),
        ("t5", {"seq2seq", "text-classification"}, {"chat", "masked-lm"}),
        ("vit", set(), {"chat", "text-classification"}),
    ],
)
def test_each_architecture_has_its_tasks(model_type, has, lacks):
    tasks = set(list_tasks(AutoConfig.for_model(model_type)))
    assert has <= tasks
    assert not lacks & tasks


def test_an_encoder_told_to_be_a_decoder_is_one():
    assert "chat" in list_tasks(AutoConfig.for_model("bert", is_decoder=True))


def test_the_wrong_architecture_names_the_tasks_it_fits():
    message = r"my/bert: a 'bert' model cannot do chat; it can do masked-lm, text-classification"
    with pytest.raises(ModelError, match=message):
        check_architecture("my/bert", AutoConfig.for_model("bert"), "AutoModelForCausalLM", "chat")
    with pytest.raises(ModelError, match="it can do none that ftkit has"):
        check_architecture("my/vit", AutoConfig.for_model("vit"), "AutoModelForMaskedLM", "masked-lm")


def test_every_class_that_is_looked_up_exists():
    import transformers

    assert all(hasattr(transformers, name) for name in TASKS_OF_CLASSES)


def test_vocabulary_and_special_tokens_come_from_the_tokenizer(tokenizer):
    config = make_config({"model_type": "llama", **SIZES}, tokenizer)
    assert config.vocab_size == count_vocabulary(tokenizer) == len(tokenizer)
    assert (config.pad_token_id, config.eos_token_id) == (tokenizer.pad_token_id, tokenizer.eos_token_id)
    assert config.bos_token_id is None


def test_what_the_recipe_says_wins(tokenizer):
    config = make_config({"model_type": "llama", "vocab_size": 512, "eos_token_id": 7, **SIZES}, tokenizer)
    assert (config.vocab_size, config.eos_token_id) == (512, 7)


def test_a_first_token_with_the_number_zero_is_not_overlooked():
    from tiny_models import make_byte_level_tokenizer

    tokenizer = make_byte_level_tokenizer(
        ["<s>", "</s>"], bos_token="<s>", cls_token="</s>", eos_token="</s>"
    )
    assert make_config({"model_type": "llama", **SIZES}, tokenizer).bos_token_id == 0


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [
        ({"model_type": "lama"}, r"model.config.model_type: unknown architecture 'lama'; nearest: llama"),
        ({}, "unknown architecture 'missing'"),
        (
            {"model_type": "llama", "hiden_size": 16},
            r"model.config.hiden_size: .*'llama'; nearest: hidden_size",
        ),
        ({"model_type": "llama", "to_dict": 1}, "unknown setting"),
        ({"model_type": "llama", "hidden_size": "big"}, r"model.config: .*'hidden_size' expected int"),
        ({"model_type": "llama", "hidden_size": 15}, r"\(15\) is not a multiple of .*heads \(32\); correct"),
    ],
)
def test_wrong_sizes_are_errors_that_say_which(sizes, complaint, tokenizer):
    with pytest.raises(ModelError, match=complaint):
        make_config(sizes, tokenizer)


@pytest.mark.parametrize(
    "sizes",
    [
        {"model_type": "gpt2", "n_embd": 16, "num_attention_heads": 2, "hidden_size": 16},
        {"model_type": "bert", "is_decoder": True, **SIZES},
        {"model_type": "llama", "rope_theta": 1e5, **SIZES},
        {"model_type": "t5", "d_model": 16, "num_heads": 2},
    ],
)
def test_names_that_transformers_takes_are_taken(sizes, tokenizer):
    assert make_config(sizes, tokenizer).model_type == sizes["model_type"]
