"""Tiny GGUF files, written with llama.cpp's own library."""

import json
from pathlib import Path
from typing import Any

from tiny_models import CHATML, make_byte_level_tokenizer, save_tiny_model

_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "model.layers": "blk",
}


def save_original(folder: Path, *, digit_by_digit: bool = True) -> Path:
    """Save the Llama that the GGUF files are made of: rows of 32, as quantisation needs them."""
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import LlamaConfig

    tokenizer = make_byte_level_tokenizer(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        unk_token="<|endoftext|>",
    )
    if digit_by_digit:
        steps = [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence(steps)
    tokenizer.chat_template = CHATML
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        bos_token_id=1,
        eos_token_id=2,
    )
    return save_tiny_model("LlamaForCausalLM", config, tokenizer, folder)


def write_gguf(
    original: Path, path: Path, *, kind: str = "F32", architecture: str = "llama", pre: str = "smollm"
) -> Path:
    """Write a saved Llama as llama.cpp's converter does.

    Args:
        original: folder of the model.
        path: of the GGUF file.
        kind: name of a GGML quantisation for the matrices; vectors stay in F32.
        architecture: what the file says it is.
        pre: name of the rule that cuts text before tokenising.
    """
    import gguf
    import numpy as np
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from ftkit.models.quiet import quiet_transformers

    with quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(original, dtype="float32")
        tokenizer = AutoTokenizer.from_pretrained(original)
    writer = gguf.GGUFWriter(path, architecture)
    _write_metadata(writer, model.config)
    _write_tokenizer(writer, tokenizer, pre)
    for name, weight in model.state_dict().items():
        array = weight.numpy()
        if "q_proj" in name or "k_proj" in name:
            heads = model.config.num_attention_heads if "q_proj" in name else model.config.num_key_value_heads
            array = _reorder_for_llama_cpp(array, heads)
        quantised = gguf.GGMLQuantizationType[kind if array.ndim == 2 else "F32"]
        data = gguf.quantize(np.ascontiguousarray(array), quantised)
        writer.add_tensor(_rename(name), data, raw_dtype=quantised)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_metadata(writer: Any, config: Any) -> None:
    writer.add_name("tiny")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)


def _write_tokenizer(writer: Any, tokenizer: Any, pre: str) -> None:
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if index < 3 else 1 for index in range(len(tokens))])
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(tokenizer.chat_template)


def _rename(name: str) -> str:
    for ours, theirs in _NAMES.items():
        name = name.replace(ours, theirs)
    return name


def _reorder_for_llama_cpp(array: Any, heads: int) -> Any:
    """Interleave the halves of rotary embeddings, which llama.cpp lays out otherwise."""
    rows, columns = array.shape
    return array.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)
