"""The models of the catalogue, each as wrong as its trap needs it."""

import pytest
from tiny_models import (
    CHATML,
    make_byte_level_tokenizer,
    make_chat_tokenizer,
    make_wordpiece_tokenizer,
    save_tiny_model,
)


def llama_config(size, **changes):
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
        bos_token_id=None,
        **changes,
    )


def bert_config(size):
    from transformers import BertConfig

    return BertConfig(
        vocab_size=size,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
    )


def save_sentiment(folder):
    """A classifier whose head knows NEGATIVE and POSITIVE."""
    config = bert_config(len(make_wordpiece_tokenizer()))
    config.id2label, config.label2id = {0: "NEGATIVE", 1: "POSITIVE"}, {"NEGATIVE": 0, "POSITIVE": 1}
    return save_tiny_model("BertForSequenceClassification", config, make_wordpiece_tokenizer(), folder)


def save_damaged_bert(folder):
    """A model with one weight that is no number."""
    import safetensors.torch

    save_tiny_model(
        "BertForMaskedLM", bert_config(len(make_wordpiece_tokenizer())), make_wordpiece_tokenizer(), folder
    )
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    weights["bert.encoder.layer.1.output.dense.weight"][0, 0] = float("nan")
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def make_beginning_tokenizer():
    """A tokenizer that puts `<s>` before each text."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = make_byte_level_tokenizer(
        ["<s>", "</s>", "<|im_start|>", "<|im_end|>"], bos_token="<s>", eos_token="</s>"
    )
    tokenizer.chat_template = CHATML
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    return tokenizer


def make_padless():
    """A tokenizer without a padding token, so that its end token pads."""
    tokenizer = make_byte_level_tokenizer(["<|im_start|>", "<|im_end|>"], eos_token="<|im_end|>")
    tokenizer.chat_template = CHATML
    return tokenizer


def save_mixed_lfm2(folder):
    """A model in which one block of two has attention, and the other a convolution."""
    from transformers import Lfm2Config

    tokenizer = make_chat_tokenizer()
    config = Lfm2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        layer_types=["conv", "full_attention"],
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    return save_tiny_model("Lfm2ForCausalLM", config, tokenizer, folder)


@pytest.fixture(scope="session")
def models(tmp_path_factory, tiny_bert, tiny_gpt2, tiny_t5, tiny_llama):
    """Every model of the catalogue, by its name there."""
    folder = tmp_path_factory.mktemp("trap-models")
    begins, chat = make_beginning_tokenizer(), make_chat_tokenizer()
    return {
        "bert": tiny_bert,
        "gpt2": tiny_gpt2,
        "t5": tiny_t5,
        "llama": tiny_llama,
        "sentiment": save_sentiment(folder / "sentiment"),
        "damaged_bert": save_damaged_bert(folder / "damaged-bert"),
        "beginning_llama": save_tiny_model(
            "LlamaForCausalLM", llama_config(len(begins)), begins, folder / "begins"
        ),
        "padless_llama": save_tiny_model(
            "LlamaForCausalLM", llama_config(300), make_padless(), folder / "padless"
        ),
        "small_llama": save_tiny_model("LlamaForCausalLM", llama_config(64), chat, folder / "small"),
        "large_llama": save_tiny_model("LlamaForCausalLM", llama_config(4000), chat, folder / "large"),
        "mixed_lfm2": save_mixed_lfm2(folder / "mixed"),
    }
