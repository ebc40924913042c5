"""What `ftkit plan` predicts against what training takes: peak memory and time.

python tests/benchmarks/planning.py [--json FILE]

Each prediction and each training has a process of its own; the training's rows are all of one length.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

TEXT = "the cat sat on a mat and ran over house to see what dog had done with it all day long"
WORDS = TEXT.split()
STEPS = {"MiniLM": 6, "SmolLM2-135M": 3}


def make_sections(model, method, length, folder):
    """Make the recipe of a case: two micro-batches of 8 rows a step."""
    from cases import MINILM, SMOLLM2

    rows = [
        {
            "text": " ".join(
                WORDS[(number * 7 + place * place) % len(WORDS)] for place in range(length + 20)
            ),
            "label": str(number % 2),
        }
        for number in range(16 * STEPS[model])
    ]
    small = model == "MiniLM"
    if not small:
        rows = [{"text": row["text"]} for row in rows]
    return {
        "task": "text-classification" if small else "causal-lm",
        "model": MINILM if small else SMOLLM2,
        "data": {"train": rows, "validation": None, "max_tokens": length, "leakage": "allow"},
        "adapter": "lora" if method == "lora" else "none",
        "training": {
            "batch_size": 16,
            "micro_batch_size": 8,
            "max_steps": STEPS[model],
            "checkpoint_every": "never",
        },
        "evaluation": {"baseline": False},
        "output_dir": str(folder / "run"),
    }


def predict(sections):
    """Plan, and print what it says."""
    import ftkit

    found = ftkit.plan(**sections)
    print(json.dumps({"bytes": found.current.memory_bytes, "seconds": found.current.seconds}))


def train(sections):
    """Train, and print what it took."""
    import ftkit

    report = ftkit.finetune(**sections).report["training"]
    print(json.dumps({"bytes": report["peak_memory_bytes"], "seconds": report["seconds"]}))


def run(what, *case):
    """Predict or train in a process of its own and return what it printed."""
    words = [sys.executable, __file__, "--only", what, *map(str, case)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs=4, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    if options.only:
        what, model, method, length = options.only
        with tempfile.TemporaryDirectory() as folder:
            sections = make_sections(model, method, int(length), Path(folder))
            {"predict": predict, "train": train}[what](sections)
        return
    print(
        f"{'model':14} {'method':7} {'tokens a row':>12} {'planned MB':>11} {'peak MB':>8} {'off':>6}"
        f" {'planned s':>10} {'s':>6} {'off':>6}",
        flush=True,
    )
    table = []
    for model in STEPS:
        for method in ("full", "lora"):
            for length in (64, 128, 256):
                planned, taken = (run(what, model, method, length) for what in ("predict", "train"))
                off = {name: planned[name] / taken[name] - 1 for name in ("bytes", "seconds")}
                table.append(
                    {
                        "model": model,
                        "method": method,
                        "row_tokens": length,
                        "planned": planned,
                        "taken": taken,
                        "off": off,
                    }
                )
                print(
                    f"{model:14} {method:7} {length:12} {planned['bytes'] / 1e6:11,.0f} "
                    f"{taken['bytes'] / 1e6:8,.0f} {off['bytes']:+6.0%} {planned['seconds']:10.1f} "
                    f"{taken['seconds']:6.1f} {off['seconds']:+6.0%}",
                    flush=True,
                )
    for name in ("bytes", "seconds"):
        print(f"farthest off in {name}: {max(abs(row['off'][name]) for row in table):.0%}")
    if options.json:
        options.json.write_text(json.dumps(table, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
