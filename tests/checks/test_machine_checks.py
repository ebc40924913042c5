"""What `ftkit doctor` says of a machine that lacks something."""

import subprocess
from types import SimpleNamespace

import pytest

from ftkit.checks import machine
from ftkit.checks.machine import (
    ask_hub,
    ask_index,
    check_devices,
    check_folders,
    check_libraries,
    check_network,
)
from ftkit.pipeline import doctoring


def severities(found):
    return [(each.subject, each.severity) for each in found]


def pretend_needs(monkeypatch, *needed):
    monkeypatch.setattr(machine, "requires", lambda _: list(needed))


def test_this_environment_has_what_ftkit_needs():
    assert {severity for _, severity in severities(check_libraries())} == {"note"}


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch):
    pretend_needs(monkeypatch, "torch>=2.10", "no-such-library>=1.2")
    error = list(check_libraries())[1]
    assert error.severity == "error"
    assert error.message.startswith("no-such-library is not installed; ")
    assert error.message.endswith("-m pip install 'no-such-library>=1.2'")


def test_a_library_that_is_too_old_is_named_with_both_versions(monkeypatch):
    pretend_needs(monkeypatch, "pytest>=9999")
    error = list(check_libraries())[1]
    assert "pytest is " in error.message
    assert ">=9999 is needed" in error.message


def test_what_extras_would_add_is_no_fault(monkeypatch):
    pretend_needs(monkeypatch, "torch>=2.10", "no-such-library; extra == 'nothing'")
    assert [each.message for each in check_libraries()][1:] == [
        "optional, and not installed: no-such-library"
    ]


def test_the_device_is_described():
    (found,) = [each for each in check_devices() if each.severity == "note"]
    assert "CPU cores" in found.message


def test_a_gpu_that_torch_does_not_see_is_named(monkeypatch):
    from ftkit import models

    monkeypatch.setattr(models, "read_device", lambda: models.Device("cpu", "CPU", True, False))
    monkeypatch.setattr(machine.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    assert severities(check_devices()) == [("device", "note"), ("device", "warning")]


def test_a_cache_that_is_a_file_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "file"))
    found = list(check_folders(tmp_path))
    assert severities(found) == [("disk", "note"), ("cache", "error")]
    assert found[1].message.endswith("set FTKIT_CACHE to a folder that can be written")


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: SimpleNamespace(free=2**30))
    found = list(check_folders(tmp_path))
    assert severities(found) == [("disk", "warning"), ("cache", "warning")]
    assert ": 1 GiB free; make room" in found[0].message


def test_an_offline_hub_is_not_waited_for():
    assert "offline mode (HF_HUB_OFFLINE)" in ask_hub()  # all tests run so


def test_a_hub_that_does_not_answer_is_given_up_soon(monkeypatch):
    import huggingface_hub

    def head(url, timeout):
        assert timeout <= 5
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "get_session", lambda: SimpleNamespace(head=head))
    assert ask_hub() == ("https://huggingface.co does not answer (no route); HF_HUB_OFFLINE=1 saves the wait")


@pytest.mark.parametrize(
    ("finished", "said"),
    [
        (SimpleNamespace(returncode=0, stderr=""), None),
        (SimpleNamespace(returncode=1, stderr="x\nERROR: no index\n"), "(ERROR: no index)"),
        (SimpleNamespace(returncode=1, stderr=""), "(no reason given)"),
        (subprocess.TimeoutExpired("pip", 20), "within 20 s"),
    ],
)
def test_the_index_is_asked_once_and_not_for_long(monkeypatch, finished, said):
    def run(command, **options):
        assert options["timeout"] <= 20
        assert "0" in command  # retries
        if isinstance(finished, Exception):
            raise finished
        return finished

    monkeypatch.setattr(machine.subprocess, "run", run)
    answer = ask_index()
    assert answer is None if said is None else said in answer


@pytest.mark.parametrize(
    ("hub", "index", "warns"), [(None, None, 0), ("down", None, 0), (None, "down", 0), ("down", "down", 1)]
)
def test_one_way_to_models_is_enough(monkeypatch, hub, index, warns):
    monkeypatch.setattr(machine, "ask_hub", lambda: hub)
    monkeypatch.setattr(machine, "ask_index", lambda: index)
    assert sum(severity == "warning" for _, severity in severities(check_network())) == warns


def test_two_steps_of_a_tiny_model_are_trained_and_leave_nothing(monkeypatch, shared_cache):
    import os

    before, cache = sorted(shared_cache.rglob("*")), os.environ["FTKIT_CACHE"]
    (found,) = doctoring.try_training()
    assert found.severity == "note"
    assert found.message.startswith("2 steps of a tiny model on ")
    assert sorted(shared_cache.rglob("*")) == before
    assert os.environ["FTKIT_CACHE"] == cache


def test_a_training_that_fails_is_the_verdict(monkeypatch):
    from ftkit.pipeline import finetuning

    def fail(**_):
        raise RuntimeError("CUDA error: no kernel image\nis available")

    monkeypatch.setattr(finetuning, "finetune", fail)
    monkeypatch.setattr(doctoring, "check_network", list)
    checked = doctoring.doctor()
    assert checked.verdict == "will not do"
    assert checked.select("error")[0].message == (
        "two steps of a tiny model failed: RuntimeError: CUDA error: no kernel image"
    )
