import gc
import os
import platform

import psutil
import pytest
import torch

from ftkit.training.machine import count_cores, import_libraries, keep_freed_memory, use_all_cores


@pytest.fixture
def one_thread(monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    for name in ("LOCAL_WORLD_SIZE", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    yield
    torch.set_num_threads(before)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_freed_memory_is_kept_for_the_next_tensor():
    assert keep_freed_memory()
    process, size = psutil.Process(), 200 * 2**20
    torch.ones(size, dtype=torch.uint8)
    first = process.memory_info().rss
    del_me = torch.ones(size, dtype=torch.uint8)
    del del_me
    assert process.memory_info().rss >= first - size // 10


def test_other_allocators_are_left_alone(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("musl", "1.2"))
    assert not keep_freed_memory()


@pytest.mark.parametrize("launcher", ["LOCAL_WORLD_SIZE", "ACCELERATE_MIXED_PRECISION"])
def test_a_launcher_does_not_take_the_cores_away(one_thread, monkeypatch, launcher):
    monkeypatch.setenv(launcher, "1")
    assert use_all_cores() == count_cores()


def test_processes_of_one_machine_share_its_cores(one_thread, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(count_cores()))
    assert use_all_cores() == 1


def test_the_users_own_number_of_threads_stands(one_thread):
    assert use_all_cores() == 1


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: 64)
    if hasattr(os, "sched_getaffinity"):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
        assert count_cores() == 3
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: None)
    assert count_cores() >= 1


@pytest.mark.parametrize("is_on", [True, False])
def test_the_collector_is_off_while_libraries_are_imported_and_then_as_it_was(monkeypatch, is_on):
    seen = []
    monkeypatch.setattr("importlib.import_module", lambda name: seen.append((name, gc.isenabled())))
    (gc.enable if is_on else gc.disable)()
    try:
        import_libraries()
        assert gc.isenabled() == is_on
    finally:
        gc.enable()
    assert seen == [("datasets", False), ("transformers.trainer", False), ("peft", False)]
