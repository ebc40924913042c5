import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from test_continuation import read_metrics

from ftkit.errors import TrainingError
from ftkit.runs import list_checkpoints
from ftkit.training import checkpoints as module
from ftkit.training.checkpoints import measure_checkpoint, prune_checkpoints, writing_checkpoint


def write(folder, step, size=10):
    with writing_checkpoint(folder, step, 0) as aside:
        (aside / f"checkpoint-{step}").mkdir()
        (aside / f"checkpoint-{step}" / "weights").write_bytes(b"x" * size)


def names(folder):
    return [path.name for path in list_checkpoints(folder)]


def test_a_checkpoint_is_not_there_before_it_is_whole(tmp_path):
    with writing_checkpoint(tmp_path, 5, 0) as aside:
        (aside / "checkpoint-5").mkdir()
        assert names(tmp_path) == []
    assert names(tmp_path) == ["checkpoint-5"]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]


def test_a_failure_leaves_the_older_ones_and_nothing_half(tmp_path):
    write(tmp_path, 5)

    def fail():
        with writing_checkpoint(tmp_path, 6, 0) as aside:
            (aside / "checkpoint-6").mkdir()
            raise KeyError("a bug")

    with pytest.raises(KeyError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]


def test_one_of_the_same_step_is_replaced(tmp_path):
    write(tmp_path, 5, size=10)
    write(tmp_path, 5, size=20)
    assert (tmp_path / "checkpoint-5" / "weights").stat().st_size == 20
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]


def test_without_room_nothing_is_begun(tmp_path, monkeypatch):
    write(tmp_path, 5)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 90, 20_000_000))
    found = r"checkpoint-6: .* about 30 MB, and 20 MB are free; .* checkpoint-5"
    with pytest.raises(TrainingError, match=found), writing_checkpoint(tmp_path, 6, 30_000_000):
        pytest.fail("begun")
    assert names(tmp_path) == ["checkpoint-5"]


@pytest.mark.parametrize(
    ("keep", "best", "left"),
    [
        (1, None, [40]),
        (2, None, [30, 40]),
        (1, 10, [10, 40]),
        (2, 10, [10, 40]),
        (3, 10, [10, 30, 40]),
        (1, 40, [40]),
        (9, 20, [10, 20, 30, 40]),
    ],
)
def test_the_best_and_the_last_are_never_pruned(tmp_path, keep, best, left):
    for step in (10, 20, 30, 40):
        write(tmp_path, step)
    prune_checkpoints(tmp_path, keep=keep, best_step=best)
    assert names(tmp_path) == [f"checkpoint-{step}" for step in left]


def test_the_next_one_is_as_large_as_the_newest_or_as_weights_and_their_averages(tmp_path):
    assert measure_checkpoint(tmp_path, 100) == 300
    write(tmp_path, 5, size=1000)
    seal = len((tmp_path / "checkpoint-5" / "checksums.json").read_bytes())
    assert measure_checkpoint(tmp_path, 100) == 1000 + seal


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 3 MB, where this user may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("mount") is None or os.getuid() != 0:
        pytest.skip("needs the rights to mount a small disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", place]
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode:
        pytest.skip(f"cannot mount a small disk: {done.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def test_a_disk_that_fills_up_on_the_way_costs_nothing_that_was_whole(small_disk, monkeypatch):
    monkeypatch.setattr(module, "ROOM_FOR_LOGS_BYTES", 0)
    write(small_disk, 5, size=1_000_000)
    with pytest.raises(TrainingError, match=r"checkpoint-6: cannot be written: .*No space.*checkpoint-5"):
        write(small_disk, 6, size=4_000_000)
    assert [path.name for path in small_disk.iterdir()] == ["checkpoint-5"]


def test_a_run_whose_disk_fills_up_says_so_and_goes_on_later(workshop, small_disk, monkeypatch):
    monkeypatch.setattr(module, "ROOM_FOR_LOGS_BYTES", 0)
    monkeypatch.setattr("ftkit.training.trainer.measure_checkpoint", lambda *_: 0)  # found out on the way
    settings = {"max_steps": 6, "checkpoint_every": 1, "save_total_limit": 9, "log_every": 1}
    whole, whole_folder, _ = workshop.train("whole", **settings)
    room = int(2.5 * module.measure_folder(whole_folder.checkpoints / "checkpoint-1"))
    subprocess.run(["mount", "-o", f"remount,size={room}", small_disk], check=True)
    link = workshop.folder / "full"
    link.symlink_to(small_disk)
    with pytest.raises(TrainingError, match=r"cannot be written: .*the last whole one is checkpoint-\d"):
        workshop.train("full", **settings)
    assert len(list_checkpoints(link / "checkpoints")) >= 1
    subprocess.run(["mount", "-o", "remount,size=60m", small_disk], check=True)
    continued, folder, _ = workshop.train("full", **settings)
    assert read_metrics(folder) == read_metrics(whole_folder)
    for name, tensor in whole.state_dict().items():
        assert tensor.equal(continued.state_dict()[name])


def test_a_checkpoint_knows_the_best_one_where_it_lies(workshop):
    scores = iter([3.0, 1.0, 2.0, 2.5])
    _, folder, _ = workshop.train(
        validate=lambda: {"loss": next(scores)}, evaluation={"every": 1}, checkpoint_every=1
    )
    for checkpoint in list_checkpoints(folder.checkpoints):
        best = json.loads((checkpoint / "trainer_state.json").read_text())["best_model_checkpoint"]
        assert Path(best) == folder.checkpoints / "checkpoint-2"
        assert Path(best).is_dir()
