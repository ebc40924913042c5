"""Verdicts follow from findings, and shares from thresholds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.checks import Check, Finding
from ftkit.checks.findings import Piece, ShownExample, join_some, judge_share
from ftkit.checks.showing import LONGEST_PIECE, shorten, write_html, write_text
from ftkit.errors import CheckError

NOTE = Finding("data", "note", "train 24 rows")
WARNING = Finding("schedule", "warning", "training.warmup: too long")
ERROR = Finding("supervision", "error", "nothing carries loss")


def judge(number, total, limit):
    return judge_share("supervision", number, total, limit, "checks.x", "rows are bad", "mend them")


@pytest.mark.parametrize(
    ("findings", "verdict"),
    [
        ((), "ready"),
        ((NOTE,), "ready"),
        ((WARNING, NOTE), "ready with warnings"),
        ((ERROR, WARNING, NOTE), "will not do"),
    ],
)
def test_the_gravest_finding_decides(findings, verdict):
    assert Check("recipe", findings).verdict == verdict


def test_a_refused_run_says_every_reason_and_how_to_start_all_the_same():
    check = Check("spam.yaml", (NOTE, ERROR, WARNING, Finding("data", "error", "no rows")))
    with pytest.raises(CheckError) as caught:
        check.raise_if_refused()
    assert str(caught.value) == (
        "spam.yaml: will not do\ndata: no rows\nsupervision: nothing carries loss\n"
        "Mend this first; --force (force=True in a notebook) starts all the same"
    )
    Check("spam.yaml", (ERROR,), forced=True).raise_if_refused()
    Check("spam.yaml", (WARNING,)).raise_if_refused()


def test_a_share_is_warned_of_from_a_tenth_of_its_limit_on():
    assert judge(0, 100, 0.2) == []
    assert judge(1, 100, 0.2) == []
    assert [each.severity for each in judge(2, 100, 0.2)] == ["warning"]
    assert [each.severity for each in judge(20, 100, 0.2)] == ["warning"]
    (found,) = judge(21, 100, 0.2)
    assert found.severity == "error"
    assert found.message == "21 of 100 rows are bad (21 %), and checks.x admits 20 %; mend them"


def test_nothing_is_admitted_where_the_limit_is_zero():
    assert judge(0, 10, 0.0) == []
    assert judge(1, 10_000, 0.0)[0].severity == "error"


@given(st.integers(0, 50), st.integers(0, 50), st.floats(0, 1), st.floats(0, 1))
def test_a_wider_limit_never_makes_a_finding_graver(number, more, limit, other):
    order = {(): 0, ("warning",): 1, ("error",): 2}
    total = number + more
    narrow, wide = (
        order[tuple(each.severity for each in judge(number, total, bound))]
        for bound in sorted((limit, other))
    )
    assert wide <= narrow


def test_a_long_list_is_cut_and_says_so():
    assert join_some(["a", "b"]) == "a, b"
    assert join_some(list("abcdefg"), most=3) == "a, b, c and 4 more"


SHOWN = ShownExample("rows.jsonl:3", (Piece("问：<b>\n", has_loss=False), Piece("答案", has_loss=True)))


def test_what_carries_loss_stands_in_brackets_or_in_colour():
    check = Check("recipe.yaml", (NOTE, WARNING), shown=(SHOWN,))
    plain = write_text(check, colour=False)
    assert "  rows.jsonl:3\n    问：<b>\n    【答案】" in plain
    assert plain.endswith("warning: schedule: training.warmup: too long\n\nverdict: ready with warnings")
    coloured = write_text(check, colour=True)
    assert "\x1b[32m答案\x1b[0m" in coloured
    assert "\x1b[33mwarning: schedule: \x1b[0mtraining.warmup" in coloured


def test_no_colour_goes_where_nobody_wants_it(monkeypatch):
    check = Check("recipe.yaml", (NOTE,), shown=(SHOWN,))
    assert "\x1b" not in str(check)  # pytest's output is no terminal
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "\x1b" in str(check)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in str(check)


def test_a_notebook_shows_the_same_and_escapes_what_rows_hold():
    page = write_html(Check("recipe.yaml", (NOTE, ERROR), shown=(SHOWN,)))
    assert "recipe.yaml: will not do" in page
    assert "问：&lt;b&gt;<br>" in page
    assert ">答案</span>" in page
    assert "nothing carries loss" in page


def test_a_forced_run_says_so():
    text = write_text(Check("recipe.yaml", (ERROR,), forced=True), colour=False)
    assert text.endswith("verdict: will not do; started all the same (--force)")


def test_labels_are_written_beside_what_they_are_of():
    pieces = (Piece("Zoe", True, "B-PER"), Piece(" sat", False), Piece("", True, "spam"))
    text = write_text(Check("r", (), shown=(ShownExample("x:1", pieces),)), colour=False)
    assert "【Zoe/B-PER 】 sat【  spam】" in text


@given(st.text(max_size=400))
def test_a_shown_piece_is_short_and_keeps_its_ends(text):
    shown = shorten(text)
    assert len(shown) <= LONGEST_PIECE + 40
    assert shown[:20] == text[:20]
    assert shown[-20:] == text[-20:]


def test_everything_is_in_the_json():
    values = Check("r.yaml", (WARNING, NOTE), ({"split": "train"},), (SHOWN,)).as_dict()
    assert values["verdict"] == "ready with warnings"
    assert [each["subject"] for each in values["findings"]] == ["data", "schedule"]
    assert values["shown"][0]["pieces"][1] == {"text": "答案", "has_loss": True, "label": ""}
