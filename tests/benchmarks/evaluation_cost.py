"""What an evaluation costs beside a bare forward pass: time, and memory as rows grow.

    python tests/benchmarks/evaluation_cost.py --rows 20000

A Llama with random weights and a vocabulary of 49,152 tokens is scored on plain text (`causal-lm`:
every token has a loss, the worst case). Memory is the highest resident size of a process of its own above
what it had with the model loaded: for one batch, the largest, and for all rows. Time is of `predict_split`,
examples read and batches made included, beside `model(...)` on the same batches, made before; both in one
process, by turns, the median of `--repeats`, over at most `--timed-rows` rows.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VOCABULARY = 49_152
NUM_TOKENS = 12
"""Tokens of a row in the mean; half to one and a half times as many."""
SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4}
SMALL |= {"num_attention_heads": 4, "num_key_value_heads": 2}
"""The model where memory is measured: the logits are what counts."""
SMOLLM2 = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30}
SMOLLM2 |= {"num_attention_heads": 9, "num_key_value_heads": 3}
"""The model where time is measured: the shape of SmolLM2-135M."""


def make_case(num_rows, shape):
    """Make the model and the split, with token ids at random."""
    import datasets
    import numpy as np
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from ftkit.data import load_rows
    from ftkit.data.examples import Prepared
    from ftkit.tasks import Encoding
    from ftkit.tasks.encoding import Split

    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=VOCABULARY, **shape)
    rng = np.random.default_rng(0)
    lengths = rng.integers(NUM_TOKENS // 2, NUM_TOKENS * 3 // 2 + 1, size=num_rows)
    rows = [{"text": str(number)} for number in range(num_rows)]

    def make():
        for row, length in enumerate(lengths):
            ids = rng.integers(VOCABULARY, size=length).tolist()
            yield {"row": row, "input_ids": ids, "labels": ids}

    examples = datasets.Dataset.from_generator(make, cache_dir=tempfile.mkdtemp())
    split = Split("test", load_rows(rows), Prepared(examples, [], {}), Encoding(512, "split"))
    return LlamaForCausalLM(config).eval(), split


class Padding:
    """As much of a tokenizer as padding needs."""

    pad_token_id = 0
    padding_side = "right"
    model_input_names = ("input_ids", "attention_mask")


def list_batches(split):
    """Group the rows as the evaluation does."""
    from ftkit.evaluation.predictions import CPU_BATCH_TOKENS
    from ftkit.training.loop import read_lengths
    from ftkit.training.steps import MicroBatchLimit, split_step

    return list(split_step(read_lengths(split.examples), MicroBatchLimit(num_tokens=CPU_BATCH_TOKENS)))


def read_peak():
    """Return the highest resident size so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read_now():
    """Return the resident size now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def measure_memory(num_rows, *, whole):
    """Score all rows, or the largest batch of them alone, and print what that took."""
    from dataclasses import replace

    from ftkit.data.examples import Prepared
    from ftkit.evaluation.predictions import predict_split
    from ftkit.tasks import causal_lm

    model, split = make_case(num_rows, SMALL)
    if not whole:
        first = list_batches(split)[0]
        split = replace(split, prepared=Prepared(split.examples.select(first), [], {}))
    loaded = read_now()
    start = time.perf_counter()
    predict_split(model, Padding(), causal_lm, split)
    print(json.dumps({"above_model_mib": read_peak() - loaded, "seconds": time.perf_counter() - start}))


def measure_time(num_rows, repeats):
    """Score rows and run the bare model on the same batches, by turns."""
    import torch

    from ftkit.evaluation.predictions import predict_split
    from ftkit.tasks import causal_lm

    model, split = make_case(num_rows, SMOLLM2)
    batches = [
        causal_lm.collate(split.examples.__getitems__(places), Padding(), split.encoding, (0,))
        for places in list_batches(split)
    ]
    times = {"bare": [], "evaluation": []}
    for _ in range(repeats + 1):
        start = time.perf_counter()
        with torch.no_grad():
            for batch in batches:
                model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False)
        middle = time.perf_counter()
        predict_split(model, Padding(), causal_lm, split)
        times["bare"].append(middle - start)
        times["evaluation"].append(time.perf_counter() - middle)
    ratios = [late / early for early, late in zip(times["bare"][1:], times["evaluation"][1:], strict=True)]
    print(json.dumps({"ratio": statistics.median(ratios), "ratios": ratios, **times}))


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--timed-rows", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--part", choices=["batch", "all", "time"])
    options = parser.parse_args()
    if options.part == "time":
        measure_time(min(options.rows, options.timed_rows), options.repeats)
        return
    if options.part:
        measure_memory(options.rows, whole=options.part == "all")
        return
    found = {}
    for part in ("batch", "all", "time"):
        command = [sys.executable, __file__, *sys.argv[1:], "--part", part]
        printed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        found[part] = json.loads(printed.splitlines()[-1])
        print(part, json.dumps(found[part]), flush=True)
    growth = found["all"]["above_model_mib"] / found["batch"]["above_model_mib"]
    print(f"memory of {options.rows} rows / memory of one batch: {growth:.3f}")
    print(f"time of an evaluation / time of a bare forward pass: {found['time']['ratio']:.3f}")


if __name__ == "__main__":
    main()
