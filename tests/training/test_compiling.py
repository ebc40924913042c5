"""A compiler that fails costs speed and nothing else."""

import json

import pytest
import torch

from ftkit.training.compiling import falling_back


def fail(graph, inputs):
    raise RuntimeError("no compiler\nand many lines")


def compute(x):
    return x.sin() + 1


def compute_otherwise(x):
    return x.cos() - 1


def test_what_cannot_be_compiled_runs_as_it_is_and_says_so_once(caplog):
    torch._dynamo.reset()
    x = torch.arange(3.0)
    with falling_back(True):
        for function in (compute, compute_otherwise):
            found = torch.compile(function, backend=fail)(x)
            torch.testing.assert_close(found, function(x))
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len(said) == 1
    assert said[0].startswith("torch.compile failed, and the model runs as it is: ")
    assert "no compiler" in said[0]
    assert not torch._dynamo.config.suppress_errors


def test_elsewhere_a_failure_is_still_one():
    torch._dynamo.reset()
    with falling_back(False), pytest.raises(Exception, match="no compiler"):
        torch.compile(compute, backend=fail)(torch.arange(3.0))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_run_without_a_compiler_is_the_run_without_compiling(workshop, monkeypatch, caplog):
    torch._dynamo.reset()
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", (None, "/nowhere/g++"))
    settings = {"max_steps": 2, "log_every": 1}
    _, plain, _ = workshop.train("plain", **settings, arguments={"use_cpu": True})
    _, folder, _ = workshop.train("compiled", **settings, arguments={"use_cpu": True, "torch_compile": True})
    losses = [
        [json.loads(line)["loss"] for line in each.metrics.read_text().splitlines()]
        for each in (plain, folder)
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert caplog.text.count("torch.compile failed") == 1
