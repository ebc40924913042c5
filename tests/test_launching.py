"""Processes that ftkit starts through torch's launcher, and what they tell it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

import ftkit
from ftkit.errors import InterruptedRun, LaunchError, RecipeError, RunError, TrainingError
from ftkit.pipeline.launching import (
    check_devices,
    find_address,
    find_interface,
    has_address,
    make_lost_error,
    run_processes,
    starts_processes,
)
from ftkit.recipe import ParallelSection, make_recipe
from ftkit.runs import STARTED_BY_US, hand_over, is_started_again

ROWS = [{"text": f"{word} " * length} for word in ("cat", "world", "月光") for length in range(2, 10)]


@pytest.fixture
def outside(monkeypatch):
    """No launcher around this process; what is set in the environment is taken back."""
    for name in (
        "RANK",
        STARTED_BY_US,
        "GLOO_SOCKET_IFNAME",
        "OMP_NUM_THREADS",
        "TORCH_CPP_LOG_LEVEL",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE",
    ):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("settings", "starts"),
    [
        ({}, False),
        ({"num_devices": 1}, False),
        ({"num_devices": 2}, True),
        ({"num_hosts": 2, "rendezvous": "a:1"}, True),
        ({"max_restarts": 1}, True),
    ],
)
def test_the_launcher_is_for_several_processes_or_restarts(outside, settings, starts):
    assert starts_processes(ParallelSection(**settings)) is starts


def test_under_a_launcher_none_is_started(outside, monkeypatch):
    monkeypatch.setenv("RANK", "0")
    assert not starts_processes(ParallelSection(num_devices=2))


def test_rows_in_memory_are_no_rows_for_other_processes(outside, tiny_llama, tmp_path):
    with pytest.raises(LaunchError, match=r"data.train: rows in memory.*write them to a file"):
        ftkit.finetune(
            task="causal-lm",
            model=str(tiny_llama),
            data={"train": ROWS, "validation": None},
            parallel={"num_devices": 2},
            output_dir=str(tmp_path / "run"),
        )


def test_more_processes_than_devices_are_refused(monkeypatch, tiny_llama, tmp_path):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    sections = {"task": "causal-lm", "model": str(tiny_llama), "data": {"train": "rows.jsonl"}}
    recipe = make_recipe({**sections, "parallel": {"num_devices": 3}}, folder=tmp_path)
    with pytest.raises(RecipeError, match=r"parallel.num_devices: 3 processes, and this host has 2 devices"):
        check_devices(recipe)
    check_devices(make_recipe({**sections, "parallel": {"num_devices": 2}}, folder=tmp_path))


def test_a_host_knows_its_own_address():
    assert has_address("127.0.0.1:29400")
    assert has_address("localhost:29400")
    assert not has_address("192.0.2.1:29400")
    assert not has_address("no-such-host.invalid:29400")


def test_the_interface_is_the_one_that_leads_to_the_others():
    assert find_address("127.0.0.1:29400") == "127.0.0.1"
    name = find_interface("127.0.0.1")
    assert "127.0.0.1" in [each.address for each in psutil.net_if_addrs()[name]]
    assert find_interface(None) is None
    assert find_address("no-such-host.invalid:29400") is None


def find_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])  # the second one is no address of this machine
@pytest.mark.parametrize("host_rank", [None, 0, 1])
def test_a_host_that_never_comes_ends_with_one_error(outside, tmp_path, host, host_rank):
    address = f"{host}:{find_port()}"
    parallel = ParallelSection(
        num_hosts=2, rendezvous=address, rendezvous_timeout=2, host_rank=host_rank, num_devices=1
    )
    began = time.monotonic()
    with pytest.raises(LaunchError) as caught:
        run_processes(parallel, ["-c", "raise SystemExit(3)"], tmp_path)
    assert time.monotonic() - began < 30
    assert str(caught.value).startswith(f"parallel.rendezvous: 2 hosts did not meet at {address}, or ")
    assert "\n" not in str(caught.value)


def fail_processes(tmp_path, code, **settings):
    with pytest.raises(LaunchError) as caught:
        run_processes(ParallelSection(num_devices=2, **settings), ["-c", code], tmp_path)
    return str(caught.value)


def test_a_process_that_is_killed_is_named_with_what_to_do(outside, tmp_path):
    code = "import os, time\nos.kill(os.getpid(), 9) if os.environ['RANK'] == '1' else time.sleep(60)"
    said = fail_processes(tmp_path, code)
    assert said.startswith("process 1 ended by SIGKILL; what it said stands above. the same command goes on")


def test_processes_are_started_again_as_often_as_may_be(outside, tmp_path):
    code = f"""
