import json
import os
import subprocess
import sys
import threading

import datasets
import numpy as np
import pyarrow as pa
import pytest

from ftkit.data import prepare_examples
from ftkit.errors import DataError


def make_two(reject):
    reject(3, "too_long:drop", "2,000 tokens 月")
    yield {"row": 0, "input_ids": [1, 2, 3], "labels": [-100, 2, 3], "weight": 0.5, "text": "床前"}
    yield {"row": 5, "input_ids": [], "labels": [], "weight": 1.0, "text": ""}


def test_examples_come_back_with_32_bit_token_ids(cache):
    examples = prepare_examples(make_two, key={"a": 1}).examples
    assert isinstance(examples, datasets.Dataset)
    assert list(examples) == list(make_two(lambda *args: None))
    assert examples.data.schema.field("input_ids").type.value_type == pa.int32()
    assert examples.data.schema.field("row").type == pa.int64()
    assert examples.cache_files


def test_rejected_rows_come_back_with_rule_and_detail_also_from_the_cache(cache):
    expected = [{"row": 3, "rule": "too_long:drop", "action": "dropped", "detail": "2,000 tokens 月"}]
    assert list(prepare_examples(make_two, key={"a": 1}).rejected) == expected
    found = prepare_examples(fail_to_make, key={"a": 1}).rejected
    assert list(found) == expected
    assert found.counts == {("too_long:drop", "dropped"): 1}


def fail_to_make(reject):
    pytest.fail("made again")


def test_the_same_key_is_made_once_whatever_the_order_of_its_names(cache):
    first = prepare_examples(make_two, key={"a": 1, "b": ["x", None]})
    again = prepare_examples(fail_to_make, key={"b": ["x", None], "a": 1})
    assert list(first.examples) == list(again.examples)
    assert first.examples._fingerprint == again.examples._fingerprint


@pytest.mark.parametrize("other", [{"a": 2}, {"a": "1"}, {"a": 1, "b": None}, {}])
def test_another_key_is_made_anew(cache, other):
    prepare_examples(make_two, key={"a": 1})
    made = []

    def make(reject):
        made.append(1)
        yield {"row": 0}

    prepare_examples(make, key=other)
    assert made


def test_an_entry_holds_its_key_and_counts_to_explain_a_miss(cache):
    key, names = {"task": "chat", "max_tokens": 512}, {"split": "train"}
    prepare_examples(make_two, key=key, names=names, describe=lambda: {"longest": 3})
    (about,) = cache.glob("prepared/*/entry/about.json")
    assert json.loads(about.read_text(encoding="utf-8")) == {
        "key": {"format": 3, **key},
        "names": names,
        "changed": [],
        "num_examples": 2,
        "rejected": [["too_long:drop", "dropped", 1]],
        "summary": {"longest": 3},
    }


def test_what_was_described_comes_back_from_the_cache_though_names_differ(cache):
    prepare_examples(make_two, key={}, names={"split": "a"}, describe=lambda: {"longest": 3})
    again = prepare_examples(fail_to_make, key={}, names={"split": "b"}, describe=lambda: {"longest": 9})
    assert again.summary == {"longest": 3}
    assert again.rejected.count_rules() == {"too_long:drop": 1}


def test_more_examples_than_a_batch_are_all_there(cache, monkeypatch):
    monkeypatch.setattr("ftkit.data.examples.EXAMPLES_AT_ONCE", 10)
    examples = prepare_examples(lambda reject: ({"row": index} for index in range(95)), key={}).examples
    assert examples["row"][:] == list(range(95))


def test_examples_are_made_one_after_another_and_not_kept_in_memory(cache, monkeypatch):
    monkeypatch.setattr("ftkit.data.examples.EXAMPLES_AT_ONCE", 10)
    written = []
    original = pa.ipc.RecordBatchStreamWriter.write_batch

    def make(reject):
        for index in range(100):
            assert index - 10 * len(written) <= 10
            yield {"row": index}

    def watch(self, batch):
        written.append(batch.num_rows)
        original(self, batch)

    monkeypatch.setattr(pa.ipc.RecordBatchStreamWriter, "write_batch", watch)
    prepare_examples(make, key={})
    assert written == [10] * 10


def test_long_examples_are_written_before_they_fill_the_memory(cache, monkeypatch):
    monkeypatch.setattr("ftkit.data.examples.TOKENS_AT_ONCE", 100)
    made = lambda reject: ({"row": index, "input_ids": [1] * 60} for index in range(5))  # noqa: E731
    table = prepare_examples(made, key={}).examples.data.table
    assert [batch.num_rows for batch in table.to_batches()] == [2, 2, 1]


def test_arrays_and_nested_lists_are_examples_too(cache):
    def make(reject):
        yield {"input_ids": np.array([1, 2]), "choices": [[1], [2, 3]]}
        yield {"input_ids": np.array([], dtype=np.int64), "choices": []}

    examples = prepare_examples(make, key={}).examples
    assert list(examples) == [
        {"input_ids": [1, 2], "choices": [[1], [2, 3]]},
        {"input_ids": [], "choices": []},
    ]
    assert examples.data.schema.field("choices").type == pa.list_(pa.list_(pa.int32()))


