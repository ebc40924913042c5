"""Compare ftkit with its peers on the same rows, side by side.

    python tests/benchmarks/compare.py chat-lora --rounds 3

Every contestant is a process; they take turns, one optimiser step each. A round is one pass over the
same rows by everybody; what is shown is the median over the rounds of the ratio of their times, which
the machine's moods leave alone. The first round warms up and is not counted. `limit` is a bare loop
with every trick we know, `plain` a Trainer script; `trl` and `trl-packed` need `--trl-python`, the
Python of an environment that has TRL.
"""

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from cases import CASES  # noqa: E402

LEARNING_RATE = 2e-4


def prepare(case, folder, *, rounds):
    """Write rows, encoded rows, recipe and what the contestants need to know; return the last."""
    import yaml

    from ftkit.pipeline.readying import make_ready
    from ftkit.recipe import make_recipe
    from ftkit.training.loop import read_lengths

    rows_file = folder / "rows" / "train.jsonl"
    rows_file.parent.mkdir()
    rows_file.write_text("".join(json.dumps(row) + "\n" for row in case.read_rows()), encoding="utf-8")
    if case.recipe["task"] == "chat":  # TRL: loss on the last answer, and not on all tokens
        (folder / "trl_rows").mkdir()
        rows = [
            {"prompt": row["messages"][:-1], "completion": row["messages"][-1:]} for row in case.read_rows()
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "trl_rows" / "train.jsonl").write_text(lines, encoding="utf-8")
    sections = {
        **case.recipe,
        "data": {"train": str(rows_file), "validation": None, **case.recipe.get("data", {})},
        "training": {**case.recipe["training"], "learning_rate": LEARNING_RATE, "log_every": 1},
        "evaluation": {"baseline": False},
        "output_dir": "run",
    }
    recipe = make_recipe(sections, folder=folder)
    ready = make_ready(recipe)
    examples = ready.splits["train"].examples
    batch_size = recipe.training.batch_size
    keep = {"input_ids", "labels"} if recipe.task != "masked-lm" else {"input_ids"}
    examples.select_columns(sorted(keep)).save_to_disk(str(folder / "examples"))
    steps = -(-len(examples) // batch_size)
    sections["training"]["max_steps"] = steps * (rounds + 1)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(sections))
    lengths = [int(length) for length in read_lengths(examples)]
    known = {
        "task": recipe.task,
        "model": ready.base.model.config._name_or_path,
        "model_class": ready.task.MODEL_CLASS,
        "num_labels": len(ready.label_counts),
        "adapter": recipe.adapter is not None,
        "batch_size": batch_size,
        "plain_size": case.plain_size,
        "learning_rate": LEARNING_RATE,
        "compute": case.compute,
        "evaluates": case.evaluates,
        "num_steps": steps * (rounds + 1),
        "steps_per_round": steps,
        "num_rows": len(examples),
        "num_tokens": sum(lengths),
        "lengths": [min(lengths), round(statistics.mean(lengths)), max(lengths)],
    }
    (folder / "case.json").write_text(json.dumps(known, indent=1))
    return known


