from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.data import Column, load_rows, prepare_held_out, prepare_rows
from ftkit.data.cleaning.repeated_lines import find_repeated_lines, hash_line
from ftkit.recipe import DataSection

COLUMNS = (Column("text", "text", required=True, meaning="a text"),)
FOOTER = "版权所有，未经许可不得转载。"


def make_pages(number, start=0):
    return [
        {"text": f"page {index} 正文\n{FOOTER}\n短\nown line {index}"}
        for index in range(start, start + number)
    ]


def make_section(train, **settings):
    return DataSection.model_validate({"train": train, "validation": None, **settings})


def test_lines_of_many_rows_go_and_short_or_rare_ones_stay():
    rule = {"repeated_lines": {"rows": 5, "characters": 3}}
    prepared = prepare_rows(make_section(make_pages(8), clean=[rule]), seed=0, columns=COLUMNS)
    assert prepared.splits["train"][0] == {"text": "page 0 正文\n短\nown line 0"}
    assert prepared.changes.count_rules("changed") == {"repeated_lines": 8}
    few = prepare_rows(make_section(make_pages(4), clean=[rule]), seed=0, columns=COLUMNS)
    assert FOOTER in few.splits["train"][0]["text"]


def test_rows_to_score_on_lose_the_lines_of_the_rows_to_train_on():
    section = make_section(make_pages(8), clean=[{"repeated_lines": 5}])
    rows, changes = prepare_held_out(section, [{"text": f"new\n{FOOTER}"}], columns=COLUMNS)
    assert list(rows) == [{"text": "new\n"}]
    assert changes.count_rules() == {"repeated_lines": 1}


def test_a_row_stays_in_its_split_when_a_line_becomes_frequent():
    def split(rows):
        section = make_section(rows, clean=["white_space", {"repeated_lines": 20}], validation=0.3)
        prepared = prepare_rows(section, seed=3, columns=COLUMNS)
        return {name: {row["text"].split("\n")[0] for row in some} for name, some in prepared.splits.items()}

    before, after = split(make_pages(15)), split(make_pages(40))
    assert before["train"] <= after["train"]
    assert before["validation"] <= after["validation"]


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=5), max_size=12), st.integers(2, 4))
def test_repeated_lines_are_those_of_the_slow_way(pages, number):
    rows = [{"text": "\n".join(line * 3 for line in page)} for page in pages]
    counts = Counter(line for page in pages for line in set(page))
    expected = {hash_line(line * 3) for line, count in counts.items() if count >= number}
    assert find_repeated_lines(rows, ["text"], num_rows=number, num_characters=2) == expected


def test_lines_are_counted_in_messages_and_once_a_row():
    rows = [{"messages": [{"role": "user", "content": "same line\nsame line"}]}] * 3
    assert find_repeated_lines(rows, ["messages"], num_rows=3, num_characters=2) == {hash_line(" same line ")}
    assert load_rows(rows)
    assert find_repeated_lines(rows, ["messages"], num_rows=4, num_characters=2) == frozenset()
