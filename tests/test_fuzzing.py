"""Whatever the rows hold: an error of ftkit or success, never another exception, never a lost row.

1,000 cases: files of every format with damaged bytes, and rows of every task with damaged values.
"""

import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ftkit.data import check_columns, prepare_rows
from ftkit.errors import FtkitError
from ftkit.pipeline.readying import make_ready
from ftkit.recipe import TASKS, DataSection, make_recipe, make_starter
from ftkit.tasks import get_task

TEXT = get_task("causal-lm").COLUMNS
UGLY = ["床前明月光，疑是地上霜", "caf\u00e9 \u202e\u200b", "“quoted”, and\nmore", "", " \t", "a" * 300, "🙂"]
ROWS = [{"text": text, "label": str(index % 2)} for index, text in enumerate(UGLY)]


def write_csv(separator: str) -> bytes:
    quoted = ['"' + row["text"].replace('"', '""') + f'"{separator}{row["label"]}' for row in ROWS]
    return "\r\n".join([f"text{separator}label", *quoted, ""]).encode()


def write_parquet() -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(ROWS), buffer)
    return buffer.getvalue()


def write_arrow() -> bytes:
    buffer = io.BytesIO()
    table = pa.Table.from_pylist(ROWS)
    with pa.ipc.new_file(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue()


LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode()
FILES = {
    "a.jsonl": LINES,
    "a.json": json.dumps(ROWS, ensure_ascii=False).encode(),
    "a.csv": write_csv(","),
    "a.tsv": write_csv("\t"),
    "a.txt": "\n".join(UGLY).encode(),
    "a.jsonl.gz": gzip.compress(LINES, mtime=0),
    "a.parquet": write_parquet(),
    "a.arrow": write_arrow(),
}
PIECES = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [b'"', b"\n", b"\r\n", b"{", b"}", b"[", b",", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"NaN",
         b"1e999", b"\\ud800", b'"text": 7,', b"null", "数".encode("gb18030")]
    ),
)  # fmt: skip
EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 30), PIECES), min_size=1, max_size=4)
VALUES = st.sampled_from(
    [None, True, 0, -1, 10**30, 1e308, "", " ", "数据", "\x00", "\ud800", "a " * 2000, "O", "B-X",
     "[1]", [], [[]], [""], ["a", "a"], [None], {}, {"text": "x"}, {"role": "user"},
     {"role": "user", "content": None}, [{"role": "tool"}], {"start": -1, "end": 10**9, "label": "X"},
     {"text": [], "answer_start": [0]}]
)  # fmt: skip
FUZZED = settings(
    max_examples=75, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def damage(content: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    for place, length, piece in edits:
        start = int(place * len(content))
        content = content[:start] + piece + content[start + length :]
    return content


def check_kept(prepared) -> int:
    """Check that each row that was read is kept or on record; returns how many were read."""
    kept = sum(len(rows) for rows in prepared.splits.values())
    dropped = sum(prepared.changes.count_rules("dropped").values())
    assert kept + dropped == sum(prepared.num_read.values())
    return kept + dropped


def check_message(error: FtkitError) -> None:
    """Check that people can read it: some printable lines, no other error's name in it."""
    assert str(error).strip()
    assert all(sign.isprintable() or sign in "\n\u3000" for sign in str(error)), repr(str(error))


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_is_read_or_refused(name, tmp_path):
    @FUZZED
    @given(EDITS)
    def run(edits):
        path = tmp_path / name
        path.write_bytes(damage(FILES[name], edits))
        section = DataSection(
            train=str(path), validation=None, clean=["white_space", {"min_characters": 1}, "duplicates"]
        )
        try:
            prepared = prepare_rows(section, seed=0, columns=TEXT)
            check_columns(prepared.splits["train"], TEXT)
        except FtkitError as error:
            check_message(error)
            return
        num_read = check_kept(prepared)
        if name == "a.jsonl":
            lines = path.read_bytes().decode("utf-8-sig").splitlines()
            assert num_read == sum(bool(line.strip()) for line in lines)

    run()


def change(value, where: list[float], new):
    """Put a value at some place in rows, at any depth."""
    if not where or not isinstance(value, (dict, list)) or not value:
        return new
    index = int(where[0] * len(value)) % len(value)
    if isinstance(value, list):
        return [*value[:index], change(value[index], where[1:], new), *value[index + 1 :]]
    key = list(value)[index]
    return {**value, key: change(value[key], where[1:], new)}


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
def test_damaged_rows_are_encoded_or_refused(name, tmp_path, tiny_bert, tiny_llama, tiny_t5):
    outcomes = set()
    models = {"AutoModelForCausalLM": tiny_llama, "AutoModelForSeq2SeqLM": tiny_t5}
    model = str(models.get(get_task(name).MODEL_CLASS, tiny_bert))
    rows = [json.loads(line) for line in make_starter(name).sample.splitlines()][:5]

    @settings(FUZZED, max_examples=50)
    @example([])
    @example([([0.0, 0.0], None)])
    @given(
        st.lists(
            st.tuples(st.lists(st.floats(0, 0.99), min_size=2, max_size=5), VALUES), min_size=1, max_size=3
        )
    )
    def run(edits):
        damaged = rows
        for where, new in edits:
            damaged = change(damaged, where, new)
        recipe = {"task": name, "model": model, "data": {"train": damaged, "validation": None}}
        try:
            ready = make_ready(make_recipe({**recipe, "output_dir": str(tmp_path / "run")}, folder=Path()))
        except FtkitError as error:
            check_message(error)
            outcomes.add("refused")
            return
        outcomes.add("encoded")
        assert check_kept(ready.rows) == len(damaged)
        split = ready.splits["train"]
        if name in ("causal-lm", "masked-lm"):  # rows share blocks
            return
        encoded = {int(row) for row in split.examples["row"]}
        left_out = {entry["row"] for entry in split.prepared.rejected if entry["action"] == "dropped"}
        assert encoded | left_out == set(range(len(split.rows)))

    run()
    assert outcomes == {"refused", "encoded"}
