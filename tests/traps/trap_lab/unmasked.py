"""Learns the prompt too, though it should not (Qwen3#1522)."""

from ftkit.tasks import chat

globals().update({name: getattr(chat, name) for name in vars(chat) if not name.startswith("__")})


def encode(rows, tokenizer, encoding, reject):
    for example in chat.encode(rows, tokenizer, encoding, reject):
        yield {**example, "labels": example["input_ids"]}