class Contestant:
    """A process that does a step when told to."""

    def __init__(self, who, folder, python):
        self.who = who
        self.log = (folder / f"{who}.log").open("w+")
        theirs_in, ours_out = os.pipe()
        ours_in, theirs_out = os.pipe()
        self.started = time.perf_counter()
        self.process = subprocess.Popen(
            [python, str(HERE / "contestants.py"), who, str(folder)],
            pass_fds=(theirs_in, theirs_out),
            env={
                **os.environ,
                "BENCHMARK_PIPES": f"{theirs_in},{theirs_out}",
                "PYTHONPATH": f"{HERE}:{HERE.parents[1]}:{os.environ.get('PYTHONPATH', '')}",
                "HF_HUB_OFFLINE": "1",
            },
            stdout=self.log,
            stderr=self.log,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.orders, self.reports = os.fdopen(ours_out, "w"), os.fdopen(ours_in)
        self.seconds, self.reported = [], []

    def step(self):
        """Let it do a step; the first one counts from the start of the process."""
        begin = time.perf_counter() if self.seconds else self.started
        if self.seconds:
            print("go", file=self.orders, flush=True)
        line = self.reports.readline()
        if not line:
            self.log.seek(0)
            raise SystemExit(f"{self.who} ended:\n{self.log.read()[-3000:]}")
        self.seconds.append(time.perf_counter() - begin)
        self.reported.append(json.loads(line))

    def end(self):
        self.process.kill()
        self.process.wait()


def race(known, folder, names, *, rounds, trl_python):
    """Let everybody do all rounds; return the contestants, ended."""
    contestants = []
    try:
        for who in names:  # one after another: the start is measured too
            python = trl_python if who.startswith("trl") else sys.executable
            contestants.append(Contestant(who, folder, python))
            contestants[-1].step()
        for _ in range(known["steps_per_round"] * (rounds + 1) - 1):
            for each in contestants:
                each.step()
    finally:
        for each in contestants:
            each.end()
    return contestants


def summarise(known, contestants, rounds):
    """Return a line of figures per contestant."""
    steps = known["steps_per_round"]
    times = {
        each.who: [sum(each.seconds[steps * turn : steps * (turn + 1)]) for turn in range(1, rounds + 1)]
        for each in contestants
    }
    first = contestants[0].who
    lines = []
    for each in contestants:
        tokens = known["num_tokens"]
        counted = [entry.get("num_tokens") for entry in each.reported]
        if counted[-1] and each.who == "trl-packed":  # its steps are of rows that it made itself
            tokens = (counted[-1] - counted[steps - 1]) / rounds
        rates = [tokens / seconds for seconds in times[each.who]]
        ratios = [
            rate * seconds / known["num_tokens"] for rate, seconds in zip(rates, times[first], strict=True)
        ]
        lines.append(
            {
                "who": each.who,
                "tokens_per_second": round(statistics.median(rates), 1),
                "rows_per_second": round(known["num_rows"] / statistics.median(times[each.who]), 2),
                "ratio": round(statistics.median(ratios), 3),
                "ratios": [round(ratio, 3) for ratio in ratios],
                "peak_mb": round(max(entry["peak_mb"] for entry in each.reported)),
                "first_step_seconds": round(each.seconds[0], 1),
                "losses": [entry["loss"] for entry in each.reported],
            }
        )
    return lines


def show(name, known, lines):
    """Print a table."""
    print(
        f"{name}: {known['num_rows']} rows of {known['lengths'][0]} to {known['lengths'][2]} tokens (mean "
        f"{known['lengths'][1]}), {known['batch_size']} a step, {known['steps_per_round']} steps a round"
    )
    print(
        f"{'who':12} {'tokens/s':>9} {'rows/s':>8} {'ratio':>6} {'peak MB':>8} {'first step s':>12}  losses"
    )
    for line in lines:
        losses = [f"{loss:.3f}" for loss in line["losses"][-4:] if loss is not None]
        print(
            f"{line['who']:12} {line['tokens_per_second']:9} {line['rows_per_second']:8} "
            f"{line['ratio']:6} {line['peak_mb']:8} {line['first_step_seconds']:12}  {' '.join(losses)}"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("case", choices=CASES)
    parser.add_argument("--contestants", nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, help="rows of the file in a round, instead of the case's own")
    parser.add_argument("--trl-python")
    parser.add_argument("--json", type=Path, help="where the figures go")
    options = parser.parse_args()
    case = CASES[options.case]
    if options.rows:
        case = dataclasses.replace(case, num_rows=options.rows)
    names = options.contestants or [
        who for who in case.contestants if options.trl_python or not who.startswith("trl")
    ]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        known = prepare(case, folder, rounds=options.rounds)
        done = race(known, folder, names, rounds=options.rounds, trl_python=options.trl_python)
        lines = summarise(known, done, options.rounds)
    show(options.case, known, lines)
    if options.json:
        options.json.write_text(json.dumps({"case": options.case, **known, "lines": lines}, indent=1))


if __name__ == "__main__":
    main()
