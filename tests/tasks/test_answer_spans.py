import pytest

from ftkit.tasks.answer_spans import Answer, read_answers

CONTEXT = "The cat sat. The cat ran."


def read(**row):
    return read_answers({"context": CONTEXT, **row})


@pytest.mark.parametrize(
    "row",
    [
        {"answers": {"text": ["cat", "cat sat"], "answer_start": [17, 4]}},
        {"answers": [{"text": "cat", "answer_start": 17}, {"text": "cat sat", "answer_start": 4}]},
        {"answers": {"text": ["cat", "cat sat"], "answer_start": [17.0, None]}},
    ],
)
def test_answers_are_read_in_all_shapes_of_squad(row):
    assert read(**row) == [Answer("cat", 17), Answer("cat sat", 4)]


def test_a_flat_answer_is_read_with_its_start_or_without_where_it_stands_once():
    assert read(answer="cat", answer_start=4) == [Answer("cat", 4)]
    assert read(answer="cat", answer_start=" 4 ") == [Answer("cat", 4)]
    assert read(answer="ran") == read(answer="ran", answer_start=" ") == [Answer("ran", 21)]
    assert read(answers={"text": "ran", "answer_start": 21}) == [Answer("ran", 21)]
    assert read(answers=None, answer="ran") == [Answer("ran", 21)]


@pytest.mark.parametrize(
    "row",
    [
        {"answers": {"text": [], "answer_start": []}},
        {"answers": {"text": []}},
        {"answers": []},
        {"answer": "", "answer_start": None},
        {"answer": None},
    ],
)
def test_a_question_may_have_no_answer(row):
    assert read(**row) == []


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({}, "columns 'answers' and 'answer' are both missing"),
        ({"answers": "cat"}, "column 'answers' is 'cat'; write"),
        ({"answers": [3]}, "column 'answers' is"),
        ({"answers": {"text": ["cat", "ran"], "answer_start": [4]}}, "has 2 texts and 1 answer_start"),
        ({"answers": {"text": [""], "answer_start": [0]}}, "an answer is ''"),
        ({"answer": "dog"}, "the answer 'dog' is not in the context"),
        ({"answer": "Cat", "answer_start": 4}, "the answer 'Cat' is not in the context"),
        ({"answer": "cat"}, "is in the context 2 times; give its answer_start"),
        (
            {"answer": "cat", "answer_start": 15},
            "answer_start is 15, where the context has 'e c', and not the answer 'cat'; "
            "the nearest place of the answer is 17",
        ),
        ({"answer": "cat", "answer_start": -8}, "answer_start is -8, where the context has ''"),
        ({"answer": "cat", "answer_start": 4.5}, "answer_start is 4.5; it is a number of characters"),
        ({"answers": {"text": ["cat"], "answer_start": ["four"]}}, "answer_start is 'four'"),
        ({"answers": {"text": ["cat"], "answer_start": [[4]]}}, "answer_start is [4]"),
        ({"answer": "cat", "answer_start": "inf"}, "answer_start is 'inf'"),
        ({"answers": {"text": ["cat"], "answer_start": [True]}}, "answer_start is True"),
    ],
)
def test_a_wrong_answer_says_what_is_wrong_and_where_it_would_be(row, problem):
    with pytest.raises(ValueError, match=r".") as error:
        read(**row)
    assert problem in str(error.value)


def test_places_count_characters_and_not_bytes():
    row = {"context": "床前明月光，疑是地上霜。", "answers": {"text": ["地上霜"], "answer_start": [8]}}
    assert read_answers(row) == [Answer("地上霜", 8)]
    assert read_answers(row)[0].end == 11
