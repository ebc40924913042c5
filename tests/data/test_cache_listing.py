"""The cache: what is in it, why, and how it gets smaller."""

import json
import os
import subprocess
import sys
import time

import pytest

import ftkit
from ftkit.data import load_rows, prepare_examples, remember
from ftkit.data.cache_entries import is_in_use
from ftkit.data.cache_listing import show_age, show_bytes
from ftkit.errors import DataError


def make(reject):
    yield {"row": 0, "input_ids": [1, 2, 3]}


def prepare(**key):
    names = {"split": "train", "sources": ["诗.jsonl"]}
    return prepare_examples(make, key={"task": "chat", **key}, names=names)


def list_kinds():
    return sorted(entry.kind for entry in ftkit.list_cache().entries)


def set_back(days):
    """Pretend that nothing was used for some days."""
    then = time.time() - days * 24 * 3600
    for entry in ftkit.list_cache().entries:
        for path in (entry.folder, *entry.folder.parent.iterdir()):
            os.utime(path, (then, then))


def test_a_listing_says_what_there_is_and_what_it_takes(write, cache):
    rows = load_rows(write("诗.jsonl", '{"text": "春眠不觉晓", "label": 1}\n'))
    remember(rows, "labels", lambda: 1, key={})
    prepare(max_tokens=8)
    listing = ftkit.list_cache()
    assert list_kinds() == ["findings", "prepared", "rows"]
    assert listing.num_bytes == sum(
        path.stat().st_size for path in cache.glob("*/*/entry/*") if path.is_file()
    )
    text = str(listing)
    assert "1 rows: text, label" in text
    assert "1 examples of chat, train: 诗.jsonl" in text
    assert "and 1 findings about rows" in text
    assert json.loads(json.dumps(listing.as_dict()))["entries"][0]["num_bytes"] > 0


def test_an_empty_cache_has_nothing_in_it(cache):
    assert ftkit.list_cache().entries == ()
    assert str(ftkit.list_cache()) == f"0 B in {cache}"


def test_a_miss_is_explained_by_what_changed_against_the_nearest_entry(cache, caplog):
    caplog.set_level("INFO", "ftkit")
    prepare(max_tokens=8, tokenizer="a", rows="x")
    assert "train: encoding, for the first time" in caplog.text
    prepare(max_tokens=99, tokenizer="b", rows="y")
    prepare(max_tokens=12, tokenizer="a", rows="x")
    assert "train: encoding anew; since last time changed: max_tokens: 8 -> 12\n" in caplog.text
    prepare(max_tokens=12, tokenizer="c", rows="x")
    assert "since last time changed: the tokenizer\n" in caplog.text
    assert "(made anew: max_tokens: 8 -> 12)" in str(ftkit.list_cache())


def test_examples_of_another_file_explain_nothing(cache, caplog):
    caplog.set_level("INFO", "ftkit")
    prepare(max_tokens=8)
    prepare_examples(make, key={"task": "chat", "max_tokens": 9}, names={"split": "test", "sources": ["b"]})
    assert "test: encoding, for the first time" in caplog.text


def test_a_damaged_description_explains_nothing_and_is_listed(cache):
    prepared = prepare()
    (about,) = cache.glob("prepared/*/entry/about.json")
    about.write_text("[]")
    prepare(max_tokens=9)
    assert "damaged" in str(ftkit.list_cache())
    assert prepared.examples


def test_what_was_not_used_for_long_is_pruned(write, cache):
    load_rows(write("a.jsonl", '{"a": 1}\n'))
    prepare()
    set_back(10)
    prepare()  # using it is enough
    pruned = ftkit.prune_cache(older_than_days=5)
    assert [entry.kind for entry in pruned.removed.entries] == ["rows"]
    assert list_kinds() == ["prepared"]
    assert [path.name for path in (cache / "rows").iterdir()] == []


def test_the_cache_is_pruned_down_to_a_size_from_what_was_used_longest_ago(cache):
    for days, max_tokens in ((0, 1), (1, 2), (2, 3)):
        prepare(max_tokens=max_tokens)
        set_back(3 - days)
    keys = lambda: {  # noqa: E731
        json.loads(path.read_text())["key"]["max_tokens"]
        for path in cache.glob("prepared/*/entry/about.json")
    }
    prepare(max_tokens=2)
    prepare(max_tokens=3)
    largest = max(entry.num_bytes for entry in ftkit.list_cache().entries)
    ftkit.prune_cache(keep_bytes=3 * largest)
    assert keys() == {1, 2, 3}
    ftkit.prune_cache(keep_bytes=2 * largest)
    assert keys() == {2, 3}
    ftkit.prune_cache(keep_bytes=0)
    assert keys() == set()


def test_what_this_process_uses_is_not_pruned(write, cache):
    rows, prepared = load_rows(write("a.jsonl", '{"a": 1}\n')), prepare()
    pruned = ftkit.prune_cache(keep_bytes=0)
    assert pruned.removed.entries == ()
    assert "2 in use stay" in str(pruned)
    assert (rows[0], len(prepared.examples)) == ({"a": 1}, 1)
    del rows, prepared
    assert len(ftkit.prune_cache(keep_bytes=0).removed.entries) == 2


USER = """
import sys
from ftkit.data import prepare_examples
prepared = prepare_examples(lambda reject: iter([{"row": 0}]), key={"task": "chat"})
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there the system itself refuses to delete the files")
def test_what_another_process_uses_is_not_pruned_until_it_ends(cache):
    environment = {**os.environ, "FTKIT_CACHE": str(cache)}
    with subprocess.Popen(
        [sys.executable, "-c", USER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        assert ftkit.prune_cache(keep_bytes=0).removed.entries == ()
        process.kill()
        process.wait(30)
    assert len(ftkit.prune_cache(keep_bytes=0).removed.entries) == 1


def test_what_is_being_made_is_not_pruned(cache):
    from ftkit.sources import hold_lock

    prepare()
    (entry,) = ftkit.list_cache().entries
    assert not is_in_use(entry.folder)
    with hold_lock(entry.folder.parent):
        assert ftkit.prune_cache(keep_bytes=0).removed.entries == ()


def test_models_and_packages_are_neither_listed_nor_pruned(cache):
    for name in ("checkpoints", "pypi"):
        (cache / name / "key" / "entry").mkdir(parents=True)
    ftkit.prune_cache(keep_bytes=0)
    assert list_kinds() == []
    assert len(list(cache.glob("*/key/entry"))) == 2


def test_pruning_needs_a_limit(cache):
    with pytest.raises(DataError, match="--older-than DAYS, --keep SIZE"):
        ftkit.prune_cache()


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (25e6, "25 MB"), (3e13, "30.0 TB")]
)
def test_sizes_are_short(number, text):
    assert show_bytes(number) == text


@pytest.mark.parametrize(("seconds", "text"), [(5, "now"), (90, "2 min"), (7200, "2 h"), (864000, "10 days")])
def test_ages_are_short(seconds, text):
    assert show_age(seconds) == text
