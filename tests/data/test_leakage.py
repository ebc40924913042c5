"""The gate between training rows and held-out rows."""

import json
import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ftkit.data import Column, prepare_rows
from ftkit.errors import DataError
from ftkit.recipe import DataSection
from ftkit.tasks import get_task

pytestmark = pytest.mark.usefixtures("gate")

COLUMNS = (Column("text", "text", required=True, meaning="a text", compared_as="text"),)
SENTENCE = (
    "the quick brown fox jumps over the lazy dog near the quiet river bank on a cold grey morning in may"
)


def prepare(task_columns=COLUMNS, **data):
    section = DataSection.model_validate({"validation": None, **data})
    return prepare_rows(section, seed=1, columns=task_columns)


def list_texts(prepared, split="train"):
    return [row["text"] for row in prepared.splits[split]]


def make_rows(*texts):
    return [{"text": text, "label": index} for index, text in enumerate(texts)]


def test_rows_that_repeat_test_rows_are_left_out_and_said(caplog):
    train = make_rows("新的一行", f"{SENTENCE} early", "春眠不觉晓，\n处处闻啼鸟。", "another row")
    test = make_rows(SENTENCE, "春眠不觉晓， 处处闻啼鸟。")
    prepared = prepare(train=train, test=test)
    assert list_texts(prepared) == ["新的一行", "another row"]
    assert list_texts(prepared, "test") == [row["text"] for row in test]
    lines = caplog.messages[-1].splitlines()
    assert lines[0] == (
        "leakage: 2 of 4 training rows repeat held-out rows (2 of test; 1 exactly) and are left out of "
        "training (data.leakage: drop)"
    )
    assert lines[2].startswith("      0.87  ")
    assert lines[2].endswith("train[1]: '… cold grey morning in may early'")
    assert lines[3] == "            test[0] (test): '… cold grey morning in may'"
    assert lines[4] == "      1.00  train[2]: '春眠不觉晓，\\n处处闻啼鸟。'"


def test_the_record_says_what_was_dropped_and_why():
    prepared = prepare(train=make_rows("一 行", "a", "b"), test=make_rows("a", "一  行"))
    assert list(prepared.changes) == [
        {
            "split": "train",
            "source": "train[0]",
            "row": 0,
            "rule": "leakage",
            "action": "dropped",
            "detail": "repeats test[1]",
            "before": {"text": "一  行"},
        },
        {
            "split": "train",
            "source": "train[1]",
            "row": 1,
            "rule": "leakage",
            "action": "dropped",
            "detail": "repeats test[0]",
            "before": {"text": "a"},
        },
    ]
    assert list(prepared.leakage)[0] == {
        "train": "train[0]",
        "split": "test",
        "held_out": "test[1]",
        "similarity": 1.0,
        "exact": True,
        "train_text": ["一 行"],
        "held_out_text": ["一  行"],
    }


words = st.lists(st.sampled_from(["a b c", "A b  c", "甲 乙", "d", "e", "f g"]), min_size=1, max_size=20)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words, words, st.sampled_from([0.2, 3, None]))
def test_held_out_rows_are_never_touched_and_kept_and_dropped_are_what_was_read(train, test, validation):
    data = {"train": make_rows(*train), "test": make_rows(*test), "validation": validation}
    try:
        prepared = prepare(**data)
        free = prepare(**data, leakage={"action": "allow"})
    except DataError:
        return  # nothing to hold out, or nothing left
    for split in ("test", "validation"):
        if split in free.splits:
            assert list(prepared.splits[split]) == list(free.splits[split])
    dropped = [entry["row"] for entry in prepared.changes]
    kept = list(prepared.splits["train"])
    assert len(kept) + len(dropped) == len(free.splits["train"])
    assert kept == [row for index, row in enumerate(free.splits["train"]) if index not in dropped]
    held_out = {
        " ".join(t.casefold().split())
        for s in ("test", "validation")
        if s in free.splits
        for t in list_texts(free, s)
    }
    assert not {" ".join(row["text"].casefold().split()) for row in kept} & held_out


def test_nothing_found_is_said_too(caplog):
    caplog.set_level(logging.INFO, "ftkit")
    prepared = prepare(train=make_rows("a", "b"), test=make_rows("c"))
    assert "leakage: none of 2 training rows repeats a held-out row (1 of test)" in caplog.text
    assert len(prepared.splits["train"]) == 2
    assert list(prepared.changes) == []


def test_without_held_out_rows_there_is_nothing_to_look_for():
    assert prepare(train=make_rows("a", "a")).leakage is None


def test_leakage_can_stop_the_run():
    with pytest.raises(DataError) as caught:
        prepare(train=make_rows("a", "b"), test=make_rows("b"), leakage={"action": "error"})
    message = str(caught.value)
    assert message.startswith(
        "leakage: 1 of 2 training rows repeat held-out rows (1 of test; 1 exactly) (data"
    )
    assert "train[1]: 'b'\n            test[0] (test): 'b'" in message
    assert message.endswith("take data.leakage: drop or allow")


def test_leakage_can_be_allowed_and_is_said(caplog):
    prepared = prepare(train=make_rows("a", "b"), test=make_rows("b"), leakage={"action": "allow"})
    assert list_texts(prepared) == ["a", "b"]
    assert list(prepared.changes) == []
    assert "are trained on (data.leakage: allow)" in caplog.text
    assert prepared.leakage.describe()["num_dropped"] == 0


