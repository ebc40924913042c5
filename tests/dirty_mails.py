"""Makes data/spam_dirty/ out of data/spam/: real mails, as dirty again as they came.

    python tests/dirty_mails.py

The mails in data/spam/ are plain text without addresses. Here HTML, addresses, broken encodings, footers and
repetitions come back. Every address, number and host is one that is set aside for examples (RFC 2606, RFC
5737, 555-01xx, the test numbers of card companies), so that no real person is in the rows.
"""

from __future__ import annotations

import gzip
import html
import json
import random
from collections.abc import Callable
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
NUM_TRAIN, NUM_TEST, NUM_LEAKED = 640, 200, 12
FOOTER = "\n\nYou get this mail because you subscribed to a list of ours.\nTo leave it: http://lists.example.org/leave"

Row = dict[str, str]


def add_html(text: str, draw: random.Random) -> str:
    body = html.escape(text).replace("\n", "<br>\n")
    font = draw.choice(['<font color="#ff0000" size="4">', '<p class="MsoNormal">', '<td bgcolor="white">'])
    return f"<html><head><style>p {{margin: 0}}</style></head><body>{font}{body}&nbsp;</body></html>"


def add_addresses(text: str, draw: random.Random) -> str:
    name = draw.choice(["sales", "info", "j.smith", "support+list", "wang.wei"])
    card = draw.choice(["4111 1111 1111 1111", "5555-5555-5555-4444"])
    lines = [
        f"Write to {name}@{draw.choice(['example.com', 'mail.example.org', 'example.net'])}",
        f"Call (202) 555-01{draw.randint(0, 99):02d} now",
        f"Received: from 192.0.2.{draw.randint(1, 254)}",
        f"Charged to card {card}",
    ]
    return text + "\n" + "\n".join(draw.sample(lines, draw.randint(1, 3)))


def break_encoding(text: str, draw: random.Random) -> str:
    quoted = text.replace("'", "’").replace(' "', " “").replace('"', "”").replace("--", "—")
    return quoted.encode().decode("cp1252", errors="replace") if quoted.isascii() is False else text


def add_footer(text: str, draw: random.Random) -> str:
    return text + FOOTER


def add_signs(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text) + 1)
    return f"{text[:place]}\u200b\x07{text[place:]}".replace(". ", ".   \t ")


DIRT: dict[Callable[[str, random.Random], str], float] = {
    add_footer: 0.15,
    add_addresses: 0.2,
    break_encoding: 0.15,
    add_signs: 0.1,
    add_html: 0.25,  # the last: it wraps what the others did
}
"""What is done to a mail, and to what share of the mails."""


def make_dirty(rows: list[Row], draw: random.Random) -> list[Row]:
    """Make each mail dirty in some ways or none, and write some of them twice."""
    dirty = []
    for row in rows:
        text = row["text"]
        for add, share in DIRT.items():
            if draw.random() < share:
                text = add(text, draw)
        dirty.append({**row, "text": text})
        if draw.random() < 0.06:
            dirty.append(dict(dirty[-1]))  # sent twice
        elif draw.random() < 0.06:
            dirty.append({**row, "text": f"{row['text']}\n\nSent from list {draw.randint(2, 9)}"})
    return dirty


def read_rows(split: str) -> list[Row]:
    with gzip.open(DATA / "spam" / f"{split}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def make_splits() -> dict[str, bytes]:
    """Make both files: name of the split -> its bytes, before they are packed."""
    draw = random.Random(0)
    test = make_dirty(read_rows("test")[:NUM_TEST], draw)
    leaked = [{**row, "text": f"> {row['text']}"} for row in draw.sample(test, NUM_LEAKED)]
    empty = [
        {"subject": "", "text": text, "label": "spam"} for text in ("", "  \n", "<html><body></body></html>")
    ]
    train = [*make_dirty(read_rows("train")[:NUM_TRAIN], draw), *leaked, *empty]
    draw.shuffle(train)
    return {
        name: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        for name, rows in (("train", train), ("test", test))
    }


if __name__ == "__main__":
    for name, content in make_splits().items():
        (DATA / "spam_dirty" / f"{name}.jsonl.gz").write_bytes(gzip.compress(content, mtime=0))