import os
from pathlib import Path
Path({str(tmp_path)!r}, os.environ["RANK"] + "-" + os.environ["TORCHELASTIC_RESTART_COUNT"]).touch()
raise SystemExit(os.environ["TORCHELASTIC_RESTART_COUNT"] != "1")
"""
    before, handler = dict(os.environ), signal.getsignal(signal.SIGINT)
    run_processes(ParallelSection(num_devices=2, max_restarts=1), ["-c", code], tmp_path)
    assert dict(os.environ) == before
    assert signal.getsignal(signal.SIGINT) is handler
    assert {path.name for path in tmp_path.glob("?-?")} >= {"0-1", "1-1"}
    said = fail_processes(tmp_path, "raise SystemExit(7)", max_restarts=1)
    assert "ended with exit code 7" in said
    assert "1 restarts are used up" in said


@pytest.fixture
def error_file(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    monkeypatch.setenv(STARTED_BY_US, "ftkit finetune recipe.yaml")
    return tmp_path / "error.json"


def read_back(path, exitcode=1):
    failure = ProcessFailure(local_rank=1, pid=1, exitcode=exitcode, error_file=str(path))
    return make_lost_error(ChildFailedError("python", {1: failure}), ParallelSection(num_devices=2))


def test_an_error_is_handed_to_the_launcher_and_said_as_it_was(error_file):
    assert hand_over(TrainingError("loss: 不是数; look at row 3"))
    error = read_back(error_file)
    assert isinstance(error, LaunchError)
    assert str(error) == "loss: 不是数; look at row 3"


def test_a_stop_by_a_signal_keeps_its_number(error_file):
    assert hand_over(InterruptedRun("stopped after step 3 of 9", signal=10))
    error = read_back(error_file)
    assert isinstance(error, InterruptedRun)
    assert (str(error), error.signal) == ("stopped after step 3 of 9", 10)


def test_without_a_launcher_of_ours_an_error_is_for_the_terminal(error_file, monkeypatch):
    monkeypatch.delenv(STARTED_BY_US)
    assert not hand_over(TrainingError("loss"))
    assert not error_file.exists()


def test_a_process_that_is_started_again_says_so(monkeypatch, caplog):
    assert not is_started_again()
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    assert is_started_again()
    assert "all start again from the last checkpoint (1 of 3)" in caplog.text


RECIPE = """
task: causal-lm
model: {model}
data: {{train: rows.jsonl, validation: 20%, documents: whole, leakage: allow}}
checks: {{unknown_tokens: 1.0, rows_left_out: 1.0}}
training:
  max_steps: 40
  batch_size: 5
  learning_rate: 1e-3
  checkpoint_every: 5
  log_every: 1
  precision: float32
  arguments: {{use_cpu: true}}
