"""Encoding, from stored rows to Arrow on disk, beside `tokenizers.encode_batch` alone on the same texts.

    python tests/benchmarks/encoding.py [--rows 20000] [--rounds 5] [--words 60]

Both take turns in one process; the share is the median over the rounds. Reading, checking, labels,
and writing are in ftkit's time; encode_batch gets all texts in memory and its tokens are thrown away.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import uuid
from functools import partial
from pathlib import Path
from typing import Any

from prepared_rows import MINILM, measure, take_median, write_rows

CASES = {
    "text-classification": {"too_long": "truncate"},
    "causal-lm": {"too_long": "split"},
}


def make_case(name: str, path: Path, tokenizer: Any) -> Any:
    """Return what encodes the rows of a file as a task does, each time anew."""
    from ftkit.data import load_rows
    from ftkit.tasks import get_task
    from ftkit.tasks.encoding import encode_rows
    from ftkit.tasks.protocol import Encoding

    rows, task = load_rows(str(path)), get_task(name)
    labels = ("ham", "spam") if name == "text-classification" else ()
    encoding = Encoding(512, labels=labels, **CASES[name])

    def encode() -> None:
        # Another fingerprint each time, so that nothing is found in the cache.
        split = encode_rows(
            name, task, rows, tokenizer, encoding, split="train", tokenizer_fingerprint=uuid.uuid4().hex
        )
        assert len(split.examples) > 0

    return rows, encode


def main(*, num_rows: int, num_rounds: int, num_words: int) -> dict[str, float]:
    """Measure all cases and print a table; return the share of encode_batch's speed by task."""
    from ftkit.models.tokenizer import read_tokenizer
    from ftkit.sources import locate

    tokenizer = read_tokenizer(MINILM, Path(str(locate(MINILM).path)))
    shares = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FTKIT_CACHE"] = folder
        path = Path(folder) / "rows.jsonl"
        megabytes = write_rows(path, num_rows, words_in_row=num_words) / 1e6
        print(f"{num_rows:,} rows, {megabytes:.1f} MB of text, {os.cpu_count()} cores")
        print(f"{'task':20} {'encode_batch MB/s':>18} {'ftkit MB/s':>11} {'share':>6}")
        for name in CASES:
            rows, encode = make_case(name, path, tokenizer)
            encode_alone = partial(tokenizer.backend_tokenizer.encode_batch, [row["text"] for row in rows])
            pairs = [(measure(encode_alone), measure(encode)) for _ in range(num_rounds)]
            shares[name] = take_median([alone / ours for alone, ours in pairs])
            alone, ours = (take_median([pair[place] for pair in pairs]) for place in (0, 1))
            print(f"{name:20} {megabytes / alone:18.2f} {megabytes / ours:11.2f} {shares[name]:6.2f}")
    return shares


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--words", type=int, default=60)
    given = parser.parse_args()
    main(num_rows=given.rows, num_rounds=given.rounds, num_words=given.words)
