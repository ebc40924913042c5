"""Two hosts: network namespaces of this machine, each with an address, processes and a memory of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from test_launching import RECIPE, ROWS, read_steps, wait_for

import ftkit

ADDRESSES = {"ftkit-a": "10.77.31.1", "ftkit-b": "10.77.31.2"}
PORT = 29477


def give(*words):
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def hosts():
    """Two namespaces with a cable between them; whatever runs in them is gone afterwards."""
    try:
        for name in ADDRESSES:
            give("netns", "add", name)
        give(
            "link",
            "add",
            "ftkit-va",
            "netns",
            "ftkit-a",
            "type",
            "veth",
            "peer",
            "ftkit-vb",
            "netns",
            "ftkit-b",
        )
        for name, address in ADDRESSES.items():
            cable = name.replace("-", "-v")
            give("-n", name, "addr", "add", f"{address}/24", "dev", cable)
            give("-n", name, "link", "set", cable, "up")
            give("-n", name, "link", "set", "lo", "up")
    except (OSError, subprocess.CalledProcessError) as error:
        remove_hosts()
        pytest.skip(f"network namespaces cannot be made here: {getattr(error, 'stderr', error)}")
    yield list(ADDRESSES)
    remove_hosts()


def remove_hosts():
    for name in ADDRESSES:
        if Path("/run/netns", name).exists():
            kill(name)
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def kill(host):
    """Take a host away: SIGKILL for all that runs on it."""
    for number in give("netns", "pids", host).split():
        os.kill(int(number), signal.SIGKILL)


def start(host, recipe, output, *words):
    command = ["ip", "netns", "exec", host, sys.executable, "-m", "ftkit", "finetune", recipe]
    options = ["--num-hosts", "2", "--rendezvous", f"{ADDRESSES['ftkit-a']}:{PORT}", *words]
    return subprocess.Popen(
        [*command, f"output_dir={output}", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_run_on_two_hosts_outlives_one_of_them(hosts, tiny_llama, tmp_path, shared_cache, monkeypatch):
    monkeypatch.setenv("FTKIT_CACHE", str(shared_cache))
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.format(model=tiny_llama).replace("num_devices: 2", "num_devices: 1"))
    one = ftkit.finetune(ftkit.load_recipe(recipe, [f"output_dir={tmp_path}/one"]))
    words = [recipe, tmp_path / "two", "--max-restarts", "1", "--rendezvous-timeout", "100"]
    first, second = (start(host, *words) for host in hosts)
    try:
        wait_for(first, "step 12/")
        kill(hosts[1])
        second.communicate()
        second = start(hosts[1], *words)
        out, err = first.communicate(timeout=200)
        assert first.returncode == 0, err[-3000:]
        other_out, other_err = second.communicate(timeout=60)
        assert (second.returncode, other_out) == (0, ""), other_err[-3000:]
    finally:
        for process in (first, second):
            process.kill()
    assert "a process was lost; all start again from the last checkpoint (1 of 1)" in err
    assert "continuing after step 1" in err
    assert out.count("causal-lm, validation") == 1
    # float32: sums in another order, 40 AdamW steps of 1e-3
    assert read_steps(tmp_path / "two") == pytest.approx(read_steps(tmp_path / "one"), rel=1e-4)
    two = ftkit.open_run(tmp_path / "two")
    for who, scores in one.report["scores"].items():
        assert two.report["scores"][who] == pytest.approx(scores, rel=1e-3), who