evaluation: {{every: never}}
parallel: {{num_devices: 2}}
"""


@pytest.fixture
def recipe(tmp_path, tiny_llama, shared_cache, monkeypatch):
    monkeypatch.setenv("FTKIT_CACHE", str(shared_cache))
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(model=tiny_llama), encoding="utf-8")
    return tmp_path / "recipe.yaml"


def start(recipe, output, *words):
    command = [sys.executable, "-m", "ftkit", "finetune", recipe, f"output_dir={output}", *words]
    environment = {name: value for name, value in os.environ.items() if name != "RANK"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def wait_for(process, text):
    said = []
    for line in process.stderr:
        said.append(line)
        if text in line:
            return "".join(said)
    raise AssertionError("".join(said))


def find_worker(launcher, rank):
    for child in psutil.Process(launcher.pid).children(recursive=True):
        if child.environ().get("RANK") == str(rank):
            return child.pid
    raise AssertionError("no such process")


def read_steps(run):
    lines = [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


@pytest.mark.slow
def test_a_lost_process_restarts_all_and_the_run_ends_as_that_of_one(recipe, tmp_path):
    one = ftkit.finetune(ftkit.load_recipe(recipe, ["parallel.num_devices=1", f"output_dir={tmp_path}/one"]))
    process = start(recipe, tmp_path / "two", "--max-restarts", "1")
    said = wait_for(process, "step 12/")
    os.kill(find_worker(process, 1), signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err[-3000:]
    assert "a process was lost; all start again from the last checkpoint (1 of 1)" in err
    assert "continuing after step 1" in err  # 10, or 15 where the kill came late
    assert said.count("train: encoding, for the first time") <= 1
    assert said.count("precision: ") == 1
    assert out.count("causal-lm, validation") == 1
    two = ftkit.open_run(tmp_path / "two")
    assert two.info["command"].endswith(f"finetune {recipe} output_dir={tmp_path}/two --max-restarts 1")
    # float32: sums in another order, 40 AdamW steps of 1e-3
    assert read_steps(tmp_path / "two") == pytest.approx(read_steps(tmp_path / "one"), rel=1e-4)
    for who, scores in one.report["scores"].items():
        assert two.report["scores"][who] == pytest.approx(scores, rel=1e-3), who


@pytest.mark.slow
def test_the_warning_of_slurm_ends_all_processes_with_a_checkpoint_and_its_code(recipe, tmp_path):
    process = start(recipe, tmp_path / "two")
    wait_for(process, "step 3/")
    process.send_signal(signal.SIGUSR1)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (128 + signal.SIGUSR1, ""), err[-3000:]
    assert "Traceback" not in err
    assert len(list((tmp_path / "two" / "checkpoints").glob("checkpoint-*"))) >= 1
    assert err.splitlines()[-1].startswith("stopped; the same command goes on from the last checkpoint")


@pytest.mark.slow
def test_a_mistake_is_said_once_and_before_there_are_processes(recipe, tmp_path):
    process = start(recipe, tmp_path / "two", "data.train=none.jsonl")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (1, "")
    assert err.count("error: ") == 1
    assert "none.jsonl" in err
    assert "starting 2 processes" not in err
    assert "Traceback" not in err
    assert not (tmp_path / "two").exists()


@pytest.mark.slow
def test_an_error_in_the_middle_is_said_once(recipe, tmp_path):
    process = start(
        recipe,
        tmp_path / "two",
        "training.learning_rate=0.99",
        "training.optim=sgd",
        "training.max_grad_norm=0",
        "training.optim_args={momentum: 0.99}",
        "training.max_steps=3000",
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, err[-2000:]
    assert err.count("error: ") == 1
    assert "Traceback" not in err


def test_a_folder_with_a_finished_run_is_refused_before_anything_is_prepared(outside, tmp_path, tiny_llama):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "other.txt").touch()
    with pytest.raises(RunError, match="has files that are not of a run"):
        ftkit.finetune(
            task="causal-lm",
            model=str(tiny_llama),
            data={"train": str(tmp_path / "none.jsonl")},
            parallel={"num_devices": 2},
            output_dir=str(tmp_path / "run"),
        )


FEW_ROWS = """
task: chat
model: {model}
data: {{train: few.jsonl, test: fewer.jsonl, validation: null, leakage: allow}}
checks: {{unknown_tokens: 1.0, rows_left_out: 1.0, prompts_changed: 1.0}}
training: {{max_steps: 3, batch_size: 2, learning_rate: 1e-3, precision: float32, log_every: 1,
  arguments: {{use_cpu: true}}}}
evaluation: {{metrics: [perplexity, chrf], generation: {{max_new_tokens: 4}}}}
"""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_more_processes_than_rows_make_the_run_of_one(recipe, tmp_path, tiny_llama, strategy):
    turns = [[{"role": "user", "content": word}, {"role": "assistant", "content": word}] for word in "猫狗ab"]
    for name, some in (("few", turns[:3]), ("fewer", turns[2:])):
        lines = [json.dumps({"messages": each}, ensure_ascii=False) + "\n" for each in some]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    recipe.write_text(FEW_ROWS.format(model=tiny_llama), encoding="utf-8")
    one = ftkit.finetune(ftkit.load_recipe(recipe, [f"output_dir={tmp_path}/one"]))
    process = start(recipe, tmp_path / "four", "--num-devices", "4", f"parallel.strategy={strategy}")
    _, err = process.communicate(timeout=200)
    assert process.returncode == 0, err[-3000:]
    four = ftkit.open_run(tmp_path / "four")
    assert read_steps(tmp_path / "four") == pytest.approx(read_steps(tmp_path / "one"), rel=1e-5)
    assert four.report["rows"] == one.report["rows"]
    for who, scores in one.report["scores"].items():
        assert four.report["scores"][who] == pytest.approx(scores, rel=1e-4), who
    places = [json.loads(line)["row"] for line in (four.folder.evaluation / "predictions.jsonl").open()]
    assert sorted(places) == [0, 1]
