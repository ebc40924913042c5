"""Files of packages, from an index that is a folder; the network is never needed."""

import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packages import make_sdist, make_wheel

import ftkit.errors
from ftkit.errors import MissingDependencyError, SourceError
from ftkit.sources import fetch_package_path
from ftkit.sources.package import parse_package_spec

ROOT = Path(ftkit.errors.__file__).parents[1]


def refuse_to_run(*_args, **_kwargs):
    raise AssertionError("a process was started")


def test_a_file_of_a_wheel_is_fetched_with_pip(index):
    make_wheel(index, "some-data", "1.0", {"some_data/唐诗.txt": "床前明月光".encode()})
    path = fetch_package_path("pypi:some-data==1.0/some_data/唐诗.txt")
    assert path.name == "唐诗.txt"
    assert path.read_text(encoding="utf-8") == "床前明月光"


def test_a_folder_is_fetched_whole_and_nothing_beside_it(index):
    make_wheel(index, "model", "1", {"m/a/x.txt": b"x", "m/a/deep/y.txt": b"y", "m/ab.txt": b"no"})
    path = fetch_package_path("pypi:model==1/m/a")
    assert sorted(p.relative_to(path).as_posix() for p in path.rglob("*.txt")) == ["deep/y.txt", "x.txt"]
    assert not (path.parent / "ab.txt").exists()


def test_the_second_call_needs_neither_pip_nor_the_index(index, monkeypatch):
    wheel = make_wheel(index, "some-data", "1.0", {"d/a.txt": b"a", "d/b.txt": b"b"})
    first = fetch_package_path("pypi:some-data==1.0/d/a.txt")
    wheel.unlink()
    monkeypatch.setattr(subprocess, "run", refuse_to_run)
    assert fetch_package_path("pypi:some-data==1.0/d/a.txt") == first
    assert fetch_package_path("pypi:Some_Data==1.0/d/b.txt").read_bytes() == b"b"
    assert sorted(p.name for p in fetch_package_path("pypi:some-data==1.0/d").iterdir()) == ["a.txt", "b.txt"]


def test_a_source_archive_is_fetched_and_its_setup_py_never_runs(index, tmp_path):
    marker = tmp_path / "ran"
    setup = f"open({str(marker)!r}, 'w').write('ran')\nfrom setuptools import setup\nsetup()\n".encode()
    make_sdist(index, "only-source", "2.0", {"setup.py": setup, "data/rows.csv": b"a,b\n"})
    path = fetch_package_path("pypi:only-source==2.0/data/rows.csv")
    assert path.read_bytes() == b"a,b\n"
    assert not marker.exists()


def test_pip_itself_would_have_run_that_setup_py(index, tmp_path):
    # The control of the test above: without the care taken, the marker appears.
    marker = tmp_path / "ran"
    setup = f"open({str(marker)!r}, 'w').write('ran')\nraise SystemExit(1)\n".encode()
    make_sdist(index, "only-source", "2.0", {"setup.py": setup})
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--dest", str(tmp_path), "only-source==2.0"], check=False, capture_output=True)
    assert marker.exists()


def test_a_wheel_is_preferred_to_a_source_archive(index):
    make_sdist(index, "both", "1.0", {"d/a.txt": b"sdist"})
    make_wheel(index, "both", "1.0", {"d/a.txt": b"wheel"})
    assert fetch_package_path("pypi:both==1.0/d/a.txt").read_bytes() == b"wheel"


def test_a_version_that_does_not_exist_lists_those_that_do(index):
    make_wheel(index, "some-data", "1.0", {"d/a.txt": b"a"})
    make_sdist(index, "some-data", "1.1", {"d/a.txt": b"a"})
    with pytest.raises(SourceError, match=r"no version 3\.0; it has 1\.0, 1\.1; pip says: No matching"):
        fetch_package_path("pypi:some-data==3.0/d/a.txt")


def test_a_package_that_does_not_exist_is_an_error_without_leftovers(index, tmp_path):
    with pytest.raises(SourceError, match="no package 'nothing-here'"):
        fetch_package_path("pypi:nothing-here==1.0/a.txt")
    assert not (tmp_path / "cache/pypi/nothing-here/1.0/archive").exists()


@pytest.mark.parametrize("retries", ["0", "1"])
def test_an_index_out_of_reach_is_said_to_be(index, monkeypatch, retries):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", retries)
    with pytest.raises(SourceError, match="index cannot be reached"):
        fetch_package_path("pypi:some-data==1.0/a.txt")


