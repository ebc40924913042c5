"""YAML is read as people mean it, with line numbers, and cannot do harm."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ftkit.errors import RecipeError
from ftkit.recipe.mistakes import Place
from ftkit.recipe.yaml_reader import MAX_VALUES, read_yaml


def read(text):
    value, layer = read_yaml(text, name="a.yaml")
    assert not layer.mistakes
    return value


def refuse(text):
    with pytest.raises(RecipeError) as caught:
        read_yaml(text, name="a.yaml")
    return str(caught.value)


def list_mistakes(text):
    return [str(each) for each in read_yaml(text, name="a.yaml")[1].mistakes]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("5E+3", 5000.0),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("2.", 2.0),
        ("-3", -3),
        ("010", 10),
        ("0o17", 15),
        ("0xff", 255),
        (".inf", math.inf),
        ("-.inf", -math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
    ],
)
def test_numbers_and_constants_follow_yaml_1_2(text, value):
    found = read(f"a: {text}\n")["a"]
    assert (found, type(found)) == (value, type(value))


def test_not_a_number_is_read():
    assert math.isnan(read("a: .nan\n")["a"])


@pytest.mark.parametrize(
    "text",
    ["yes", "no", "on", "off", "y", "N", "1_000", "12:30", "2026-01-31", "1e", "tRue", "10%", "0o9", "是"],
)
def test_what_yaml_1_1_would_change_stays_text(text):
    assert read(f"a: {text}\n") == {"a": text}


@pytest.mark.parametrize("text", ["'1e-4'", '"true"', "!!str 5", '"\\u4f60"'])
def test_quotes_and_the_text_tag_make_text(text):
    assert isinstance(read(f"a: {text}\n")["a"], str)


@settings(deadline=None)
@given(st.floats(allow_nan=False))
@example(1e-4)
@example(5e-324)
def test_every_float_that_python_writes_is_read_back(number):
    text = repr(number).replace("inf", ".inf")
    assert read(f"a: {text}\n")["a"] == number


@settings(deadline=None)
@given(st.integers())
def test_every_whole_number_is_read_back(number):
    assert read(f"a: {number}\n")["a"] == number


def test_every_key_and_item_knows_its_line():
    _, layer = read_yaml("a: 1\nb:\n  c: 2\n  d:\n    - x\n    - y\n", name="a.yaml")
    lines = {path: place.line for path, place in layer.places.items()}
    assert lines == {
        (): 1, ("a",): 1, ("b",): 2, ("b", "c"): 3, ("b", "d"): 4, ("b", "d", 0): 5, ("b", "d", 1): 6,
    }  # fmt: skip


def test_a_key_that_was_not_written_has_the_place_of_its_group():
    _, layer = read_yaml("a: 1\nb:\n  c: 2\n", name="a.yaml")
    assert layer.find_place(("b", "z", 3)) == Place("a.yaml", 2)


def test_a_key_given_twice_names_both_lines():
    assert list_mistakes("a: 1\nb: 2\na: 3\n") == [
        "a.yaml:3: a: given twice; the first is on line 1; remove one"
    ]


def test_every_repeated_key_is_found_and_the_first_value_stands():
    value, layer = read_yaml("a: {b: 1, b: 2}\nc: 1\nc: 2\n", name="a.yaml")
    assert (value, len(layer.mistakes)) == ({"a": {"b": 1}, "c": 1}, 2)


@pytest.mark.parametrize("text", ["a:\n\tb: 1\n", "a:\n  b:\t1\n", "a:\n  - b\n\t- c\n"])
def test_a_tab_is_explained(text):
    message = refuse(text)
    assert "a tab; YAML wants spaces" in message
    assert "\\t" in message


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: c: d\n", 2, "': ' where no key can stand"),
        ("a:\n  b: 1\n c: 2\n", 3, "the indentation does not fit"),
        ("a: 'x\n", 1, "a quote that is never closed"),
        ("a: {b: 1\n", 1, "a bracket that is not closed"),
        ("a: [b, c}\n", 1, "a bracket that is not closed"),
        ("a: *.jsonl\n", 1, "'*' begins an alias"),
        ("a: *nothing\n", 1, "'*' begins an alias"),
        ("a: &\n", 1, "'&' begins an anchor"),
        ("a: !x!y z\n", 1, "'!' begins a tag"),
        ("a: @b\n", 1, "put it in quotes"),
        ("a: `b`\n", 1, "put it in quotes"),
        ("a: 1\n---\nb: 1\n", 2, "a second document"),
        ("a: 1\nb\n", 2, "a key without a ': '"),
        ("a: 1\nb：2\n", 2, "not the full-width"),
        ("a: 1\nb:2\n", 2, "put a space after the colon"),
        ("a: 1\nb: \x01\n", 2, "a control character"),
    ],
)
def test_what_is_not_yaml_is_said_in_plain_words_with_its_line(text, line, words):
    message = refuse(text)
    assert message.startswith(f"a.yaml:{line}: not YAML: ")
    assert words in message


def test_the_line_that_is_not_yaml_is_quoted():
    assert refuse("a: 你好: 世界\n").endswith("; found a: 你好: 世界")


def test_an_alias_repeats_a_value():
    assert read("a: &x {b: 1}\nc: *x\n") == {"a": {"b": 1}, "c": {"b": 1}}


def test_an_alias_of_itself_is_a_mistake():
    assert "contains itself" in list_mistakes("a: &x [1, *x]\n")[0]


def test_aliases_of_aliases_stop_before_they_fill_the_memory():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    assert f"more than {MAX_VALUES:,} values" in refuse("\n".join(lines))


@pytest.mark.parametrize("depth", [60, 3000])
def test_lists_within_lists_have_a_bound(depth):
    assert (
        refuse("a: " + "[" * depth + "]" * depth)
        == "a.yaml: more than 50 lists or mappings within each other"
    )


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system [ls]",
        "!mine x",
        "!!binary aGk=",
        "!!set {a}",
        "!!timestamp 2026-01-01",
    ],
)
def test_a_tag_that_would_make_an_object_is_a_mistake(text):
    assert "tags are not for recipes" in list_mistakes(f"a: {text}\n")[0]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("!!int x", "a whole number"),
        ("!!float x", "a number"),
        ("!!bool x", "true or false"),
        ("9" * 5000, "a whole"),
    ],
)
def test_a_value_that_its_tag_cannot_be_is_a_mistake(text, kind):
    assert f"cannot be read as {kind}" in list_mistakes(f"a: {text}\n")[0]


def test_half_a_character_is_a_mistake_that_can_be_printed():
    [message] = list_mistakes('a: "\\ud800"\n')
    assert message.encode()
    assert "cannot be read as text" in message


def test_a_key_that_is_a_list_is_a_mistake():
    assert list_mistakes("? [a, b]\n: 1\n") == ["a.yaml:1: a key must be text, not a list or mapping"]


def test_escape_sequences_in_keys_do_not_reach_the_terminal():
    assert list_mistakes('"\\e[31mred": 1\n"\\e[31mred": 2\n')[0].isprintable()


def read_or_refuse(text):
    """Give the value or the message; any other exception is a bug."""
    try:
        return read_yaml(text, name="a.yaml")[0]
    except RecipeError as error:
        return str(error)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=60))
@example("? ")
@example("a: b: c")
@example("\ufeff")
@example("a:\n\x85 b")
def test_any_text_is_read_or_refused_and_nothing_else(text):
    read_or_refuse(text)


@settings(deadline=None)
@given(st.text("ab:-[]{}*&!\"'|>\n\t #?,0", max_size=40))
def test_any_sequence_of_yaml_signs_is_read_or_refused_and_nothing_else(text):
    read_or_refuse(text)
