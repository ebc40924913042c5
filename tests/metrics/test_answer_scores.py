import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.errors import MetricError
from ftkit.metrics import score, score_rows
from ftkit.metrics.answers import match_answer, overlap_answer


def find_longest_run_by_hand(first, second):
    """Length of the longest string that occurs in both."""
    parts = {first[start:end] for start in range(len(first)) for end in range(start + 1, len(first) + 1)}
    return max((len(part) for part in parts if part in second), default=0)


@pytest.mark.parametrize(
    ("prediction", "reference", "equal", "overlap"),
    [
        ("The Norman conquest!", "norman conquest", 1, 1),
        ("in the 10th century", "10th century", 0, 0.8),  # 2 of 3 words, articles apart, and 2 of 2
        ("a an the", "", 1, 1),
        ("os.path.join", "ospathjoin", 1, 1),
        ("France, Italy", "Italy France", 0, 1),  # SQuAD counts words in any order
        ("to to be", "to be be", 0, pytest.approx(2 / 3)),
        ("dog", "cat", 0, 0),
        ("", "cat", 0, 0),
        ("Ändern", "ändern", 1, 1),
    ],
)
def test_answers_in_words_are_compared_as_squad_does(prediction, reference, equal, overlap):
    assert match_answer(prediction, reference) == equal
    assert overlap_answer(prediction, reference) == overlap


@pytest.mark.parametrize(
    ("prediction", "reference", "equal", "overlap"),
    [
        ("北京大学", "北京大学。", 1, 1),
        ("《红楼梦》", "红楼梦", 1, 1),
        ("在北京大学", "北京大学", 0, pytest.approx(8 / 9)),
        ("丙丁甲乙", "甲乙丙丁", 0, 0.5),  # CMRC counts the longest run that both have
        ("iPhone 12手机", "iphone 12", 0, pytest.approx(4 / 6)),  # iphone, 12, 手, 机
        ("上海", "北京", 0, 0),
        ("", "北京", 0, 0),
        ("日本の首都", "日本", 0, pytest.approx(4 / 7)),
    ],
)
def test_answers_in_characters_are_compared_as_cmrc_does(prediction, reference, equal, overlap):
    assert match_answer(prediction, reference) == equal
    assert overlap_answer(prediction, reference) == overlap


@given(st.text("甲乙丙", max_size=8), st.text("甲乙丙", min_size=1, max_size=8))
def test_the_overlap_of_characters_is_their_longest_common_run(prediction, reference):
    run = find_longest_run_by_hand(prediction, reference)
    assert overlap_answer(prediction, reference) == pytest.approx(
        2 * run / (len(prediction) + len(reference))
    )


@given(st.text("ab ,.", max_size=12), st.text("ab ,.", max_size=12))
def test_overlap_is_symmetric_and_one_for_equal_answers(first, second):
    assert overlap_answer(first, second) == overlap_answer(second, first)
    assert overlap_answer(first, second) >= match_answer(first, second)


def test_the_best_of_several_right_answers_counts():
    references = [["Denver Broncos", "The Denver Broncos", "Broncos"]]
    assert score("answer_exact_match", ["broncos"], references) == 1.0
    assert score("answer_f1", ["the broncos team"], references) == pytest.approx(2 / 3)


def test_silence_is_right_exactly_where_there_is_no_answer():
    found = score_rows("answer_f1", ["", "Paris", "", "Paris"], [[], [], ["Paris"], ["Paris"]])
    assert found.tolist() == [1, 0, 0, 1]


def test_a_reference_of_punctuation_only_is_none():
    assert score("answer_exact_match", [""], [["..."]]) == 1.0


def test_a_reference_may_be_a_plain_string():
    assert score("answer_f1", ["Paris"], ["Paris"]) == 1.0


def test_what_is_no_text_is_an_error_with_its_row():
    with pytest.raises(MetricError, match=r"references\[1\] is no text; found 5"):
        score("answer_f1", ["a", "b"], [["a"], [5]])
