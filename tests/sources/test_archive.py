"""Unpacking: only what was asked for, and never outside the folder."""

import io
import tarfile
import zipfile

import pytest
from packages import make_sdist, make_wheel

from ftkit.errors import SourceError
from ftkit.sources import archive
from ftkit.sources.archive import open_archive, unpack


def unpack_path(path, wanted, folder):
    folder.mkdir()
    with open_archive(path) as opened:
        unpack(opened, opened.find(wanted), folder)
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("make", [make_wheel, make_sdist])
def test_only_the_named_folder_is_unpacked(make, tmp_path):
    path = make(tmp_path, "pkg", "1.0", {"a/x.txt": b"x", "b/y.txt": b"y"})
    assert unpack_path(path, "a", tmp_path / "out") == ["a/x.txt"]


@pytest.mark.parametrize("make", [make_wheel, make_sdist])
def test_a_link_is_refused(make, tmp_path):
    path = make(tmp_path, "pkg", "1.0", {"a/x.txt": b"x"}, link="a/link")
    with pytest.raises(SourceError, match="refused to unpack 'a/link': it is a link"):
        unpack_path(path, "a", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("evil", ["a/../../evil.txt", "a/..\\evil.txt", "a/C:evil.txt"])
def test_a_member_that_climbs_out_is_refused(evil, tmp_path):
    path = make_wheel(tmp_path, "pkg", "1.0", {"a/x.txt": b"x", evil: b"evil"})
    with pytest.raises(SourceError, match="climbs out"):
        unpack_path(path, "a", tmp_path / "out")


def test_an_absolute_member_of_a_tar_archive_is_refused(tmp_path):
    path = tmp_path / "pkg-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        info = tarfile.TarInfo("/tmp/evil.txt")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"evil"))
    with open_archive(path) as opened:
        assert [member.problem for member in opened.members.values()] == ["climbs out of the folder"]


def test_an_archive_that_inflates_beyond_reason_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "_ALWAYS_FINE_BYTES", 1000)
    path = make_wheel(tmp_path, "pkg", "1.0", {"a/zeros": b"\0" * 1_000_000})
    with pytest.raises(SourceError, match="refused as an attack"):
        unpack_path(path, "a", tmp_path / "out")


def test_a_full_disk_is_noticed_before_writing(tmp_path, monkeypatch):
    path = make_wheel(tmp_path, "pkg", "1.0", {"a/x": b"1234"})
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _folder: type("Usage", (), {"free": 3}))
    with pytest.raises(SourceError, match="3 bytes are free, 4 are needed"):
        unpack_path(path, "a", tmp_path / "out")


def test_a_damaged_archive_is_an_error_for_people(tmp_path):
    path = tmp_path / "pkg-1.0-py3-none-any.whl"
    path.write_bytes(b"not an archive")
    with pytest.raises(SourceError, match="not a readable archive"):
        unpack_path(path, "a", tmp_path / "out")


def test_the_top_folder_of_a_source_archive_is_not_part_of_its_paths(tmp_path):
    path = make_sdist(tmp_path, "pkg", "1.0", {"data/x.txt": b"x"})
    with open_archive(path) as opened:
        assert set(opened.names) == {"PKG-INFO", "data/x.txt"}


def test_a_zip_archive_with_one_folder_keeps_it_when_it_is_no_source_archive(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("only/a.txt", "a")
    with open_archive(path) as opened:
        assert opened.names == ["only/a.txt"]
