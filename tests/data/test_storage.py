import json
import os
import subprocess
import sys
import threading

import pytest

from ftkit.data.row_json import BrokenRow
from ftkit.data.storage import Part, Storage, store_in_memory, store_on_disk
from ftkit.errors import DataError, SourceError


def make_part(texts, *, name="a.jsonl", key=None, **options):
    """A part whose rows stand on lines from 1."""
    return Part(name, key or repr(texts), lambda: enumerate(iter(texts), start=1), **options)


def read_all(storage):
    return [text for texts in storage.read_texts() for text in texts]


@pytest.mark.parametrize("store", [lambda part: store_on_disk([part]), store_in_memory])
def test_texts_places_and_columns_are_kept(store, cache):
    storage = store(make_part(['{"a": 1.0}', '{"b":"月", "a": 2}']))
    assert read_all(storage) == ['{"a": 1.0}', '{"b":"月", "a": 2}']
    assert storage.table["row"].to_pylist() == read_all(storage)
    assert storage.table["place"].to_pylist() == [1, 2]
    assert storage.columns == {"a": 2, "b": 1}


def test_rows_know_which_part_they_came_from(cache):
    storage = store_on_disk([make_part(['{"a": 1}']), make_part(['{"a": 2}', '{"a": 3}'], name="b")])
    assert storage.table["source"].to_pylist() == [0, 1, 1]


def test_what_was_read_once_is_not_read_again(cache):
    store_on_disk([make_part(['{"a": 1}'], key="same")])
    again = store_on_disk([Part("moved.jsonl", "same", lambda: pytest.fail("read again"))])
    assert read_all(again) == ['{"a": 1}']


def test_other_content_another_order_and_a_newer_reader_are_read(cache, monkeypatch):
    one, two = make_part(['{"a": 1}']), make_part(['{"a": 2}'])
    keys = {store_on_disk(parts).key for parts in ([one], [two], [one, two], [two, one])}
    monkeypatch.setattr("ftkit.data.storage.READER_VERSION", 99)
    assert len(keys | {store_on_disk([one]).key}) == 5


def test_an_entry_says_what_it_holds(cache):
    storage = store_on_disk([make_part(['{"a": 1}', '{"a": 1}'])])
    about = json.loads((storage.path.parent / "about.json").read_text(encoding="utf-8"))
    assert about["num_rows_by_part"] == [2]
    assert about["columns"] == {"a": 2}


def test_all_broken_rows_are_counted_and_the_first_are_shown(cache):
    texts = ['{"a": 1}', "{", BrokenRow("has 1 field"), "[]", '{"a": "\\ud800"}', "x", "y"]
    with pytest.raises(DataError) as caught:
        store_on_disk([make_part(texts), make_part(["z"], name="b.jsonl")])
    lines = str(caught.value).splitlines()
    assert lines[0] == "a.jsonl and 1 more: 7 problems in 8 rows; the first 5:"
    assert [line.split(": ")[0] for line in lines[1:6]] == [f"  a.jsonl:{line}" for line in (2, 3, 4, 5, 6)]
    assert lines[2] == "  a.jsonl:3: has 1 field"
    assert lines[6] == "Fix these rows, or delete them."


def test_one_broken_row_is_one_line(cache):
    with pytest.raises(DataError) as caught:
        store_in_memory(make_part(['{"a": 1}', "[]"]))
    assert str(caught.value) == (
        'a.jsonl:2: is a list, not an object; a row is {"column": value, ...}. Fix this row, or delete it.'
    )


def test_broken_rows_leave_nothing_in_the_cache(cache):
    with pytest.raises(DataError):
        store_on_disk([make_part(['{"a": 1}', "{"])])
    assert list_entries(cache) == []


def list_entries(cache):
    """Everything in the cache but locks and the folders that hold them."""
    return [path for path in cache.rglob("*") if path.is_file() and path.name != ".lock"]


def test_a_part_without_rows_is_an_error_when_the_user_named_it(cache):
    with pytest.raises(DataError, match="b.jsonl: is empty, it has no rows; fill it, or name another file"):
        store_on_disk([make_part(['{"a": 1}']), make_part([], name="b.jsonl")])


def test_a_part_without_rows_is_a_warning_when_a_glob_found_it(cache, caplog):
    storage = store_on_disk([make_part(['{"a": 1}']), make_part([], name="b.jsonl", may_be_empty=True)])
    assert read_all(storage) == ['{"a": 1}']
    assert "b.jsonl: is empty, it has no rows" in caplog.text