def test_an_archive_that_arrives_damaged_is_refused(index, monkeypatch):
    sdist = make_sdist(index, "some-data", "1.0", {"d/a.txt": b"a"})
    page = index / "simple" / "some-data"
    page.mkdir(parents=True)
    page.joinpath("index.html").write_text(f'<a href="{sdist.as_uri()}#sha256={"0" * 64}">{sdist.name}</a>')
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", (index / "simple").as_uri())
    with pytest.raises(SourceError, match="arrived damaged"):
        fetch_package_path("pypi:some-data==1.0/d/a.txt")


def test_a_wrong_path_lists_the_nearest_ones(index):
    make_wheel(index, "some-data", "1.0", {"pkg/data/train.jsonl": b"", "pkg/data/test.jsonl": b""})
    with pytest.raises(SourceError, match=r"no 'pkg/data/trian.jsonl'; nearest: pkg/data/train.jsonl"):
        fetch_package_path("pypi:some-data==1.0/pkg/data/trian.jsonl")
    with pytest.raises(SourceError, match=r"nearest: pkg/data/test.jsonl; correct"):
        fetch_package_path("pypi:some-data==1.0/test.jsonl")


def test_the_pin_of_a_file_is_checked_each_time(index):
    make_wheel(index, "some-data", "1.0", {"d/a.txt": b"a"})
    right = hashlib.sha256(b"a").hexdigest()
    path = fetch_package_path(f"pypi:some-data==1.0/d/a.txt#sha256={right.upper()}")
    with pytest.raises(SourceError, match=f"its sha256 is {right}"):
        fetch_package_path(f"pypi:some-data==1.0/d/a.txt#sha256={'0' * 64}")
    path.write_bytes(b"changed")
    with pytest.raises(SourceError, match="not the file that the recipe pins"):
        fetch_package_path(f"pypi:some-data==1.0/d/a.txt#sha256={right}")


def test_the_pin_of_a_folder_is_that_of_the_archive(index):
    wheel = make_wheel(index, "some-data", "1.0", {"d/a.txt": b"a"})
    right = hashlib.sha256(wheel.read_bytes()).hexdigest()
    assert fetch_package_path(f"pypi:some-data==1.0/d#sha256={right}").is_dir()
    with pytest.raises(SourceError, match="not the file that the recipe pins"):
        fetch_package_path(f"pypi:some-data==1.0/d#sha256={'0' * 64}")


def test_two_processes_at_once_both_get_the_file(index, tmp_path):
    make_wheel(index, "some-data", "1.0", {"d/a.txt": b"a" * 1000})
    code = "from ftkit.sources import fetch_package_path as f; print(f('pypi:some-data==1.0/d/a.txt'))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, text=True)
        for _ in range(2)
    ]
    outputs = {process.communicate()[0].strip() for process in processes}
    assert len(outputs) == 1
    assert Path(outputs.pop()).read_bytes() == b"a" * 1000
    place = tmp_path / "cache/pypi/some-data/1.0"
    assert len(list(place.iterdir())) == 3, "the archive, the file's folder, the lock, and no leftovers"


def test_without_pip_the_error_says_how_to_get_it(index, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(MissingDependencyError, match="ensurepip"):
        fetch_package_path("pypi:some-data==1.0/a.txt")


def test_a_cache_that_cannot_be_written_names_the_setting(index, tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("FTKIT_CACHE", str(blocked))
    with pytest.raises(SourceError, match="set FTKIT_CACHE"):
        fetch_package_path("pypi:some-data==1.0/a.txt")


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("pypi:some-data/a.txt", "version is missing; write pypi:some-data==VERSION"),
        ("pypi:some-data==1.*/a.txt", "not a package file"),
        ("pypi:some-data>=1/a.txt", "not a package file"),
        ("pypi:--index-url==1/a.txt", "not a package file"),
        ("pypi:some-data==1.0", "no file or folder"),
        ("pypi:some-data==1.0/", "no file or folder"),
        ("pypi:some-data==1.0/../other/a.txt", "leaves the package"),
        ("pypi:some-data==1.0/a/../../b", "leaves the package"),
        ("pypi:some-data==1.0//etc/passwd", "leaves the package"),
        ("pypi:some-data==1.0/a\\b", "leaves the package"),
        ("pypi:some-data==1.0/C:/x", "leaves the package"),
        ("pypi:some-data==1.0/a.txt#sha256=123", "is no hash"),
        ("pypi:some-data==1.0/a.txt#md5=" + "0" * 32, "is no hash"),
    ],
)
def test_a_malformed_source_is_refused_before_anything_runs(spec, complaint, monkeypatch):
    monkeypatch.setattr(subprocess, "run", refuse_to_run)
    with pytest.raises(SourceError, match=complaint):
        fetch_package_path(spec)


def test_names_are_normalised_as_package_indexes_do():
    assert parse_package_spec("pypi:Some.Data__set==1.0/a/b/").name == "some-data-set"
    assert parse_package_spec("pypi:Some.Data__set==1.0/a/b/").path == "a/b"