def test_no_examples_are_an_error_with_the_counts_by_rule(cache):
    def make(reject):
        for index in range(1500):
            reject(index, "too_long:drop" if index % 3 else "empty", "")
        yield from ()

    with pytest.raises(DataError) as caught:
        prepare_examples(make, key={})
    assert "rows left out by rule: too_long:drop: 1,000, empty: 500" in str(caught.value)
    assert not list(cache.glob("prepared/*/entry"))


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (
            [{"row": 0}, {"row": 1, "more": 2}],
            r"example 1 has the keys \['more', 'row'\]; the first one has \['row'\]",
        ),
        ([{"row": 0, "a": 1}, {"row": 1}], "example 1 has the keys"),
        ([{"row": 0}] * 10 + [{"row": "text"}], "examples 10 to 10 do not have the types of the first ones"),
        ([{"ids": [0]}] * 10 + [{"ids": [2**40]}], "examples 10 to 10 do not have the types"),
    ],
)
def test_examples_that_do_not_fit_together_are_a_bug_of_the_task(cache, monkeypatch, examples, message):
    monkeypatch.setattr("ftkit.data.examples.EXAMPLES_AT_ONCE", 10)
    with pytest.raises(ValueError, match=message):
        prepare_examples(lambda reject: iter(examples), key={})
    assert not list(cache.glob("prepared/*/entry"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, DataError("data.jsonl:3: wrong"), ZeroDivisionError])
def test_an_interrupted_preparation_leaves_nothing_and_the_next_one_is_whole(cache, error):
    def make(reject):
        reject(0, "rule", "")
        yield {"row": 0}
        raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        prepare_examples(make, key={})
    assert [path.name for path in cache.rglob("*") if path.is_file()] in ([], [".lock"])
    assert len(prepare_examples(make_two, key={}).examples) == 2


def test_a_damaged_entry_is_made_anew(cache, caplog):
    prepare_examples(make_two, key={})
    (file,) = cache.glob("prepared/*/entry/examples.arrow")
    file.write_bytes(file.read_bytes()[:100])
    assert len(prepare_examples(make_two, key={}).examples) == 2
    assert "damaged, so it is made anew" in caplog.text


def test_an_entry_that_lost_examples_is_made_anew(cache):
    prepare_examples(make_two, key={})
    (about,) = cache.glob("prepared/*/entry/about.json")
    about.write_text(about.read_text(encoding="utf-8").replace('"num_examples": 2', '"num_examples": 3'))
    assert len(prepare_examples(make_two, key={}).examples) == 2


def test_threads_that_want_the_same_examples_make_them_once(cache):
    made, found = [], []

    def make(reject):
        made.append(1)
        for index in range(5000):
            yield {"row": index}

    threads = [
        threading.Thread(target=lambda: found.append(len(prepare_examples(make, key={}).examples)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [5000] * 3
    assert len(made) == 1


PROGRAM = """
import sys, time
from ftkit.data import prepare_examples

def make(reject):
    print("made", flush=True)
    for index in range(2000):
        yield {"row": index, "input_ids": list(range(50))}
        time.sleep(0.0005)

prepared = prepare_examples(make, key={"a": 1})
print(sum(len(example["input_ids"]) for example in prepared.examples))
"""


def test_processes_that_want_the_same_examples_make_them_once(cache):
    environment = {**os.environ, "FTKIT_CACHE": str(cache)}
    processes = [
        subprocess.Popen([sys.executable, "-c", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0].split() for process in processes]
    assert sorted(outputs) == [["100000"], ["made", "100000"]]


KILLED = """
import os, signal
from ftkit.data import prepare_examples

def make(reject):
    for index in range(5000):
        yield {"row": index, "input_ids": list(range(50))}
    os.kill(os.getpid(), signal.SIGKILL)

prepare_examples(make, key={"a": 1})
"""


def test_a_killed_preparation_leaves_no_entry_and_the_next_one_clears_up_after_it(cache):
    environment = {**os.environ, "FTKIT_CACHE": str(cache)}
    killed = subprocess.run([sys.executable, "-c", KILLED], check=False, env=environment)
    assert killed.returncode != 0
    assert list(cache.glob("prepared/*/.entry.*"))  # what it had written, which nobody reads
    assert not list(cache.glob("prepared/*/entry"))
    assert len(prepare_examples(make_two, key={"a": 1}).examples) == 2
    assert [path.name for path in cache.glob("prepared/*/.entry.*")] == []


def test_preparing_says_nothing_on_its_own(cache, capfd):
    prepare_examples(make_two, key={})
    prepare_examples(make_two, key={})
    assert capfd.readouterr() == ("", "")


def test_the_data_room_imports_no_heavy_library():
    program = "import sys, ftkit.data; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {"pyarrow", "datasets", "numpy", "fsspec", "torch", "pandas"} & set(found.stdout.split())
