"""Which rows are scored together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_splits import make_label_records, make_split

from ftkit.errors import RecipeError
from ftkit.evaluation.parts import (
    MAX_PARTS,
    REST,
    _part_by_column,
    _part_by_number,
    _part_by_value,
    check_slices,
    count_tokens,
    find_parts,
    name_question,
)
from ftkit.tasks import chat, multi_label, question_answering, text_classification, token_classification


def name_parts(parts, by):
    return {part.name: list(part.places) for part in parts if part.by == by}


def test_rows_are_parted_by_label_length_script_and_column():
    rows = [{"text": "free money", "label": "spam", "year": "2001"}] * 8
    rows += [{"text": "床前明月光", "label": "ham", "year": "2002"}] * 8
    records = make_label_records([1] * 8 + [0] * 8, [1] * 16)
    split = make_split(rows, lengths=[3] * 8 + [9] * 8)
    parts = find_parts(records, split, text_classification, ["ham", "spam"], ["year"])
    first, second = list(range(8)), list(range(8, 16))
    assert name_parts(parts, "label") == {"spam": first, "ham": second}
    assert name_parts(parts, "length") == {"3 tokens": first, "9 tokens": second}
    assert name_parts(parts, "script") == {"Latin": first, "Han": second}
    assert name_parts(parts, "year") == {"2001": first, "2002": second}
    assert name_parts(parts, "source") == {}


def test_rows_of_several_files_are_parted_by_file(tmp_path):
    from types import SimpleNamespace

    from ftkit.data import load_rows

    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_text('{"text": "x", "label": 1}\n' * 7)
    rows = load_rows([str(tmp_path / "a.jsonl"), str(tmp_path / "b.jsonl")])
    split = make_split([{"text": "x"}] * 14)
    split = SimpleNamespace(**{**vars(split), "rows": rows.select(range(13, -1, -1))})
    parts = find_parts(make_label_records([0] * 14, [0] * 14), split, text_classification, ["a", "b"])
    assert {name.rpartition("/")[2]: places for name, places in name_parts(parts, "source").items()} == {
        "b.jsonl": list(range(7)),
        "a.jsonl": list(range(7, 14)),
    }


def test_one_kind_of_row_is_no_slice():
    rows = [{"text": "free", "label": "spam"}] * 8
    split = make_split(rows, lengths=[4] * 8)
    assert find_parts(make_label_records([1] * 8, [1] * 8), split, text_classification, ["ham", "spam"]) == []


def test_rare_values_are_put_together():
    values = ["common"] * 20 + ["rare"] * 5 + ["rarer"] * 2
    parts = _part_by_value("column", values)
    assert {part.name: part.num_units for part in parts} == {"common": 20, REST: 7}


@given(st.lists(st.sampled_from([f"v{number}" for number in range(40)]), max_size=400))
def test_every_row_is_in_exactly_one_part_of_a_column(values):
    parts = _part_by_value("column", values)
    assert len(parts) <= MAX_PARTS + 1
    if parts:
        assert sorted(place for part in parts for place in part.places) == list(range(len(values)))


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=300))
def test_lengths_are_parted_without_gap_or_overlap(lengths):
    parts = _part_by_number("length", "tokens", lengths)
    assert len(parts) <= 4
    if parts:
        assert sorted(place for part in parts for place in part.places) == list(range(len(lengths)))
        highest = [max(lengths[place] for place in part.places) for part in parts]
        lowest = [min(lengths[place] for place in part.places) for part in parts]
        assert all(high < low for high, low in zip(highest[:-1], lowest[1:], strict=True))


def test_a_column_of_many_numbers_is_parted_by_size_and_one_of_few_by_value():
    assert [part.name for part in _part_by_column("year", list(range(100)))] == [
        "0 to 24", "25 to 49", "50 to 74", "75 to 99"
    ]  # fmt: skip
    names = [part.name for part in _part_by_column("stars", [1, 2, None] * 10)]
    assert sorted(names) == ["(none)", "1", "2"]


def test_a_column_that_no_row_has_is_refused_with_the_nearest_one():
    split = make_split([{"text": "a", "genre": "news"}])
    check_slices(["genre"], split)
    with pytest.raises(RecipeError, match=r"evaluation.slices: .* no column 'gender'; did you mean genre\?"):
        check_slices(["gender"], split)
    with pytest.raises(RecipeError, match="the columns are text, genre"):
        check_slices(["zzz"], split)


def test_tokens_of_windows_add_up_and_those_of_blocks_stand_alone():
    split = make_split([{"text": "a"}, {"text": "b"}], lengths=[5, 6, 7], owners=[0, 1, 1])
    assert count_tokens([{"row": 1}, {"row": 0}], split) == [13, 5]
    assert count_tokens([{"row": 0}, {"row": 1}, {"row": 1}], split) == [5, 6, 7]


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("What does os.path.join() do?", "what"),
        ("In which version did it appear?", "which"),
        ("How many rows are there?", "how many"),
        ("How does it work?", "how"),
        ("Whose cat is it?", "who"),
        ("Tell me the reason.", "other"),
        ("Show me somewhat.", "other"),
        ("《静夜思》的作者是谁？", "who"),
        ("他什么时候出生？", "when"),
        ("为什么天是蓝的？", "why"),
        ("这首诗叫什么？", "what"),
        ("他去了哪里？", "where"),
        ("有多少人？", "how many"),
        ("怎么做？", "how"),
        ("誰寫的？", "who"),
    ],
)
def test_a_question_is_named_by_what_it_asks_for(question, kind):
    assert name_question(question) == kind


def test_questions_are_parted_by_kind():
    rows = [{"context": "c", "question": question} for question in ["who is it?", "为什么？"] * 6]
    records = [{"row": row} for row in range(12)]
    parts = find_parts(records, make_split(rows, lengths=[4] * 12), question_answering, [])
    assert name_parts(parts, "question") == {"who": list(range(0, 12, 2)), "why": list(range(1, 12, 2))}


def test_each_label_of_several_has_its_rows():
    records = [{"row": row, "logits": [1.0, 1.0], "labels": [1, int(row < 7)]} for row in range(9)]
    split = make_split([{"text": "x", "label": ["a"]}] * 9, lengths=[4] * 9)
    parts = find_parts(records, split, multi_label, ["a", "b"])
    assert name_parts(parts, "label") == {"a": list(range(9)), "b": list(range(7))}


def test_each_type_of_entity_is_scored_alone():
    names = ("O", "B-PER", "I-PER", "B-LOC")
    records = [
        {"row": row, "names": names, "tags": [1, 2, 3], "true_tags": [1, 2, 0 if row else 3]}
        for row in range(6)
    ]
    split = make_split([{"tokens": ["a", "b", "c"]}] * 6, lengths=[4] * 6)
    parts = [part for part in find_parts(records, split, token_classification, names) if part.by == "entity"]
    assert [(part.name, part.num_units, part.metric) for part in parts] == [
        ("PER", 6, "entity_f1"),
        ("LOC", 1, "entity_f1"),
    ]
    assert parts[0].read(records[:1]) == ([["B-PER", "I-PER", "O"]],) * 2
    assert parts[1].read(records[1:2]) == ([["O", "O", "B-LOC"]], [["O", "O", "O"]])


def test_answers_of_conversations_are_parted_by_their_turn():
    records = [
        {"row": row, "loss": 9.0, "num_tokens": 6, "turns": [(float(turn), 2) for turn in range(row % 6)]}
        for row in range(12)
    ]
    split = make_split([{"messages": [{"role": "user", "content": "x"}]}] * 12, lengths=[4] * 12)
    parts = [part for part in find_parts(records, split, chat, []) if part.by == "turn"]
    assert {part.name: part.num_units for part in parts} == {
        "answer 1": 10,
        "answer 2": 8,
        "answer 3": 6,
        "answers 4 to 5": 6,
    }
    assert parts[3].read([records[5]]) == ([3.0 + 4.0], [4])
