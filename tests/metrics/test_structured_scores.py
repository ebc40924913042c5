"""JSON, calls of functions, and programs that pass."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.errors import MetricError
from ftkit.metrics import score, score_rows
from ftkit.metrics.structured import find_calls, is_equal, make_validator

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
SCHEMA = {
    "type": "object",
    "properties": {"城市": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
    "required": ["城市"],
}


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ('{"城市": "北京"}', True),
        ("```json\n[1, 2]\n```", True),
        ("  null\n", True),
        ("", False),
        ("{'a': 1}", False),
        ('{"a": 1} and so on', False),
        ("NaN", False),
        ("[1, Infinity]", False),
        ("[" * 100_000, False),
    ],
)
def test_json_is_valid_as_a_whole_or_not_at_all(text, is_valid):
    assert score("json_validity", [text], [None]) == is_valid


def test_a_schema_is_kept_to():
    texts = ['{"城市": "北京", "days": 2}', '{"城市": "北京", "days": 0}', '{"days": 2}', "[]", "no"]
    assert score_rows("json_validity", texts, [SCHEMA] * 5).tolist() == [1, 0, 0, 0, 0]
    assert score("json_validity", texts, [json.dumps(SCHEMA)] * 5) == pytest.approx(0.2)


def test_a_schema_that_is_none_or_lies_elsewhere_is_refused_without_a_network():
    with pytest.raises(MetricError, match="evaluation.json_schema: is no JSON schema; .*'strng'"):
        make_validator({"type": "strng"})
    elsewhere = make_validator({"$ref": "https://example.com/other.json"})
    with pytest.raises(MetricError, match="evaluation.json_schema: cannot be used"):
        elsewhere(1)


def test_the_right_json_is_right_in_any_layout():
    wanted = '{"a": 1, "b": [true, "月"]}'
    texts = ['{"b":[true,"\\u6708"],"a":1.0}', '{"a": 1, "b": [1, "月"]}', '{"a": 1}', "月"]
    assert score_rows("json_match", texts, [wanted] * 4).tolist() == [1, 0, 0, 0]
    assert score("json_match", ["2"], [["1", "2"]]) == 1
    with pytest.raises(MetricError, match=r"json_match: references\[0\] is no JSON; found 'cat'"):
        score("json_match", ["1"], ["cat"])


@given(VALUES, VALUES)
@settings(max_examples=60)
def test_json_values_are_equal_just_when_their_sorted_texts_are(one, other):
    as_text = [json.dumps(value, sort_keys=True) for value in (one, other)]
    assert is_equal(one, other) == (as_text[0] == as_text[1])
    assert is_equal(one, one)


CALL = [("get_weather", {"city": "北京", "days": 2})]


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "get_weather", "arguments": {"city": "北京", "days": 2}}',
        'Well.\n<tool_call>\n{"name": "get_weather", "arguments": {"days": 2, "city": "北京"}}\n</tool_call>',
        '[{"name": "get_weather", "parameters": {"city": "北京", "days": 2}}]',
        '{"tool_calls": [{"type": "function", "function": {"name": "get_weather", '
        '"arguments": "{\\"city\\": \\"北京\\", \\"days\\": 2}"}}]}',
        'a {broken [thing and {"name": "get_weather", "arguments": {"city": "北京", "days": 2}}',
    ],
)
def test_a_call_is_found_however_a_model_writes_it(text):
    assert find_calls(text) == CALL


@pytest.mark.parametrize(
    "text", ["", "no call", '{"name": "x"}', '{"arguments": {}}', "[[[[", '{"a": [1, 2]}']
)
def test_what_is_no_call_is_none(text):
    assert find_calls(text) == []


def write_call(name, **arguments):
    return json.dumps({"name": name, "arguments": arguments})


def test_the_right_functions_with_the_right_arguments_match():
    wanted = write_call("a", x=1) + "\n" + write_call("b", y=[1])
    texts = [
        write_call("b", y=[1]) + write_call("a", x=1.0),
        write_call("a", x=1) + write_call("b", y=[2]),
        write_call("a", x=1),
        write_call("a", x=1) * 2,
        "I cannot do that.",
    ]
    assert score_rows("function_call_match", texts, [wanted] * 5).tolist() == [1, 0, 0, 0, 0]
    assert score_rows("function_name_match", texts, [wanted] * 5).tolist() == [1, 1, 0, 0, 0]


def test_a_call_where_none_is_wanted_is_wrong():
    assert score("function_call_match", ["The weather is fine."], ["It rains."]) == 1
    assert score("function_call_match", [write_call("a")], ["It rains."]) == 0


@pytest.mark.parametrize(("drawn", "passed", "written"), [(1, 3, 7), (5, 2, 8), (5, 4, 8), (10, 1, 12)])
def test_pass_at_k_is_the_share_of_choices_with_a_program_that_passes(drawn, passed, written):
    programs = [True] * passed + [False] * (written - passed)
    choices = list(itertools.combinations(programs, drawn))
    slow = sum(any(choice) for choice in choices) / len(choices)
    assert score(f"pass@{drawn}", [passed], [written]) == pytest.approx(slow)


def test_pass_at_k_needs_k_programs():
    with pytest.raises(MetricError, match="pass@5: needs 5 programs of each row; found 1 of row 1; set eval"):
        score("pass@5", [0, 0], [5, 1])
    with pytest.raises(MetricError, match="more programs passed than were written"):
        score("pass@1", [2], [1])
