"""Memory that runs out in mid-run: smaller micro-batches, the same result; a row that never fits."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from ftkit.errors import DeviceMemoryError
from ftkit.training import memory


class Scarce:
    """Lets the loss of micro-batches that are too large fail, after part of the work is done."""

    def __init__(self, task, monkeypatch, error=None):
        self.most, self.failures, self.seen = None, 0, []
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        whole = task.compute_loss

        def compute(model, batch, options):
            loss = whole(model, batch, options)
            size = int(batch["attention_mask"].sum())
            self.seen.append(size)
            if self.most is not None and size > self.most:
                self.failures += 1
                torch.rand(7)  # as dropout would have drawn
                raise self.error
            return loss

        monkeypatch.setattr(task, "compute_loss", compute)


@pytest.fixture
def scarce(workshop, monkeypatch):
    return Scarce(workshop.task, monkeypatch)


def load_with_dropout(workshop):
    checkpoint = workshop.load()
    for layer in checkpoint.model.model.layers:
        layer.self_attn.attention_dropout = 0.2
    return checkpoint


def train(workshop, name, tokens, monkeypatch, **settings):
    monkeypatch.setattr(memory, "CPU_TOKENS", tokens)
    checkpoint = load_with_dropout(workshop)
    model, folder, result = workshop.train(name, checkpoint=checkpoint, log_every=1, **settings)
    return model.state_dict(), read_lines(folder), result


def read_lines(folder):
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    return [line for line in lines if "loss" in line]


def read_losses(folder):
    return [line["loss"] for line in read_lines(folder)]


def test_the_step_is_done_again_as_if_it_had_been_cut_smaller_from_the_start(workshop, scarce, monkeypatch):
    """Gradients and random numbers of the pass that failed leave no trace: the weights are the same."""
    small, small_lines, _ = train(workshop, "small", 60, monkeypatch)
    scarce.most = 70
    halved, lines, result = train(workshop, "halved", 130, monkeypatch)
    assert scarce.failures == 1
    assert result.out_of_memory[0]["limit"] <= 70
    expected, _, _ = train(workshop, "expected", result.out_of_memory[0]["limit"], monkeypatch)
    assert scarce.failures == 1
    assert all(torch.equal(expected[name], weights) for name, weights in halved.items())
    assert [line["loss"] for line in lines] == pytest.approx([line["loss"] for line in small_lines], rel=0.1)


def test_without_dropout_the_losses_are_those_of_a_run_with_room(workshop, scarce, monkeypatch):
    monkeypatch.setattr(memory, "CPU_TOKENS", 10_000)
    _, roomy, _ = workshop.train("roomy", log_every=1)
    scarce.most = 50
    _, halved, result = workshop.train("halved", log_every=1)
    first, second = (read_losses(folder) for folder in (roomy, halved))
    assert second == pytest.approx(first, rel=1e-5)
    assert scarce.failures == len(result.out_of_memory) > 1  # halved until it fitted
    assert result.num_steps == 4


def test_it_is_said_once_with_numbers_and_kept(workshop, scarce, monkeypatch, caplog):
    scarce.most = 70
    with caplog.at_level(logging.WARNING, logger="ftkit.training.memory"):
        _, lines, result = train(workshop, "run", 130, monkeypatch)
    (message,) = [record.message for record in caplog.records if "out of memory" in record.message]
    (shrunk,) = result.out_of_memory
    assert message == (
        f"step 1: out of memory with a micro-batch of {shrunk['examples']} examples of up to "
        f"{shrunk['tokens']} tokens; the step is done again, and all from here on, with micro-batches of up "
        f"to {shrunk['limit']} tokens and not 130; the result does not change"
    )
    assert shrunk["limit"] == 65
    assert {line["micro_batch_tokens"] for line in lines} == {shrunk["limit"]}
    assert result.as_dict()["out_of_memory"] == (shrunk,)
    assert max(scarce.seen[1:]) <= 70


def test_a_row_that_alone_does_not_fit_ends_the_run_with_what_to_do(workshop, scarce, monkeypatch):
    scarce.most = 20
    with pytest.raises(DeviceMemoryError, match=r"micro-batch of 1 examples of up to \d+ tokens") as caught:
        train(workshop, "run", 130, monkeypatch)
    assert "micro_batch_size" not in str(caught.value)
    assert "data.max_tokens" in str(caught.value)


def test_a_number_of_examples_is_the_users_word(workshop, scarce, monkeypatch):
    scarce.most = 70
    with pytest.raises(DeviceMemoryError, match="micro_batch_size: 4"):
        train(workshop, "run", 130, monkeypatch, micro_batch_size=8)
    assert scarce.failures == 1


def test_loaders_that_work_ahead_do_not_bring_back_large_micro_batches(workshop, scarce, monkeypatch):
    scarce.most = 70
    settings = {"arguments": {"dataloader_num_workers": 1}}
    _, _, result = train(workshop, "run", 130, monkeypatch, **settings)
    assert scarce.failures == 1
    assert result.num_steps == 4


def test_other_errors_are_not_taken_for_memory(workshop, monkeypatch):
    scarce = Scarce(workshop.task, monkeypatch, error=RuntimeError("shapes cannot be multiplied"))
    scarce.most = 70
    with pytest.raises(RuntimeError, match="shapes"):
        train(workshop, "run", 130, monkeypatch)


LIMITED = """
import json, resource, sys
from pathlib import Path
sys.path[:0] = [{here!r}, {tests!r}]
import conftest, torch
from ftkit.training import memory
memory.CPU_TOKENS = 160
workshop = conftest.Workshop(Path({model!r}), Path({folder!r}))
whole, calls = workshop.task.compute_loss, []
def compute(model, batch, options):
    if not calls:  # from here on there is room for 150 MB more than there is in use
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + 150_000_000
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    calls.append(batch["input_ids"].numel())
    held = torch.ones(batch["input_ids"].numel(), 500_000)  # 2 MB a token
    return whole(model, batch, options) + 0 * held[0, 0]
workshop.task.compute_loss = compute
_, folder, result = workshop.train("run", max_steps=2)
print(json.dumps([calls, result.out_of_memory, result.num_steps]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_a_process_under_a_real_limit_goes_on(tiny_llama, tmp_path):
    """torch's own allocator refuses: the limit is the kernel's, of the address space."""
    here = Path(__file__).parent
    values = {"tests": str(here.parent), "here": str(here), "model": str(tiny_llama), "folder": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED.format(**values)],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    calls, shrunk, num_steps = json.loads(done.stdout.splitlines()[-1])
    assert num_steps == 2
    assert shrunk[0]["step"] == 1
    assert calls[0] > 75
    assert max(calls[len(shrunk) :]) <= 75  # 150 MB are 75 tokens
