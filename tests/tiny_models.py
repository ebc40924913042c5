"""Models of a few thousand random weights, with real tokenizers, built in a second."""

from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WORDS = "a the cat dog bird sat ran flew on over mat house hello world good bad yes no free win money now"
CHINESE = "床前明月光疑是地上霜举头望明月低头思故乡你好世界"
SENTENCES = [
    "the cat sat on the mat and the dog ran over the house",
    "hello world, this is a good day; that was a bad one.",
    "free money now! win 100 dollars today",
    "床前明月光，疑是地上霜。举头望明月，低头思故乡。",
]


def make_wordpiece_tokenizer() -> Any:
    """Make a BERT tokenizer of whole words, letters and Chinese characters, some 150 tokens."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    continued = [f"##{letter}" for letter in letters if letter.isalnum()]
    tokens = dict.fromkeys(special + letters + continued + WORDS.split() + list(CHINESE))
    vocabulary = {token: index for index, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=128, **dict(zip(names, special, strict=True))
    )


def make_byte_level_tokenizer(special: list[str], **named: str) -> Any:
    """Make a byte-level BPE tokenizer that can spell any text, some 300 tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)


def make_unigram_tokenizer() -> Any:
    """Make a SentencePiece-like tokenizer with the frame of RoBERTa, some 160 tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=160, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator([*SENTENCES, " ".join(map(chr, range(33, 127)))], trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), trim_offsets=False)
    names = ["bos_token", "pad_token", "eos_token", "unk_token", "mask_token"]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=128, **dict(zip(names, special, strict=True))
    )


def make_chat_tokenizer() -> Any:
    """Make a byte-level tokenizer with the ChatML template, a padding token and an end-of-turn token."""
    tokenizer = make_byte_level_tokenizer(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"],
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
    )
    tokenizer.chat_template = CHATML
    return tokenizer


def save_tiny_model(class_name: str, config: Any, tokenizer: Any, folder: Path, *, seed: int = 0) -> Path:
    """Save a model with random weights, the same ones each time, and its tokenizer."""
    import torch
    import transformers

    from ftkit.models.quiet import quiet_transformers

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = getattr(transformers, class_name)(config)
    with quiet_transformers():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_tiny_bert(folder: Path) -> Path:
    """Save a masked language model: BERT, 2 layers of 16 dimensions, no classification head."""
    from transformers import BertConfig

    tokenizer = make_wordpiece_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
    )
    return save_tiny_model("BertForMaskedLM", config, tokenizer, folder)


def save_tiny_llama(folder: Path) -> Path:
    """Save a chat model: Llama, 2 layers of 16 dimensions, grouped heads, 512 positions."""
    from transformers import LlamaConfig

    tokenizer = make_chat_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return save_tiny_model("LlamaForCausalLM", config, tokenizer, folder)


def save_tiny_t5(folder: Path) -> Path:
    """Save an encoder-decoder: T5, 2 layers of 32 dimensions, a byte-level tokenizer with sentinels."""
    from transformers import T5Config

    tokenizer = make_byte_level_tokenizer(
        ["<pad>", "</s>", *(f"<extra_id_{number}>" for number in range(20))],
        eos_token="</s>",
        pad_token="<pad>",
    )
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        dropout_rate=0.0,
        decoder_start_token_id=tokenizer.pad_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return save_tiny_model("T5ForConditionalGeneration", config, tokenizer, folder)


def save_tiny_bart(folder: Path) -> Path:
    """Save an encoder-decoder with learned positions: BART, 2 layers of 16 dimensions, 64 positions."""
    from transformers import BartConfig

    tokenizer = make_byte_level_tokenizer(
        ["<s>", "<pad>", "</s>"], bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=64,
        dropout=0.0,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_eos_token_id=2,
    )
    return save_tiny_model("BartForConditionalGeneration", config, tokenizer, folder)


def save_tiny_gpt2(folder: Path) -> Path:
    """Save a text model: GPT-2, 2 layers of 16 dimensions, no padding token, no chat template."""
    from transformers import GPT2Config

    end = "<|endoftext|>"
    tokenizer = make_byte_level_tokenizer([end], bos_token=end, eos_token=end, unk_token=end)
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=128,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return save_tiny_model("GPT2LMHeadModel", config, tokenizer, folder)
