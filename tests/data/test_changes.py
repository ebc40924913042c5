import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data import ChangeFile, Changes, ChangeWriter, Stage, load_rows
from ftkit.data.changes import LONGEST_TEXT, read_counts, shorten, show_change, write_counts


def write_stage(path, split, rows, note):
    with path.open("w", encoding="utf-8") as file:
        writer = ChangeWriter(file)
        note(writer)
    return Stage(split, rows, ChangeFile(path, writer.counts))


@pytest.fixture
def changes(tmp_path):
    rows = load_rows([{"text": "春眠"}, {"text": " b"}, {"text": "c"}])

    def clean(writer):
        writer.change(1, "white_space", "", {"text": " b"}, {"text": "b"})
        writer.drop(0, "min_characters", "2 characters, fewer than 3", {"text": "春眠"})

    def encode(writer):
        writer.drop(2, "too_long:drop", "9 tokens")

    stages = (
        write_stage(tmp_path / "1", "train", rows, clean),
        write_stage(tmp_path / "2", "test", rows, encode),
    )
    return Changes(stages)


def test_entries_say_split_source_rule_and_what_was_there_before_and_after(changes):
    first, second, third = changes
    assert first == {
        "split": "train",
        "source": "train[1]",
        "row": 1,
        "rule": "white_space",
        "action": "changed",
        "detail": "",
        "before": {"text": " b"},
        "after": {"text": "b"},
    }
    assert second["source"] == "train[0]"
    assert second["before"] == {"text": "春眠"}
    assert "after" not in second
    assert third["split"] == "test"
    assert "before" not in third


def test_counts_are_those_of_the_entries(changes):
    assert changes.count_rules() == {"white_space": 1, "min_characters": 1, "too_long:drop": 1}
    assert changes.count_rules("dropped") == {"min_characters": 1, "too_long:drop": 1}
    assert changes.select("test").count_rules() == {"too_long:drop": 1}
    assert {"split": "train", "rule": "white_space", "action": "changed", "rows": 1} in changes.list_counts()


def test_stages_are_put_together_in_order(changes):
    doubled = changes + changes
    assert list(doubled) == [*changes, *changes]
    assert doubled.count_rules()["white_space"] == 2


def test_counts_survive_being_written():
    counts = {("a", "dropped"): 3, ("a", "changed"): 1}
    assert read_counts(json.loads(json.dumps(write_counts(counts)))) == counts


def test_memory_does_not_grow_with_the_number_of_entries(tmp_path):
    rows = load_rows([{"text": "x"}])

    def note(writer):
        for _ in range(20_000):
            writer.drop(0, "rule", "why", {"text": "床前明月光" * 20})

    tracemalloc.start()
    changes = Changes((write_stage(tmp_path / "many", "train", rows, note),))
    assert sum(1 for _ in changes) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert changes.stages[0].file.path.stat().st_size > 5_000_000
    assert peak < 1_000_000


def test_of_a_long_text_the_part_around_the_change_is_kept():
    before = "前" * 5000 + "错" + "后" * 5000
    after = before.replace("错", "对")
    old, new = show_change({"text": before, "same": ["a"]}, {"text": after, "same": ["a"]})
    assert "错" in old["text"]
    assert "对" in new["text"]
    assert old["text"].startswith("[4,800 characters before] ")
    assert old["text"].endswith("characters after]")
    assert len(old["text"]) < LONGEST_TEXT + 100


@given(st.text(max_size=50), st.text(max_size=50))
def test_short_texts_are_kept_whole(before, after):
    assert show_change([before], [after]) == ([before], [after])
    assert shorten({"a": before}) == {"a": before}
