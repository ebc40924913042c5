"""The cache: where it is, and that things in it are whole."""

import hashlib
import os
import stat
import sys
from pathlib import Path

import pytest

from ftkit.sources import cache_folder, hash_file, write_aside


def test_the_environment_chooses_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "here"))
    assert cache_folder() == tmp_path / "here"


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "home/.cache/ftkit"),
        ("linux", {"XDG_CACHE_HOME": "{home}/xdg"}, "home/xdg/ftkit"),
        ("darwin", {}, "home/Library/Caches/ftkit"),
        ("win32", {"LOCALAPPDATA": "{home}/Local"}, "home/Local/ftkit"),
        ("win32", {}, "home/AppData/Local/ftkit"),
    ],
)
def test_each_platform_has_its_place(monkeypatch, tmp_path, platform, variables, expected):
    home = tmp_path / "home"
    for name in ("FTKIT_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(home=home))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: home)
    assert cache_folder() == tmp_path / expected


def test_the_hash_of_a_file_is_its_sha256(tmp_path):
    content = os.urandom(3_000_000)
    (tmp_path / "file").write_bytes(content)
    assert hash_file(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_a_folder_written_aside_appears_at_the_end_only(tmp_path):
    target = tmp_path / "deep" / "target"
    with write_aside(target) as aside:
        (aside / "a").write_text("a")
        assert not target.exists()
    assert [path.name for path in target.iterdir()] == ["a"]
    assert os.listdir(target.parent) == ["target"]


def test_a_failure_leaves_nothing_behind_and_the_old_folder_in_place(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").write_text("old")

    def write_half():
        with write_aside(target) as aside:
            (aside / "new").write_text("new")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        write_half()
    assert os.listdir(tmp_path) == ["target"]
    assert os.listdir(target) == ["old"]


def test_an_old_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "target"
    target.mkdir()
    (target / "old").write_text("old")
    with write_aside(target) as aside:
        (aside / "new").write_text("new")
    assert os.listdir(tmp_path) == ["target"]
    assert os.listdir(target) == ["new"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_what_was_written_aside_has_the_usual_rights(tmp_path):
    with write_aside(tmp_path / "target") as aside:
        os.close(os.open(aside / "private", os.O_CREAT | os.O_WRONLY, 0o600))
    usual = tmp_path / "usual"
    usual.write_text("")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "target" / "private", usual)]
    assert modes[0] == modes[1]
