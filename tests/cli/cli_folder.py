"""A folder of recipes and rows that work, for commands to be given in."""

import json
import random
from pathlib import Path

WORDS = {"spam": "free money win now", "ham": "hello world the cat sat on the mat"}
RECIPE = """\
task: text-classification
model: {model}
data: {{train: train.jsonl, validation: null, test: test.jsonl, max_tokens: 16}}
training: {{max_steps: 2, batch_size: 8, arguments: {{use_cpu: true}}}}
output_dir: run
"""
CHAT_RECIPE = """\
task: chat
model: {model}
data: {{train: chat.jsonl, validation: null}}
training: {{max_steps: 2, batch_size: 4, arguments: {{use_cpu: true}}}}
output_dir: chat_run
"""


def write_rows(path, rows):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    Path(path).write_text(text, encoding="utf-8")


def make_mails(number, seed):
    draw = random.Random(seed)
    for index in range(number):
        label = ("spam", "ham")[index % 3 > 0]
        yield {"text": " ".join(draw.choices(WORDS[label].split(), k=draw.randint(3, 12))), "label": label}


def make_chats(number):
    for word in ("cat", "dog", "月光", "故乡") * number:
        yield {"messages": [{"role": "user", "content": word}, {"role": "assistant", "content": word}]}


def fill_folder(folder: Path, tiny_bert: Path, tiny_llama: Path) -> None:
    """Write recipes and rows that work."""
    write_rows(folder / "train.jsonl", make_mails(24, 1))
    write_rows(folder / "test.jsonl", make_mails(9, 2))
    write_rows(folder / "chat.jsonl", make_chats(2))
    (folder / "recipe.yaml").write_text(RECIPE.format(model=tiny_bert), encoding="utf-8")
    (folder / "chat.yaml").write_text(CHAT_RECIPE.format(model=tiny_llama), encoding="utf-8")