def test_leakage_that_would_drop_everything_is_an_error():
    with pytest.raises(
        DataError, match="leaves no rows to train on; hold out other rows, or take leakage: allow"
    ):
        prepare(train=make_rows("a", "b"), test=make_rows("b", "A"))


def test_rows_that_are_split_off_are_kept_apart_too():
    texts = [f"row {index // 2}" for index in range(200)]
    prepared = prepare(train=make_rows(*texts), validation=0.1)
    assert not set(list_texts(prepared)) & set(list_texts(prepared, "validation"))
    dropped = prepared.changes.count_rules("dropped")["leakage"]
    assert dropped > 5
    assert len(prepared.splits["train"]) + len(prepared.splits["validation"]) + dropped == 200


def test_benchmarks_are_kept_apart_by_the_tasks_names_or_the_files(write):
    write("own.jsonl", '{"body": "a"}\n{"body": "b"}\n{"body": "c"}\n')
    write("标准/bench.jsonl", '{"text": "b"}\n')
    write("other.csv", "body\nc\n")
    data = {
        "train": "own.jsonl",
        "columns": {"text": "body"},
        "leakage": {"against": ["标准/bench.jsonl", "other.csv"]},
    }
    prepared = prepare(**data)
    assert list_texts(prepared) == ["a"]
    assert [(each["split"], each["held_out"]) for each in prepared.leakage] == [
        ("标准/bench.jsonl", "标准/bench.jsonl:1"),
        ("other.csv", "other.csv:2"),
    ]
    assert prepared.leakage.describe()["num_compared"] == {"标准/bench.jsonl": 1, "other.csv": 1}


def test_a_benchmark_without_the_columns_is_an_error(write):
    write("bench.jsonl", '{"prompt": "b", "context": "c"}\n')
    section = {"train": [{"context": "a", "question": "b"}], "leakage": {"against": ["bench.jsonl"]}}
    with pytest.raises(DataError) as caught:
        prepare(get_task("question-answering").COLUMNS, **section)
    assert str(caught.value) == (
        "data.leakage.against: bench.jsonl has no column 'question', by which rows are compared; the columns "
        "are 'prompt', 'context'. Name them as in data.train"
    )


def test_another_question_on_the_same_context_is_no_leak():
    context = "Zoe lives in Paris and works as a baker. " * 5
    train = [{"context": context, "question": "Where does Zoe live?", "answer": "Paris"}]
    test = [{"context": context, "question": "What does she do?", "answer": "baker"}]
    prepared = prepare(get_task("question-answering").COLUMNS, train=train, test=test)
    assert len(prepared.splits["train"]) == 1


def test_the_same_prompt_with_another_answer_is_a_leak():
    train = [{"prompt": "说一个笑话", "answer": "一"}, {"prompt": "你好", "answer": "二"}]
    prepared = prepare(get_task("chat").COLUMNS, train=train, test=[{"prompt": "说一个笑话", "answer": "三"}])
    assert [row["prompt"] for row in prepared.splits["train"]] == ["你好"]


def test_the_threshold_decides():
    train, test = make_rows(f"{SENTENCE} early", "x"), make_rows(SENTENCE)
    assert len(prepare(train=train, test=test, leakage={"threshold": 0.8}).splits["train"]) == 1
    assert len(prepare(train=train, test=test, leakage={"threshold": 0.99}).splits["train"]) == 2


def test_what_was_found_is_found_once(cache, caplog):
    caplog.set_level(logging.INFO, "ftkit")
    data = {"train": make_rows("a", "b"), "test": make_rows("b")}
    first = prepare(**data)
    again = prepare(**data)
    assert caplog.text.count("looking for training rows") == 1
    assert first.leakage.describe() == again.leakage.describe()
    assert list(first.changes) == list(again.changes)
    prepare(**{**data, "train": make_rows("a", "b", "c")})
    prepare(**data, leakage={"threshold": 0.7})
    assert caplog.text.count("looking for training rows") == 3


def test_examples_are_of_different_held_out_rows_the_least_similar_first():
    near = [f"{SENTENCE} {word}" for word in ("early", "late", "again", "and rain")]
    found = prepare(train=make_rows(*near, "a", "x", "x"), test=make_rows("x", SENTENCE)).leakage
    examples = found.choose_examples()
    assert [each["held_out"] for each in examples] == ["test[1]", "test[0]"]
    assert examples[0]["train"] == "train[3]"
    assert found.describe()["num_near"] == 4


def test_what_is_reported_is_json():
    described = prepare(train=make_rows("a", "b"), test=make_rows("b")).leakage.describe()
    assert json.loads(json.dumps(described)) == described
    assert described["examples"][0]["train_text"] == "'b'"
    assert {key: described[key] for key in ("num_train", "num_exact", "num_near", "num_dropped")} == {
        "num_train": 2, "num_exact": 1, "num_near": 0, "num_dropped": 1
    }  # fmt: skip


def test_for_an_evaluation_there_is_no_gate():
    section = DataSection.model_validate(
        {"train": make_rows("a"), "test": make_rows("a"), "validation": None}
    )
    prepared = prepare_rows(section, seed=1, columns=COLUMNS, for_training=False)
    assert prepared.leakage is None
    assert list_texts(prepared, "test") == ["a"]
