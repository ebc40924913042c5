import json

import pytest

from ftkit.data import Column, RowProblem, check_columns, load_rows, raise_row_problems
from ftkit.errors import DataError

TEXT = Column("text", "text", required=True, meaning="what is classified")
LABEL = Column("label", "label", required=True, meaning="its label")


def check(rows, *columns, **options):
    check_columns(load_rows(rows, **options), columns)


def test_rows_with_all_columns_pass():
    check([{"text": "床前", "label": "ham", "more": 1}, {"text": "b", "label": 0}], TEXT, LABEL)


def test_a_missing_column_is_told_with_the_columns_there_are_and_how_to_map_one(write):
    name = write("a.jsonl", json.dumps({"texts": "a", "label": 1}))
    with pytest.raises(DataError) as caught:
        check(name, TEXT, LABEL)
    assert str(caught.value) == (
        "a.jsonl: column 'text' (what is classified) is missing; the columns are 'texts', 'label'. "
        "Map it: data.columns: {text: texts}"
    )


def test_all_missing_columns_are_told_at_once():
    with pytest.raises(DataError) as caught:
        check([{"body": "a", "kind": 1}], TEXT, LABEL)
    lines = str(caught.value).splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("the columns are 'body', 'kind'. Map it: data.columns: {text: COLUMN}")
    assert lines[1].startswith("train: column 'label' (its label) is missing")


def test_a_mapping_to_a_column_that_does_not_exist_is_told():
    with pytest.raises(DataError) as caught:
        check([{"body": "a", "text": "b"}], TEXT, columns={"text": "bdoy"})
    assert str(caught.value) == (
        "train: column 'text' (what is classified), which data.columns takes from 'bdoy', is missing; "
        "the columns are 'body', 'text'. Map it: data.columns: {text: body}"
    )


def test_a_mapping_that_is_not_needed_is_to_be_taken_out():
    with pytest.raises(DataError, match=r"the columns are 'text'. Take text out of data.columns$"):
        check([{"text": "b"}], TEXT, columns={"text": "body"})


def test_a_mapping_of_an_optional_column_that_does_not_exist_is_told():
    system = Column("system", "text", required=False, meaning="the system's turn")
    check([{"text": "a"}], TEXT, system)
    with pytest.raises(DataError, match="column 'system' .* which data.columns takes from 'sys', is missing"):
        check([{"text": "a"}], TEXT, system, columns={"system": "sys"})


def test_a_mapping_of_a_column_that_is_not_asked_for_does_not_matter():
    check([{"body": "a"}], TEXT, columns={"text": "body", "label": "kind"})


def test_of_many_columns_only_some_are_listed():
    with pytest.raises(DataError, match="'c19' and 30 more. Map it"):
        check([{f"c{index}": 1 for index in range(50)}], TEXT)


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        ("text", "", "is empty"),
        ("text", " \n\u3000", "is empty"),
        ("text", None, "is null"),
        ("text", 5, "is a number (5), not a text"),
        ("text", ["a"], "is a list (['a']), not a text"),
        ("label", None, "is null"),
        ("label", " ", "is empty"),
        ("label", ["ham"], "is a list (['ham']), not a label (a word or a number)"),
        ("label", {"a": 1}, "is an object ({'a': 1}), not a label"),
        ("number", "5", "is a text ('5'), not a number"),
        ("number", True, "is true or false (True), not a number"),
        ("list", "[]", "is a text ('[]'), not a list"),
        ("messages", "hello", "is a text ('hello'), not a list of messages"),
        ("messages", [], "is a list ([]), not a list of messages"),
        ("messages", ["hello"], "is a list (['hello']), not a list of messages"),
        ("any", None, "is null"),
    ],
)
def test_a_value_of_another_kind_is_told_by_row(kind, value, problem):
    column = Column("x", kind, required=True, meaning="")
    with pytest.raises(DataError) as caught:
        check([{"x": value}], column)
    assert str(caught.value).startswith(f"train[0]: column 'x' {problem}")
    assert str(caught.value).endswith(". Fix this row, or delete it.")


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", ["a", "月"]),
        ("label", ["ham", 0, -1.5, False]),
        ("number", [0, 1.5]),
        ("list", [[], [1]]),
        ("messages", [[{"role": "user", "content": "a"}]]),
        ("any", ["", 0, [], {}, "a"]),
    ],
)
def test_values_of_the_kind_pass(kind, values):
    check([{"x": value} for value in values], Column("x", kind, required=True, meaning=""))


def test_an_optional_column_may_lack_its_value_but_not_have_another_kind():
    optional = Column("x", "text", required=False, meaning="")
    check([{}, {"x": None}, {"x": ""}, {"x": "a"}], optional)
    check([{"y": 1}], optional)
    with pytest.raises(DataError, match=r"train\[1\]: column 'x' is a number \(1\), not a text"):
        check([{"x": "a"}, {"x": 1}], optional)


def test_problems_of_many_rows_are_counted_and_the_first_are_told(write):
    rows = [{"text": "a", "label": 1}] * 100 + [{"text": "", "label": 1}] * 7 + [{"label": None}]
    name = write("a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DataError) as caught:
        check(name, TEXT, LABEL)
    lines = str(caught.value).splitlines()
    assert lines[0] == "a.jsonl: 9 problems in 108 rows; the first 5:"
    assert lines[1:6] == [f"  a.jsonl:{line}: column 'text' is empty" for line in range(101, 106)]
    assert lines[6] == "Fix these rows, or delete them."


def test_a_row_that_lacks_a_column_is_told_apart_from_null():
    with pytest.raises(DataError) as caught:
        check([{"text": "a"}, {"text": None}, {}], TEXT)
    assert "train[1]: column 'text' is null" in str(caught.value)
    assert "train[2]: column 'text' is missing" in str(caught.value)


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(DataError) as caught:
        check([{"text": ["月" * 1000]}], TEXT)
    assert len(str(caught.value)) < 200


def test_the_problems_of_a_task_come_with_its_remedy(write):
    rows = load_rows(write("a.jsonl", '{"label": "Spam"}\n{"label": "x"}\n'))
    raise_row_problems(rows, [])
    with pytest.raises(DataError) as caught:
        raise_row_problems(
            rows, [RowProblem(0, "column 'label' is 'Spam'; the labels are 'ham', 'spam'")], remedy="Map it."
        )
    assert str(caught.value) == "a.jsonl:1: column 'label' is 'Spam'; the labels are 'ham', 'spam'. Map it."


def test_problems_of_selected_rows_name_the_line_in_the_file(write):
    rows = load_rows(write("a.jsonl", '{"a": 1}\n{"a": 2}\n{"a": 3}\n')).select([2, 0])
    with pytest.raises(DataError, match="a.jsonl:3: is odd"):
        raise_row_problems(rows, [RowProblem(0, "is odd")])
