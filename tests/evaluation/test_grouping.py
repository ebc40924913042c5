"""Rows that hang together."""

import pytest
from made_splits import make_split

from ftkit.errors import RecipeError
from ftkit.evaluation.grouping import check_group, find_groups
from ftkit.tasks import causal_lm, question_answering, text_classification

ROWS = [{"text": "a", "mail": 1}, {"text": "b", "mail": 1}, {"text": "c"}, {"text": "d", "mail": [2]}]
RECORDS = [{"row": row} for row in range(4)]


def test_a_column_groups_rows_and_a_row_without_it_stands_alone():
    groups = find_groups(RECORDS, make_split(ROWS), text_classification, "mail")
    assert groups[0] == groups[1]
    assert len(set(groups)) == 3
    assert find_groups(RECORDS, make_split(ROWS), text_classification, "none") is None


def test_rows_that_are_all_apart_are_no_groups():
    assert find_groups(RECORDS, make_split(ROWS), text_classification, "auto") is None
    assert find_groups(RECORDS, make_split(ROWS), text_classification, "text") is None


def test_questions_on_one_context_hang_together():
    rows = [{"context": context, "question": "?"} for context in "aab"]
    groups = find_groups(RECORDS[:3], make_split(rows), question_answering, "auto")
    assert groups == ["a", "a", "b"]
    assert find_groups(RECORDS[:3], make_split(rows), question_answering, "none") is None


def test_blocks_of_one_document_hang_together():
    records = [{"row": 0}, {"row": 0}, {"row": 1}]
    assert find_groups(records, make_split(ROWS), causal_lm, "auto") == [0, 0, 1]


def test_a_column_that_no_row_has_is_refused():
    split = make_split(ROWS)
    for good in ("auto", "none", "mail"):
        check_group(good, split)
    with pytest.raises(RecipeError, match=r"evaluation.group: .* no column 'mails'; did you mean mail\?"):
        check_group("mails", split)
