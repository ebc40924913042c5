"""Takes every padding token out of the loss, an end that is the same token too (axolotl#1916)."""

from ftkit.tasks import chat
from ftkit.tasks.padding import IGNORED

globals().update({name: getattr(chat, name) for name in vars(chat) if not name.startswith("__")})


def encode(rows, tokenizer, encoding, reject):
    for example in chat.encode(rows, tokenizer, encoding, reject):
        labels = [IGNORED if label == tokenizer.pad_token_id else label for label in example["labels"]]
        yield {**example, "labels": labels}
