import errno
import json
import os
import stat
import tempfile
from pathlib import Path

import pytest

from ftkit.errors import RunError
from ftkit.runs import (
    check_writable,
    claim_run_folder,
    discard_unstarted,
    open_run_folder,
    read_json,
    start_run,
    write_json,
    write_json_lines,
    write_text,
)
from ftkit.runs.checkpoint_folders import seal_checkpoint

RECIPE = "task: chat\ntraining:\n  seed: 1\noutput_dir: a\n"
INFO = {"fingerprints": {"data.train": "abc"}}


def start(path, recipe=RECIPE, info=INFO, **options):
    folder, continued = claim_run_folder(path, recipe, fresh=options.pop("fresh", False))
    start_run(folder, recipe, info, continued=continued)
    return folder, continued


def test_a_new_folder_is_claimed_without_writing_anything(tmp_path):
    folder, continued = claim_run_folder(tmp_path / "a" / "b", RECIPE, fresh=False)
    assert not continued
    assert not folder.path.exists()


def test_an_interrupted_run_of_the_same_recipe_is_continued(tmp_path):
    start(tmp_path)
    assert start(tmp_path)[1]


def test_settings_that_do_not_change_the_result_may_change(tmp_path):
    start(tmp_path)
    assert start(tmp_path, RECIPE.replace("output_dir: a", "output_dir: b"))[1]


def test_a_finished_run_is_refused_with_what_to_do(tmp_path):
    folder, _ = start(tmp_path)
    write_json(folder.info, {**INFO, "status": "finished"})
    with pytest.raises(RunError, match=r"holds the finished run.*--fresh.*another output_dir"):
        start(tmp_path)


def test_a_run_of_another_recipe_is_refused_and_names_the_difference(tmp_path):
    start(tmp_path)
    with pytest.raises(RunError, match=r"training.seed: 1 -> 2"):
        start(tmp_path, RECIPE.replace("seed: 1", "seed: 2"))


def test_changed_data_is_refused_by_name(tmp_path):
    start(tmp_path)
    with pytest.raises(RunError, match=r"data.train changed since it began"):
        start(tmp_path, info={"fingerprints": {"data.train": "xyz"}})


def test_fresh_replaces_an_older_run_only_when_the_new_one_starts(tmp_path):
    folder, _ = start(tmp_path)
    write_text(folder.metrics, "old\n")
    again, continued = claim_run_folder(tmp_path, RECIPE.replace("1", "2"), fresh=True)
    assert folder.metrics.is_file()
    start_run(again, RECIPE, INFO, continued=continued)
    assert not folder.metrics.exists()


@pytest.mark.parametrize("fresh", [False, True])
def test_a_folder_with_other_files_is_never_touched(tmp_path, fresh):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(RunError, match="not of a run"):
        claim_run_folder(tmp_path, RECIPE, fresh=fresh)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(RunError, match="is a file"):
        claim_run_folder(tmp_path / "x", RECIPE, fresh=False)


def refuse_to_write(*_, **__):
    raise PermissionError(errno.EACCES, "Permission denied")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "mkdtemp", refuse_to_write)  # root may write everywhere
    with pytest.raises(RunError, match=r"x: cannot be written: Permission denied; choose another place"):
        claim_run_folder(tmp_path / "x", RECIPE, fresh=False)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="a folder that even root cannot write into")
def test_a_place_where_nobody_can_make_a_folder_is_refused():
    with pytest.raises(RunError, match=r"/proc/run: cannot be written: .*; choose another place"):
        claim_run_folder("/proc/run", RECIPE, fresh=False)


def test_checking_a_folder_leaves_nothing_behind(tmp_path):
    (tmp_path / "there").mkdir()
    check_writable(tmp_path / "there")
    check_writable(tmp_path / "new" / "deep")
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(RunError, match="cannot be written: File name too long"):
        check_writable(tmp_path / ("x" * 300))


def test_a_smaller_micro_batch_continues_a_run_because_it_does_not_change_the_result(tmp_path):
    recipe = RECIPE + "training: {seed: 1, micro_batch_size: auto, gradient_checkpointing: false}\n"
    start(tmp_path, recipe)
    assert start(tmp_path, recipe.replace("auto", "4").replace("false", "true"))[1]


def test_opening_what_is_no_run_says_so(tmp_path):
    with pytest.raises(RunError, match="no run.json in it"):
        open_run_folder(tmp_path)
    with pytest.raises(RunError, match="no such folder"):
        open_run_folder(tmp_path / "nothing")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="it is a file"):
        open_run_folder(tmp_path / "file")


def test_the_runs_near_a_wrong_folder_are_named(tmp_path):
    start(tmp_path / "spam")
    for wrong in (tmp_path, tmp_path / "smap"):
        with pytest.raises(RunError, match=rf"runs here: {tmp_path / 'spam'}$"):
            open_run_folder(wrong)


def fail(folder, error, *, continued=False):
    with pytest.raises(type(error)), discard_unstarted(folder, continued=continued):
        raise error


@pytest.mark.parametrize("error", [RunError("x"), KeyboardInterrupt()])
def test_a_run_that_fails_before_its_first_checkpoint_is_taken_away(tmp_path, error):
    folder, _ = start(tmp_path / "run")
    fail(folder, error)
    assert not folder.path.exists()


def test_a_run_with_a_checkpoint_or_one_from_before_or_one_with_a_bug_stays(tmp_path):
    folder, _ = start(tmp_path / "run")
    fail(folder, RuntimeError("a bug"))
    fail(folder, RunError("x"), continued=True)
    checkpoint = folder.checkpoints / "checkpoint-1"
    checkpoint.mkdir(parents=True)
    seal_checkpoint(checkpoint)
    fail(folder, RunError("x"))
    assert folder.info.is_file()


def test_a_run_killed_between_its_first_two_files_is_continued(tmp_path):
    folder, _ = start(tmp_path)
    folder.recipe.unlink()
    (tmp_path / ".recipe.yaml.abc").write_text("task: ch")
    assert start(tmp_path)[1]


def test_what_a_killed_process_left_of_its_first_file_is_no_run(tmp_path):
    (tmp_path / ".run.json.abc").write_text("{")
    assert not start(tmp_path)[1]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.jsonl"
    write_text(path, "old")

    def values():
        yield {"a": 1}
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_json_lines(path, values())
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["x.jsonl"]


def test_a_disk_that_is_full_is_named_with_what_to_do(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(RunError, match=r"x.json: cannot be written: No space left on device; make room"):
        write_json(tmp_path / "x.json", {})
    assert os.listdir(tmp_path) == []


def test_a_file_in_the_place_of_a_parent_is_refused(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(RunError, match="cannot be written: File exists"):
        write_json(tmp_path / "x" / "y.json", {})


def test_written_files_are_readable_by_others_and_keep_chinese(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"text": "你好"})
    assert "你好" in path.read_text(encoding="utf-8")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert read_json(path) == json.loads(path.read_text(encoding="utf-8"))


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        read_json(tmp_path / "run.json")


@pytest.mark.skipif(os.name != "posix", reason="file modes are of POSIX")
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_of_a_run_have_the_mode_that_the_user_gives_new_files(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "秘密")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode
