"""A large file is read again when anything about it has changed, and only then."""

import hashlib
import json
import os
import time

import pytest

from ftkit.sources import hash_file, hash_file_once


@pytest.fixture
def large(tmp_path, monkeypatch):
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ftkit.sources.file_hashes.SMALLEST_BYTES", 4)
    monkeypatch.setattr("ftkit.sources.file_hashes._SETTLED_SECONDS", 0)
    path = tmp_path / "rows.jsonl"
    path.write_text("one row 月")
    time.sleep(0.02)
    return path


def forbid_reading(monkeypatch):
    monkeypatch.setattr("ftkit.sources.file_hashes.hash_file", lambda path: pytest.fail("read again"))


def test_an_unchanged_file_is_read_once(large, monkeypatch):
    expected = hashlib.sha256(large.read_bytes()).hexdigest()
    assert hash_file_once(large) == expected
    forbid_reading(monkeypatch)
    assert hash_file_once(large) == expected


def write_same_length(path):
    path.write_text("two row 月")


def replace_by_another(path):
    other = path.with_name("other")
    other.write_text("two row 月")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    os.replace(other, path)


def write_and_set_the_time_back(path):
    before = path.stat()
    path.write_text("two row 月")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [write_same_length, replace_by_another, write_and_set_the_time_back])
def test_a_file_of_the_same_length_with_other_content_is_read_again(large, change):
    before = hash_file_once(large)
    change(large)
    assert hash_file_once(large) == hash_file(large) != before


def test_what_has_just_been_written_is_not_remembered(large, monkeypatch):
    monkeypatch.setattr("ftkit.sources.file_hashes._SETTLED_SECONDS", 60)
    before = hash_file_once(large)
    write_same_length(large)
    assert hash_file_once(large) != before
    assert not list((large.parent / "cache").rglob("*.json"))


def test_a_small_file_is_read_each_time(large, monkeypatch):
    monkeypatch.setattr("ftkit.sources.file_hashes.SMALLEST_BYTES", 1000)
    hash_file_once(large)
    assert not list((large.parent / "cache").rglob("*.json"))


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"file": 3}'])
def test_a_damaged_record_is_written_anew(large, content):
    expected = hash_file_once(large)
    (record,) = (large.parent / "cache").rglob("*.json")
    record.write_text(content)
    assert hash_file_once(large) == expected
    assert json.loads(record.read_text())["sha256"] == expected


def test_a_cache_that_cannot_be_written_to_remembers_nothing(large, monkeypatch):
    (large.parent / "file").write_text("")
    monkeypatch.setenv("FTKIT_CACHE", str(large.parent / "file"))
    assert hash_file_once(large) == hash_file(large)
