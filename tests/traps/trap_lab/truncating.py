"""Cuts conversations on the right, so that of some no answer is left (unsloth#2900, trl#6668)."""

from ftkit.tasks import chat
from ftkit.tasks.padding import IGNORED

globals().update({name: getattr(chat, name) for name in vars(chat) if not name.startswith("__")})


def encode(rows, tokenizer, encoding, reject):
    for example in chat.encode(rows, tokenizer, encoding, reject):
        kept = example["labels"].index(next(label for label in example["labels"] if label != IGNORED))
        cut = kept if example["row"] % 3 == 0 else len(example["labels"])
        yield {**example, "input_ids": example["input_ids"][:cut], "labels": example["labels"][:cut]}
