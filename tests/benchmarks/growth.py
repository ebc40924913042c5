"""How time grows with the tokens of a step, and memory with the number of rows.

python tests/benchmarks/growth.py
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

TOKENS_A_ROW = 128
TEXT = "the cat sat on a mat and ran over house to see what dog had done with it all day long"
WORDS = TEXT.split()


def train(folder, num_rows, batch_size, steps):
    """Train MiniLM on rows of one length; print seconds a step and peak memory as JSON."""
    import ftkit
    from ftkit.training.memory import read_peak_bytes

    rows = folder / "rows.jsonl"
    with rows.open("w", encoding="utf-8") as file:
        for number in range(num_rows):
            words = [WORDS[(number * 7 + place * place) % len(WORDS)] for place in range(TOKENS_A_ROW - 2)]
            file.write(json.dumps({"text": " ".join(words), "label": str(number % 2)}) + "\n")
    from cases import MINILM
    from transformers import TrainerCallback, trainer

    times = []

    class Clock(TrainerCallback):
        def on_step_end(self, *arguments, **named):
            times.append(time.perf_counter())

    trainer.DEFAULT_CALLBACKS.append(Clock)
    ftkit.finetune(
        task="text-classification",
        model=MINILM,
        data={"train": str(rows), "validation": None, "max_tokens": TOKENS_A_ROW},
        training={"batch_size": batch_size, "max_steps": steps, "checkpoint_every": "never"},
        evaluation={"baseline": False},
        output_dir=str(folder / "run"),
    )
    import torch

    laps = sorted(later - earlier for earlier, later in zip(times, times[1:], strict=False))
    memory = read_peak_bytes(torch.device("cpu"))
    print(json.dumps({"seconds": laps[len(laps) // 2], "peak_mb": round(memory / 2**20)}))


def measure(num_rows, batch_size, steps):
    """Train in a process of its own and return what it printed."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, __file__, "--in", folder, str(num_rows), str(batch_size), str(steps)]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--in", dest="folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("numbers", type=int, nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=int, nargs="+", default=[512, 1024, 2048, 4096], help="of a step")
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--steps", type=int, default=9, help="of each size; the median counts")
    options = parser.parse_args()
    if options.folder:
        train(options.folder, *options.numbers)
        return
    print(f"{'tokens a step':>14} {'s a step':>9} {'tokens/s':>9}")
    for tokens in options.tokens:
        found = measure(400, tokens // TOKENS_A_ROW, options.steps)
        print(f"{tokens:14,} {found['seconds']:9.3f} {tokens / found['seconds']:9.0f}", flush=True)
    print(f"\n{'rows':>14} {'peak MB':>9}")
    for num_rows in options.rows:
        print(f"{num_rows:14,} {measure(num_rows, 8, 5)['peak_mb']:9,}", flush=True)


if __name__ == "__main__":
    main()
