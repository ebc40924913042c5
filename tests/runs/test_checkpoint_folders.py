import logging

import pytest

from ftkit.runs import RunFolder, list_checkpoints
from ftkit.runs.checkpoint_folders import SEAL, find_damage, seal_checkpoint


@pytest.fixture
def folder(tmp_path):
    for step in (9, 10, 100):
        checkpoint = tmp_path / "checkpoints" / f"checkpoint-{step}"
        (checkpoint / "inner").mkdir(parents=True)
        (checkpoint / "weights").write_bytes(b"%d" % step)
        (checkpoint / "inner" / "optimizer").write_bytes(b"state")
        seal_checkpoint(checkpoint)
    return RunFolder(tmp_path)


def test_checkpoints_are_in_the_order_of_their_steps(folder):
    steps = [path.name for path in list_checkpoints(folder.checkpoints)]
    assert steps == ["checkpoint-9", "checkpoint-10", "checkpoint-100"]
    assert folder.find_checkpoint().name == "checkpoint-100"


def test_a_folder_without_a_seal_is_no_checkpoint(folder):
    (folder.checkpoints / "checkpoint-100" / SEAL).unlink()
    assert folder.find_checkpoint().name == "checkpoint-10"


def test_a_run_without_checkpoints_has_none(tmp_path):
    assert RunFolder(tmp_path).find_checkpoint() is None
    assert list_checkpoints(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("weights", b"101", "weights is not what was written"),
        ("inner/optimizer", None, "inner/optimizer is missing"),
        (SEAL, b"{", "Expecting property name"),
        (SEAL, b"[]", "no attribute"),
    ],
)
def test_a_damaged_checkpoint_is_named_and_passed_over(folder, caplog, name, content, found):
    path = folder.checkpoints / "checkpoint-100" / name
    path.write_bytes(content) if content is not None else path.unlink()
    with caplog.at_level(logging.WARNING, "ftkit"):
        assert folder.find_checkpoint().name == "checkpoint-10"
    assert "checkpoint-100: damaged" in caplog.text
    assert found in caplog.text


def test_a_whole_one_has_no_damage(folder):
    assert find_damage(folder.checkpoints / "checkpoint-9") is None
