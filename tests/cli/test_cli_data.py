"""Rows with a mistake end in one message with file and line; nothing is left behind."""

import pytest

GOOD = '{"text": "hello world", "label": "ham"}\n{"text": "free money", "label": "spam"}\n'


@pytest.fixture
def refuse_rows(refuse, here):
    """Fine-tune on a file with a mistake."""

    def check(content, message, *changes, name="bad.jsonl"):
        (here / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return refuse(message, f"data.train={name}", *changes)

    return check


def test_a_file_that_is_not_there_names_those_that_are(refuse):
    message = r"\S+/trian\.jsonl: no such file or folder; the folder \S+ has train\.jsonl.*; check the name"
    refuse(message, "data.train=trian.jsonl")
    refuse(message, "data.test=trian.jsonl")


def test_a_pattern_that_matches_nothing_says_so(refuse):
    refuse(r"\S+/\*\.csv: no file matches; .*; check the pattern", "data.train=*.csv")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bad.jsonl", "", r"is empty, it has no rows; fill it, or name another file"),
        (
            "bad.xlsx",
            GOOD,
            r"unknown suffix '\.xlsx'; data files are \.json, .*; convert the file, or rename it",
        ),
        ("bad.jsonl", "%PDF-1.7 ", r"named \.jsonl but is PDF; .*"),
        ("bad.jsonl.gz", GOOD, r"named \.gz but is no gzip file; rename it without \.gz"),
        ("bad.parquet", GOOD, r"named \.parquet but is no parquet file; .*"),
        ("bad.csv", "text;label\na;b\n", r"the header is one column, 'text;label'; .* semicolon; .*"),
    ],
)
def test_a_file_of_another_format_says_what_it_is(refuse_rows, name, content, message):
    refuse_rows(content, rf"{name}(:1)?: {message}", name=name)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"text": "x", "label": \n', r"broken JSON: .*HERE.*\. Fix this row, or delete it\."),
        ("[1, 2]\n", r"is a list, not an object; .*\. Fix this row, or delete it\."),
        ('{"text": " ", "label": "ham"}\n', r"column 'text' is empty\. Fix this row, or delete it\."),
        ('{"text": "x"}\n', r"column 'label' is missing\. Fix this row, or delete it\."),
        ('{"text": 5, "label": "ham"}\n', r"column 'text' is a number \(5\), not a text\. .*"),
        ('{"text": "你好世界"}\n'.encode("gb18030"), r"not UTF-8: .* looks like GB18030: iconv .*"),
    ],
)
def test_a_broken_row_is_named_by_its_line(refuse_rows, row, message):
    content = GOOD.encode() + (row if isinstance(row, bytes) else row.encode())
    refuse_rows(content, rf"bad\.jsonl:3: {message}")


def test_many_broken_rows_are_counted_and_the_first_are_shown(refuse_rows):
    message = (
        r"bad\.jsonl: 7 problems in 9 rows; the first 5:\n"
        r"(  bad\.jsonl:[3-7]: column 'text' is null\n){5}Fix these rows, or delete them\."
    )
    refuse_rows(GOOD + '{"text": null, "label": "ham"}\n' * 7, message)


def test_a_missing_column_lists_those_there_are(refuse_rows):
    refuse_rows(
        '{"body": "x", "labels": "a"}\n{"body": "y", "labels": "b"}\n',
        r"bad\.jsonl: column 'text' .* is missing; the columns are 'body', 'labels'\. .*\{text: COLUMN\}\n"
        r"bad\.jsonl: column 'label' .* is missing; .* Map it: data\.columns: \{label: labels\}",
    )


def test_a_column_mapped_from_nowhere_is_refused(refuse):
    message = r"train\.jsonl: column 'text' .* from 'body', is missing; .* Take text out of data\.columns"
    refuse(message, "data.columns={text: body}")


def test_a_label_outside_the_names_is_named_by_its_line(refuse_rows):
    message = r"bad\.jsonl:3: column 'label' is 'Spam'; the labels are 'ham', 'spam'.*data\.label_names.*"
    refuse_rows(GOOD + '{"text": "x", "label": "Spam"}\n', message, "data.label_names=[ham, spam]")


def test_a_label_that_only_the_held_out_rows_have_is_named_by_its_line(refuse, here):
    (here / "odd.jsonl").write_text('{"text": "x", "label": "eggs"}\n')
    message = r"odd\.jsonl:1: column 'label' is 'eggs'; the labels are 'ham', 'spam'.*"
    refuse(message, "data.test=odd.jsonl")
    refuse(message, "data.validation=odd.jsonl")


def test_one_class_is_too_few(refuse_rows):
    message = r"data\.train: a classifier needs two classes or more; found 1: 'ham'.*"
    refuse_rows('{"text": "a", "label": "ham"}\n{"text": "b", "label": "ham"}\n', message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ["data.validation=24"],
            r"data\.validation: 24 leaves no rows to train on; there are 24 rows; set .*",
        ),
        (
            ["data.validation=99%", "data.test=5%"],
            r"data\.validation: 99%, beside 5% for test, leaves no rows to train on; set smaller shares",
        ),
    ],
)
def test_a_split_that_leaves_no_rows_is_refused(refuse, changes, message):
    refuse(message, *changes)


def test_rules_that_leave_no_example_are_refused(refuse):
    message = r"no examples are left to train or score on; .*too_long:drop: 24; give other rows, or loosen .*"
    refuse(message, "data.too_long=drop", "data.max_tokens=3")


def test_a_row_that_is_too_long_is_named_where_the_recipe_asks_for_it(refuse):
    refuse(
        r"train\.jsonl: \d+ problems in 24 rows.*:\d+: \d+ tokens, the limit is 5\n.*",
        "data.too_long=error",
        "data.max_tokens=5",
    )


def test_a_data_set_of_the_hub_that_cannot_be_reached_says_what_is_cached(refuse, tmp_path, monkeypatch):
    monkeypatch.setattr("ftkit.data.remote.list_cached_repos", lambda kind: ["org/mails"])
    message = r"some/rows: cannot load this data set: .*; in the hub's cache: org/mails; use one of these .*"
    refuse(message, "data.train=some/rows")
