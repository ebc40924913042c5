"""What holds for every rule that ships."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftkit.data import Column, load_rows, prepare_rows
from ftkit.data.cleaning import clean_rows, make_rule
from ftkit.data.cleaning.rules import EDITS, JUDGES
from ftkit.errors import DataError, MissingDependencyError, RecipeError
from ftkit.recipe import DataSection
from ftkit.recipe.sections.cleaning import COMPARING, RULES, CleaningRule

COLUMNS = (Column("text", "text", required=True, meaning="a text"),)
EXAMPLES = {
    "chinese": "simplified",
    "replace": {"pattern": "o+", "by": "0"},
    "min_characters": 30,
    "max_characters": 4000,
    "scripts": ["Han", "Latin"],
    "languages": ["zh", "en"],
    "drop_matching": "viagra|發",
    "function": "cleaning_functions:shout",
}
FORMS = [
    *({name: EXAMPLES.get(name)} for name in RULES if name not in {"repeated_lines", *COMPARING}),
    {"normal_form": "NFKC"},
    {"urls": "tag"},
    {"urls": "drop"},
    {"personal_data": "tag"},
    {"personal_data": "drop"},
    {"chinese": "traditional"},
]
PIECES = (
    *("<b>", "</p>", "<br", "&amp;", "&lt;", "lt;", "&", "<", ">", "<!--", "-->", "<script>", '<a href="x">'),
    *("**", "*", "_", "`", "# ", "> ", "[a](b)", "![", "](", ")", "```", "---", "~~"),
    *(
        "http://a.cn/b",
        "www.",
        "https://",
        "a@b.com",
        "@",
        "192.168.0.1",
        "::",
        "13812345678",
        "+49 30 901820",
    ),
    *(
        "11010519491231002X",
        "4111 1111 1111 1111",
        "DE89 3704 0044 0532 0130 00",
        "415-555-2671",
        "-",
        ".",
        ",",
    ),
    *(
        "\u200b",
        "\ufeff",
        "\x00",
        "\t",
        "\n",
        "\r\n",
        "  ",
        "\u3000",
        "\xa0",
        "e\u0301",
        "Ã©",
        "浣犲ソ",
        "ﬁ",
        "Ａ",
    ),
    *("你好", "，", "。", "床前明月光", "臺灣", "后", "a", "word", "1", "22", "<URL>", "<EMAIL>", "***"),
)
texts = st.one_of(st.text(max_size=40), st.lists(st.sampled_from(PIECES), max_size=14).map("".join))


def make(form):
    return make_rule(CleaningRule.model_validate(form), COLUMNS)


def apply(rule, text):
    outcome = rule.apply({"text": text})
    return {"text": text} if outcome is None else outcome.row


def test_every_rule_is_tried_here():
    assert {next(iter(form)) for form in FORMS} == RULES.keys() - {"repeated_lines", *COMPARING}
    assert EDITS.keys() | JUDGES.keys() | {"repeated_lines", "function"} | COMPARING == RULES.keys()


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_rule_does_nothing_to_what_it_made(form, mails, poems, pages):
    rule = make(form)

    @settings(max_examples=150, deadline=None)
    @given(texts)
    def check(text):
        once = apply(rule, text)
        if once is not None:
            assert rule.apply(once) is None

    check()
    for text in [*mails[:60], *poems[:20], *pages[:3]]:
        once = apply(rule, text[:3000])
        assert once is None or rule.apply(once) is None


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_rule_leaves_its_row_as_it_was(form):
    row = {"text": "  <b>你好</b>  call 13812345678 http://a.cn  ", "n": [1]}
    before = {"text": row["text"], "n": [1]}
    make(form).apply(row)
    assert row == before


@settings(max_examples=25, deadline=None)
@given(st.lists(texts, min_size=1, max_size=20), st.permutations(FORMS), st.integers(1, 6))
def test_kept_and_dropped_rows_are_those_that_were_read(found, forms, number):
    rows = load_rows(
        [{"text": text} for text in [*found, "the one that stays, whatever happens to the others 你好"]]
    )
    rules = [CleaningRule.model_validate(form) for form in forms[:number] if "personal_data" not in form]
    try:
        kept, changes = clean_rows(rows, rules, columns=COLUMNS)
    except DataError:  # every row was left out
        return
    dropped = {entry["row"] for entry in changes if entry["action"] == "dropped"}
    assert len(kept) + len(dropped) == len(rows)
    assert sum(number for (_, action), number in changes.counts.items() if action == "dropped") == len(
        dropped
    )
    changed = {entry["row"] for entry in changes} - dropped
    survivors = [index for index in range(len(rows)) if index not in dropped]
    for row, index in zip(kept, survivors, strict=True):
        assert (row == rows[index]) == (index not in changed)


def test_chinese_is_not_harmed_by_rules_that_are_not_asked_to_change_it(poems):
    gentle = (
        "normal_form",
        "fix_encoding",
        "control_characters",
        "white_space",
        "html",
        "markdown",
        "urls",
        "personal_data",
    )
    signs = "“引号”、‘单引号’，书名《诗经》【注】：全角ＡＢＣ１２３；省略……破折——？！（括号）～￥％"
    for name in gentle:
        rule = make(name)
        for text in [signs, *poems]:
            assert rule.apply({"text": text.strip()}) is None, name


def test_a_function_of_the_users_changes_and_drops_rows(tmp_path, monkeypatch):
    rule = make({"function": "cleaning_functions:shout"})
    assert rule.apply({"text": "hello"}).row == {"text": "HELLO"}
    assert rule.apply({"text": "HELLO"}) is None
    assert rule.apply({"text": "ad: buy"}).row is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cleaning_functions:nothing", "has no 'nothing'; name a function of it"),
        ("no_such_module:f", "cannot import 'no_such_module'"),
        ("cleaning_functions:LIST", "is no function"),
    ],
)
def test_a_function_that_is_not_there_is_an_error(name, message):
    with pytest.raises(RecipeError, match=rf"^data.clean: .*{message}"):
        make({"function": name})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fail", "failed with KeyError: 'body'; the row was {'text': 'x'}; mend the function"),
        ("give_text", "returned str; return the row"),
    ],
)
def test_a_function_that_fails_or_gives_no_row_is_an_error(name, message):
    with pytest.raises(DataError, match=message):
        make({"function": f"cleaning_functions:{name}"}).apply({"text": "x"})


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"scripts": ["Hanzi"]}, "no such script among Hanzi; write names such as Han"),
        ({"languages": ["chinese"]}, "unknown code 'chinese'; the codes are .* zh"),
    ],
)
def test_options_that_no_library_knows_are_an_error(form, message):
    with pytest.raises(RecipeError, match=message):
        make(form)


def test_a_library_that_is_missing_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "opencc", None)
    with pytest.raises(
        MissingDependencyError,
        match=re.escape(
            "chinese: needs the library opencc, which is not installed; pip install 'ftkit[clean]'"
        ),
    ):
        make({"chinese": "simplified"})


def test_replace_and_drop_matching_take_regular_expressions():
    rule = make({"replace": {"pattern": r"(\d+)元", "by": r"¥\1"}})
    assert rule.apply({"text": "共20元"}).row == {"text": "共¥20"}
    dropped = make({"drop_matching": "广告"}).apply({"text": "这是广告。"})
    assert dropped.row is None
    assert dropped.detail == "matches: '广告'"


def test_too_many_rejected_rows_stop_with_the_counts_by_rule():
    rows = [{"text": "x" * number} for number in range(1, 21)]
    section = {"train": rows, "validation": None, "clean": [{"min_characters": 11}]}
    assert prepare_rows(DataSection(**section, max_rejected=0.5), seed=0, columns=COLUMNS).splits["train"]
    message = r"data.max_rejected: 10 of 20 rows \(50.0%\) are left out, more than 49.0%; by rule: min_"
    with pytest.raises(DataError, match=message):
        prepare_rows(DataSection(**section, max_rejected="49%"), seed=0, columns=COLUMNS)
