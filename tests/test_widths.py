import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.reporting.widths import draw_bar, measure_width, pad, wrap


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("床前", 4), ("Ａｂ，", 6), ("e\u0301", 1), ("한글", 4), ("", 0)]
)
def test_chinese_characters_are_two_columns_wide(text, width):
    assert measure_width(text) == width
    assert measure_width(pad(text, 9)) == 9


@given(st.text(alphabet="ab 月，\n", max_size=60), st.integers(2, 9))
def test_lines_are_no_wider_than_asked_and_nothing_is_lost(text, width):
    lines = list(wrap(text, width))
    assert all(measure_width(line) <= width for line in lines)
    assert "".join(lines) == text.replace("\n", "")


def test_what_would_steer_the_terminal_is_shown_as_its_escape():
    assert list(wrap("a\x1b[31mb", 40)) == ["a\\x1b[31mb"]


def test_a_bar_is_as_long_as_its_number_and_a_small_one_is_seen():
    assert draw_bar(10, 10, width=8) == "█" * 8
    assert draw_bar(1, 1000, width=8) == "█"
    assert draw_bar(0, 10) == ""
