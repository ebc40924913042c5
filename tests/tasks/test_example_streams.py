"""Rows that are encoded while they are read become the examples that stored rows become."""

import json

import pytest
from transformers import AutoTokenizer

from ftkit.data import Changes, Stage, load_rows, row_streams
from ftkit.data.cleaning import clean_rows
from ftkit.data.row_streams import Place
from ftkit.errors import DataError
from ftkit.recipe import DataSection
from ftkit.tasks import get_task
from ftkit.tasks.encoding import Encoding, encode_rows
from ftkit.tasks.example_streams import open_examples

CASES = {
    "text-classification": Encoding(8, "drop", labels=("诗", "ham")),
    "causal-lm": Encoding(8, "split", documents="whole"),
    "masked-lm": Encoding(8, "split", documents="whole"),
    "multiple-choice": Encoding(16, "truncate"),
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda content: (tmp_path / "rows.jsonl").write_text(content, encoding="utf-8")


@pytest.fixture
def rows(write):
    texts = [
        "the cat sat",
        "明月光 <b>x</b>",
        "",
        "a",
        "the cat " * 9,
        "hello world free money",
        "win now " * 3,
    ]
    lines = [
        {
            "text": text or "<br>",
            "label": ("诗", "ham")[number % 2],
            "question": text or "what",
            "choices": ["the", "cat", "月"],
            "answer": number % 3,
        }
        for number, text in enumerate(texts * 3)
    ]
    write("".join(json.dumps(line) + "\n" for line in lines))


def read_all(stream, place=None, num_read=0, num_kept=0):
    return list(stream.read(place or Place(), num_read=num_read, num_kept=num_kept))


@pytest.mark.parametrize("name", CASES)
def test_they_are_the_examples_and_the_changes_of_stored_rows(name, rows, tiny_bert, monkeypatch):
    monkeypatch.setattr(row_streams, "ROWS_AT_ONCE", 5)
    task, encoding = get_task(name), CASES[name]
    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    column = "question" if name == "multiple-choice" else "text"
    data = DataSection(
        train="rows.jsonl", clean=["html", {"min_characters": {"characters": 2, "columns": [column]}}]
    )
    loaded = load_rows("rows.jsonl")
    kept, cleaning_changes = clean_rows(loaded, data.clean, columns=task.COLUMNS)
    split = encode_rows(name, task, kept, tokenizer, encoding, split="train")
    stages = (Stage("train", loaded, cleaning_changes), Stage("train", kept, split.prepared.rejected))
    chunks = read_all(open_examples(data, task, tokenizer, encoding))
    assert len(chunks) == 5
    assert [example for chunk in chunks for example in chunk.examples] == list(split.examples)
    places = [place for chunk in chunks for place in chunk.places]
    assert places == [kept.where(row) for row in split.examples["row"]]

    def sort(entries):
        return sorted(json.dumps(entry, sort_keys=True) for entry in entries)

    found = [entry for chunk in chunks for entry in chunk.changes]
    assert sort(found) == sort(Changes(stages))
    assert found or name == "multiple-choice"
    assert sum(chunk.num_kept for chunk in chunks) == len(kept)
    behind = chunks[1].end, 10, sum(chunk.num_kept for chunk in chunks[:2])
    assert read_all(open_examples(data, task, tokenizer, encoding), *behind) == chunks[2:]


def test_a_row_that_does_not_fit_the_task_is_named(write, tiny_bert):
    write('{"text": "a", "label": "ham"}\n{"text": "b", "label": "Ham"}\n')
    task, tokenizer = get_task("text-classification"), AutoTokenizer.from_pretrained(tiny_bert)
    stream = open_examples(DataSection(train="rows.jsonl"), task, tokenizer, CASES["text-classification"])
    with pytest.raises(DataError, match=r"rows.jsonl:2: column 'label' is 'Ham'; the labels are"):
        read_all(stream)
