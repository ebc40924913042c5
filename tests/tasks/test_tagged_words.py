import pytest

from ftkit.tasks.tagged_words import (
    complete_tags,
    continue_tag,
    find_row_problem,
    iterate_tags,
    read_tags,
    read_words,
)


def tag(row, names=None):
    words = read_words(row)
    return dict(zip(words.texts, read_tags(row, words, names or {})[0], strict=True))


def spans(text, *entities):
    return {
        "text": text,
        "entities": [dict(zip(("start", "end", "label"), one, strict=True)) for one in entities],
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the cat sat.", ["the", "cat", "sat", "."]),
        ("os.path_join(a)", ["os", ".", "path_join", "(", "a", ")"]),
        ("don't 3.5€", ["don", "'", "t", "3", ".", "5", "€"]),
        ("李娜在Paris。", ["李", "娜", "在", "Paris", "。"]),
        ("नमस्ते café\u0301", ["नमस्ते", "café\u0301"]),
        ("ภาษา", ["ภ", "า", "ษ", "า"]),
    ],
)
def test_a_text_is_cut_into_words_marks_and_single_characters(text, words):
    found = read_words({"text": text})
    assert found.texts == words
    assert [text[start:end] for start, end in found.spans] == words
    assert found.has_text


def test_tokens_are_placed_in_the_text_that_comes_with_them():
    words = read_words({"tokens": ["error", "-", "handling"], "text": "error-handling"})
    assert words.spans == [(0, 5), (5, 6), (6, 14)]
    assert words.list_spaced() == [" error", "-", "handling"]
    assert words.has_text


@pytest.mark.parametrize("text", ["error handling", "error - handling twice", None])
def test_tokens_that_are_not_the_text_are_joined(text):
    words = read_words({"tokens": ["error", "-", "handling"], "text": text})
    assert (words.text, words.has_text) == ("error - handling", False)
    assert words.texts == ["error", "-", "handling"]


def test_characters_of_scripts_without_spaces_are_joined_without_spaces():
    words = read_words({"tokens": ["李", "娜", "in", "北", "京"]})
    assert words.text == "李娜 in 北京"
    assert words.list_spaced() == [" 李", "娜", " in", " 北", "京"]


def test_spans_become_tags_of_the_words_that_they_cover():
    row = spans("Jonas Weber flew to New York.", (0, 11, "PER"), (20, 28, "LOC"))
    assert tag(row) == {
        "Jonas": "B-PER", "Weber": "I-PER", "flew": "O", "to": "O", "New": "B-LOC", "York": "I-LOC", ".": "O"
    }  # fmt: skip


def test_spans_in_chinese_are_tagged_by_character():
    row = spans("李娜在北京", (0, 2, "PER"), (3, 5, "LOC"))
    assert tag(row) == {"李": "B-PER", "娜": "I-PER", "在": "O", "北": "B-LOC", "京": "I-LOC"}


def test_neighbouring_spans_begin_anew_and_types_are_renamed():
    row = {"text": "Ann Bob", "entities": [[0, 3, "per"], [4, 7, "per"]]}
    assert tag(row, {"per": "PERSON"}) == {"Ann": "B-PERSON", "Bob": "B-PERSON"}


def test_a_span_within_a_word_is_widened_and_counted_but_white_space_around_is_nothing():
    row = spans("Berliners like Berlin ", (0, 6, "LOC"), (14, 22, "LOC"))
    assert read_tags(row, read_words(row), {}) == (["B-LOC", "O", "B-LOC"], 1)
    row = spans("Berlinparis", (0, 6, "LOC"), (6, 11, "LOC"))
    assert read_tags(row, read_words(row), {}) == (["B-LOC"], 2)


def test_tags_are_read_as_they_are_and_numbers_through_their_names():
    assert tag({"tokens": ["a", "b"], "tags": [0, "1"]}, {"0": "O", "1": "B-X"}) == {"a": "O", "b": "B-X"}


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"tokens": ["a", "b"], "tags": ["O"]}, "there are 2 tokens and 1 tags"),
        ({"tokens": ["a"]}, "column 'tags' is missing"),
        ({"tokens": [], "tags": []}, "'tokens' is an empty list"),
        ({"tokens": ["a", " "], "tags": ["O", "O"]}, "' ' as word 2"),
        ({"tokens": [3], "tags": ["O"]}, "3 as word 1"),
        ({"tokens": ["a"], "tags": [None]}, "'tags' has None"),
        ({"tokens": ["a"], "tags": [True]}, "'tags' has True"),
        ({"label": "x"}, "neither words nor a text"),
        ({"text": "abc"}, "column 'entities' is missing"),
        (spans("abc", (1, 4, "X")), "the span 1 to 4 (X) ends outside the text, which has 3 characters"),
        (spans("abc", (-1, 2, "X")), "the span -1 to 2 (X) is empty or negative"),
        (spans("abc", (2, 2, "X")), "is empty or negative"),
        (spans("a  b", (1, 3, "X")), "nothing but white space"),
        (spans("Ann Bo", (0, 6, "X"), (4, 6, "Y")), "spans 0 to 6 (X) and 4 to 6 (Y) overlap"),
        (spans("abc", ("0", 2, "X")), "an entity is {start: 0, end: 5, label: NAME}"),
        (spans("abc", (True, 2, "X")), "an entity is"),
        (spans("abc", (0, 2, "")), "an entity is"),
        ({"text": "abc", "entities": ["X"]}, "'entities' has 'X'"),
        (
            {"text": "王小明来了", "entities": [{"start": 0, "end": 2, "label": "PER", "text": "王小明"}]},
            "says '王小明', but the text there is '王小'",
        ),
    ],
)
def test_what_is_wrong_with_a_row_is_said(row, problem):
    assert problem in find_row_problem(row, labelled=True)
    assert list(iterate_tags(row, {})) == []


def test_rows_to_predict_need_no_tags():
    assert find_row_problem({"tokens": ["a"]}, labelled=False) is None
    assert find_row_problem({"text": "a"}, labelled=False) is None
    assert "neither words nor a text" in find_row_problem({"text": " "}, labelled=False)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["B-X", "O"], ["O", "B-X", "I-X"]),
        (["B-Y", "I-X"], ["O", "B-X", "I-X", "B-Y", "I-Y"]),
        (["I-X", "O"], ["O", "I-X"]),
        (["S-X", "B-Y", "E-Y"], ["O", "B-X", "E-X", "S-X", "B-Y", "E-Y", "S-Y"]),
        (["VERB", "NOUN"], ["NOUN", "VERB"]),
        (["10", "9"], ["9", "10"]),
        (["O"], ["O"]),
        ([], []),
        (["B-人名"], ["O", "B-人名", "I-人名"]),
    ],
)
def test_tags_are_ordered_and_completed_as_their_scheme_has_them(tags, expected):
    assert complete_tags(tags) == expected


def test_further_tokens_of_a_word_are_inside_what_it_begins():
    known = ["O", "B-X", "I-X", "B-Y"]
    assert [continue_tag(one, known) for one in ("B-X", "I-X", "O", "B-Y", "NOUN")] == [
        "I-X", "I-X", "O", "B-Y", "NOUN"
    ]  # fmt: skip
