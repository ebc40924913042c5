"""Labels as rows have them."""

import pytest

from ftkit.tasks.label_names import choose_problem_type, find_unknown, read_label_set, read_number


@pytest.mark.parametrize(
    ("value", "separator", "names"),
    [
        (["a", 1, True], None, ["a", "1", "true"]),
        ([], None, []),
        ("a|b", None, ["a|b"]),
        ("a| b |", "|", ["a", "b"]),
        ("猫；狗", "；", ["猫", "狗"]),
        ("", "|", []),
        (3, None, ["3"]),
        (None, None, None),
        (["a", None], None, None),
        ([["a"]], None, None),
    ],
)
def test_labels_are_a_list_a_separated_text_or_one_label(value, separator, names):
    assert read_label_set(value, separator) == names


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, 1.0),
        (0.5, 0.5),
        ("2.5", 2.5),
        (True, None),
        ("x", None),
        (None, None),
        ("nan", None),
        ("inf", None),
    ],
)
def test_numbers_are_finite_and_may_be_text(value, number):
    assert read_number(value) == number


@pytest.mark.parametrize(
    ("labels", "separator", "found"),
    [
        (["a", "b"], None, "single_label"),
        ([1, 2, 3], None, "single_label"),
        ([1.0, 2.0], None, "single_label"),
        ([1, 2.5], None, "regression"),
        (["1", "2.5"], None, "regression"),
        ([1.5, "a"], None, "single_label"),
        (["a", ["a", "b"]], None, "multi_label"),
        (["a;b"], ";", "multi_label"),
        ([], None, "single_label"),
    ],
)
def test_labels_tell_what_kind_of_answer_they_ask_for(labels, separator, found):
    assert choose_problem_type(({"label": label} for label in labels), separator) == found


def test_an_unknown_label_is_told_with_a_few_of_the_known_ones():
    assert find_unknown("a", []) is None
    assert find_unknown("a", ["a"]) is None
    problem = find_unknown("x", [str(number) for number in range(12)])
    assert "'9' and 2 more; to map it" in problem
