"""What a run would find in the cache is what it finds."""

import json

import pytest

import ftkit
from ftkit.data import cache_entries
from ftkit.sources import cache_folder


def make_sections(folder, model, **data):
    rules = ["white_space", {"min_characters": 2}, "duplicates"]
    return {
        "task": "text-classification",
        "model": str(model),
        "data": {
            "train": str(folder / "诗.jsonl"),
            "validation": "20%",
            "max_tokens": 16,
            "clean": rules,
            "leakage": {"threshold": 0.9},
            **data,
        },
        "training": {"max_steps": 1, "batch_size": 4, "arguments": {"use_cpu": True}},
        "evaluation": {"baseline": False},
        "checks": {"unknown_tokens": 1.0},
        "output_dir": str(folder / "run"),
    }


@pytest.fixture
def folder(tmp_path, cache):
    lines = [{"text": f"明月光 cat {number}", "label": "ab"[number % 2]} for number in range(30)]
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (tmp_path / "诗.jsonl").write_text(text, encoding="utf-8")
    return tmp_path


def list_entries():
    return sorted(str(path) for path in cache_folder().glob("*/*/entry"))


def summarise(outlook):
    return [(each.kind, each.split, each.is_there) for each in outlook.lookups]


def test_before_a_run_nothing_is_there_and_after_it_everything(folder, tiny_bert, monkeypatch):
    sections = make_sections(folder, tiny_bert)
    before = ftkit.foresee_cache(**sections)
    assert summarise(before) == [("rows", None, False)]
    assert "rows read from their source" in str(before)
    assert "made anew: the source is new, or its content has changed" in str(before)
    assert list_entries() == []
    ftkit.finetune(**sections)
    entries = list_entries()

    def fail(*arguments):
        pytest.fail("something was made")

    monkeypatch.setattr(cache_entries, "_make_entry", fail)
    after = ftkit.foresee_cache(**sections)
    assert after.is_complete
    assert [each.kind for each in after.lookups][:4] == ["rows", "cleaned", "deduplicated", "leakage"]
    assert summarise(after)[-2:] == [("prepared", "train", True), ("prepared", "validation", True)]
    assert "made anew" not in str(after)
    assert list_entries() == entries


def test_what_changed_is_said_where_examples_are_made_anew(folder, tiny_bert):
    ftkit.finetune(**make_sections(folder, tiny_bert))
    outlook = ftkit.foresee_cache(**make_sections(folder, tiny_bert, max_tokens=12))
    assert summarise(outlook)[-2:] == [("prepared", "train", False), ("prepared", "validation", False)]
    assert outlook.lookups[-1].reason == "since last time changed: max_tokens: 16 -> 12; stride: 4 -> 3"
    assert not outlook.is_complete
    assert outlook.as_dict()["lookups"][-1]["split"] == "validation"


@pytest.mark.parametrize(
    ("data", "kind"),
    [({"clean": ["white_space"]}, "cleaned"), ({"leakage": {"threshold": 0.7}}, "leakage")],
)
def test_the_first_stage_that_is_made_anew_is_named_and_the_rest_left_open(folder, tiny_bert, data, kind):
    ftkit.finetune(**make_sections(folder, tiny_bert))
    outlook = ftkit.foresee_cache(**make_sections(folder, tiny_bert, **data))
    assert summarise(outlook)[-1] == (kind, None, False)
    assert all(each.is_there for each in outlook.lookups[:-1])
    assert str(outlook).endswith("what comes after that is looked for when it is made")
