"""Rows and caches at their limits: very many, very long, a full disk, a cache that cannot be written to."""

import errno
import os
import subprocess
import sys

import pytest

from ftkit.data import Column, check_columns, load_rows, prepare_examples
from ftkit.errors import DataError, SourceError
from ftkit.sources import cache_folder

TEXT = (Column("text", "text", required=True, meaning="a text"),)


def make(reject):
    for index in range(3000):
        yield {"row": index, "input_ids": [index] * 200}


FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))  # the system refuses to write more into a file
from ftkit.data import load_rows, prepare_examples
from ftkit.errors import SourceError
make = lambda reject: ({"row": index, "input_ids": [index] * 200} for index in range(3000))
try:
    prepare_examples(make, key={"task": "chat"}) if sys.argv[1] == "examples" else load_rows("rows.jsonl")
except SourceError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no limits for files")
@pytest.mark.parametrize("what", ["examples", "rows"])
def test_a_disk_that_takes_no_more_is_an_error_and_leaves_nothing(write, cache, what):
    write("rows.jsonl", '{"text": "%s"}\n' % ("月" * 1000) * 400)
    command = [sys.executable, "-c", FULL_DISK, what]
    done = subprocess.run(command, env={**os.environ}, capture_output=True, text=True, check=True)
    assert "cannot write to ftkit's cache: " in done.stdout
    assert "free some disk (ftkit data cache --keep 1GB), or set FTKIT_CACHE to another folder" in done.stdout
    assert [path.name for path in cache.rglob("*") if path.is_file() and path.name[0] != "."] == []
    assert len(prepare_examples(make, key={"task": "chat"}).examples) == 3000
    assert len(load_rows("rows.jsonl")) == 400


@pytest.fixture
def read_only(monkeypatch):
    """Make the system refuse whatever would write into the cache, as it does on a read-only disk."""

    def begin():
        def refuse(*arguments, **options):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))

        monkeypatch.setattr("pathlib.Path.mkdir", refuse)
        monkeypatch.setattr("os.open", refuse)
        monkeypatch.setattr("os.utime", refuse)
        monkeypatch.setattr("os.replace", refuse)

    return begin


def test_what_is_in_a_read_only_cache_can_be_used(write, cache, read_only):
    name = write("rows.jsonl", '{"text": "春眠不觉晓"}\n')
    check_columns(load_rows(name), TEXT)
    prepare_examples(make, key={"task": "chat"})
    read_only()
    rows = load_rows(name)
    check_columns(rows, TEXT)
    assert rows[0] == {"text": "春眠不觉晓"}
    assert len(prepare_examples(make, key={"task": "chat"}).examples) == 3000


def test_what_is_not_in_a_read_only_cache_is_an_error_that_says_what_to_do(write, cache, read_only):
    name = write("rows.jsonl", '{"text": "a"}\n')
    read_only()
    with pytest.raises(SourceError) as caught:
        load_rows(name)
    assert str(cache_folder()) in str(caught.value)
    assert "Read-only file system; set FTKIT_CACHE to a folder that you can write to" in str(caught.value)


def test_very_many_empty_rows_are_counted_and_the_first_are_shown(write, cache):
    rows = load_rows(write("rows.jsonl", '{"text": ""}\n' * 20_000))
    with pytest.raises(DataError) as caught:
        check_columns(rows, TEXT)
    message = str(caught.value)
    assert message.startswith("rows.jsonl: 20,000 problems in 20,000 rows; the first 5:\n")
    assert "rows.jsonl:1: column 'text' is empty" in message
    assert len(message.splitlines()) == 7