def test_no_rows_in_any_part_is_an_error(cache):
    with pytest.raises(DataError, match="a.jsonl and 1 more: no rows in any of the files"):
        store_on_disk([make_part([], may_be_empty=True), make_part([], may_be_empty=True, key="b")])


def test_many_rows_and_long_rows_are_written_in_several_batches(cache, monkeypatch):
    monkeypatch.setattr("ftkit.data.storage._MOST_ROWS", 10)
    monkeypatch.setattr("ftkit.data.storage._MOST_CHARACTERS", 500)
    texts = [json.dumps({"a": "x" * (300 if index % 7 == 0 else 3)}) for index in range(95)]
    storage = store_on_disk([make_part(texts)])
    assert storage.table["row"].num_chunks > 10
    assert read_all(storage) == texts


def test_a_row_of_fifty_megabytes_is_kept(cache):
    text = json.dumps({"a": "月" * 17_000_000}, ensure_ascii=False)
    assert read_all(store_on_disk([make_part([text, '{"a": ""}'])])) == [text, '{"a": ""}']


def test_a_damaged_entry_is_made_anew(cache, caplog):
    part = make_part(['{"a": 1}'])
    path = store_on_disk([part]).path
    path.write_bytes(path.read_bytes()[:-10])
    assert read_all(store_on_disk([part])) == ['{"a": 1}']
    assert "damaged, so it is made anew" in caplog.text


def test_a_reader_that_stops_halfway_leaves_nothing(cache):
    def read():
        yield 1, '{"a": 1}'
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_on_disk([Part("a", "key", read)])
    assert list_entries(cache) == []
    assert read_all(store_on_disk([make_part(['{"a": 1}'], key="key")])) == ['{"a": 1}']


def test_a_full_disk_is_an_error_that_says_what_to_do(cache, monkeypatch):
    def fail(parts, sink):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ftkit.data.storage._write_parts", fail)
    with pytest.raises(
        SourceError, match="cannot write to ftkit's cache: No space left on device; free some"
    ):
        store_on_disk([make_part(['{"a": 1}'])])


def test_a_cache_that_is_a_file_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FTKIT_CACHE", str(tmp_path / "file"))
    with pytest.raises(SourceError, match="set FTKIT_CACHE to"):
        store_on_disk([make_part(['{"a": 1}'])])


def test_two_threads_that_want_the_same_rows_read_them_once(cache):
    num_reads = []

    def read():
        num_reads.append(1)
        yield from enumerate(['{"a": 1}'] * 20_000, start=1)

    found: list[Storage] = []
    threads = [
        threading.Thread(target=lambda: found.append(store_on_disk([Part("a", "key", read)])))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(num_reads) == 1
    assert [storage.table.num_rows for storage in found] == [20_000] * 4


PROGRAM = """
import sys, time
from ftkit.data.storage import Part, store_on_disk

def read():
    for index in range(int(sys.argv[1])):
        yield index + 1, '{"text": "%s", "label": %d}' % ("月光" * 50, index)
        if index == 10 and sys.argv[2] == "hang":
            print("reading", flush=True)
            time.sleep(60)

storage = store_on_disk([Part("a", "key" + sys.argv[1], read)])
print(sum(len(texts) for texts in storage.read_texts()), flush=True)
try:
    print(max(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")))
except OSError:
    print(0)
"""


def start(num_rows, what, cache):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(num_rows), what],
        env={**os.environ, "FTKIT_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_that_want_the_same_rows_both_get_them(cache):
    with start(30_000, "go", cache) as one, start(30_000, "go", cache) as two:
        assert [each.communicate(timeout=60)[0].split()[0] for each in (one, two)] == ["30000", "30000"]


def test_a_process_that_is_killed_while_it_reads_leaves_no_entry_and_no_lock(cache):
    with start(30_000, "hang", cache) as process:
        assert process.stdout.readline() == "reading\n"
        process.kill()
    assert not list(cache.glob("rows/*/entry"))
    with start(30_000, "go", cache) as process:
        assert process.communicate(timeout=60)[0].split()[0] == "30000"


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads the peak of memory from Linux")
def test_memory_does_not_grow_with_the_number_of_rows(cache):
    peaks = []
    for num_rows in (20_000, 500_000):
        with start(num_rows, "go", cache) as process:
            peaks.append(int(process.communicate(timeout=300)[0].split()[1]))
    # The larger table has 80 MB more of text alone, more than the 15 % here.
    assert peaks[1] < 1.15 * peaks[0]
