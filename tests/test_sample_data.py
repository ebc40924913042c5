"""The samples in data/: complete, clean, split without overlap, small, and described in data/README.md."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from dirty_mails import make_splits

DATA = Path(__file__).resolve().parents[1] / "data"
MEGABYTE = 1_000_000

COLUMNS = {
    "spam": {"subject", "text", "label"},
    "python_docs": {"path", "text"},
    "python_chat": {"messages"},
    "python_qa": {"id", "context", "question", "answers"},
    "python_choices": {"question", "choices", "answer"},
    "python_entities": {"text", "tokens", "tags", "kinds", "code_share"},
    "python_pairs": {"text", "text_pair", "label"},
    "python_summaries": {"document", "summary"},
    "poems_zh": {"title", "author", "text", "messages"},
    "translations/en_de": {"en", "de"},
    "translations/en_zh": {"en", "zh"},
}
MAY_BE_EMPTY = {("spam", "subject"), ("python_entities", "kinds"), ("python_entities", "code_share")}
"""A mail without a subject; a sentence that names no code."""

EMAIL = re.compile(
    r"[\w.+-]+@[\w-]+|[\w.+-]+%40[\w-]+|\b\w+ ?(?:\(at\)|\[at\]) ?\w+ ?(?:\(dot\)|\[dot\]) ?\w+", re.I
)
PHONE = re.compile(
    r"(?<![\w.])\+\d[\d ().-]{7,}\d"  # +353 1 234 5678
    r"|(?<![\w.])\(?\d{3}\)?[-. ]\d{3}[-. ]\d{4}(?!\d)"  # (555) 555-0100
    r"|\b8(?:00|88|77|66)[-.][A-Z0-9]{3}[-.]?[A-Z0-9]{4}\b"  # 800-FLOWERS
)
LONG_NUMBER = re.compile(r"\d{7,}")
IP_ADDRESS = re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])")
NAME_OF_SENDER = re.compile(r"(?m)^(?:>\s*)*(?:From|To|Cc|Reply-To): *(?!\[name\])\S")

SETS = sorted(COLUMNS)
FILES = [(name, split) for name in SETS for split in ("train", "test")]


@cache
def read_rows(name: str, split: str) -> tuple[dict[str, Any], ...]:
    with gzip.open(DATA / name / f"{split}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return tuple(json.loads(line) for line in lines)


def as_text(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, sort_keys=True)


def strings(value: Any) -> Iterator[str]:
    """Every text in a row, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from strings(inner)


def all_rows(name: str) -> list[dict[str, Any]]:
    return [*read_rows(name, "train"), *read_rows(name, "test")]


def test_every_file_in_data_belongs_to_a_set_listed_here() -> None:
    files = [*FILES, ("spam_dirty", "train"), ("spam_dirty", "test")]
    found = {path.relative_to(DATA).as_posix() for path in DATA.rglob("*") if path.is_file()}
    expected = {f"{name}/{split}.jsonl.gz" for name, split in files} | {"README.md"}
    assert {path for path in found if not path.startswith("LICENSES/")} == expected


@pytest.mark.parametrize(("name", "split"), FILES)
def test_every_row_has_the_columns_of_its_set_and_nothing_empty(name: str, split: str) -> None:
    rows = read_rows(name, split)
    assert len(rows) >= (10 if name == "python_docs" else 40)
    for row in rows:
        assert set(row) == COLUMNS[name]
        for column, value in row.items():
            assert value or value == 0 or (name, column) in MAY_BE_EMPTY, (column, row)
            if isinstance(value, str) and (name, column) not in MAY_BE_EMPTY:
                assert value.strip(), (column, row)


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_dirty_mails_are_what_their_program_makes_of_the_clean_ones(split: str) -> None:
    packed = (DATA / "spam_dirty" / f"{split}.jsonl.gz").read_bytes()
    assert gzip.decompress(packed) == make_splits()[split]


def test_addresses_in_the_dirty_mails_are_those_set_aside_for_examples() -> None:
    text = b"".join(make_splits().values()).decode()
    hosts = {match.partition("@")[2] for match in EMAIL.findall(text)}
    assert hosts == {"example", "mail"}
    assert set(re.findall(r"@[\w.-]+", text)) == {"@example.com", "@mail.example.org", "@example.net"}
    assert {address.rpartition(".")[0] for address in IP_ADDRESS.findall(text)} == {"192.0.2"}
    assert all(number.startswith("(202) 555-01") for number in PHONE.findall(text))


@pytest.mark.parametrize(("name", "split"), [*FILES, ("spam_dirty", "train"), ("spam_dirty", "test")])
def test_the_gzip_header_holds_no_time_and_no_file_name(name: str, split: str) -> None:
    head = (DATA / name / f"{split}.jsonl.gz").read_bytes()[:10]
    assert head[3] == 0, "flags: a file name or a comment is stored"
    assert head[4:8] == b"\0\0\0\0", "a time stamp is stored"


@pytest.mark.parametrize("name", SETS)
def test_no_row_comes_twice_within_or_across_the_splits(name: str) -> None:
    texts = [as_text(row) for row in all_rows(name)]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("spam", "text"),
        ("python_docs", "path"),
        ("python_qa", "context"),
        ("python_entities", "text"),
        ("python_pairs", "text_pair"),
        ("python_summaries", "document"),
        ("poems_zh", "text"),
        ("translations/en_de", "en"),
        ("translations/en_zh", "zh"),
    ],
)
def test_train_and_test_share_no_text(name: str, column: str) -> None:
    train, test = (
        {row[column].strip().lower() for row in read_rows(name, split)} for split in ("train", "test")
    )
    assert not train & test


def test_both_translation_sets_split_the_english_texts_alike() -> None:
    train = {
        row["en"] for name in ("translations/en_de", "translations/en_zh") for row in read_rows(name, "train")
    }
    test = {
        row["en"] for name in ("translations/en_de", "translations/en_zh") for row in read_rows(name, "test")
    }
    assert not train & test


def test_a_python_module_is_on_one_side_in_questions_and_pages() -> None:
    def modules(split: str) -> set[str]:
        asked = {row["id"].rsplit("-", 2)[0] for row in read_rows("python_qa", split)}
        shown = {row["path"].removesuffix(".rst") for row in read_rows("python_docs", split)}
        return {page.split("-")[0] for page in asked | shown if page.startswith("library/")}

    assert not modules("train") & modules("test")


def test_mails_are_labelled_in_the_share_of_the_source() -> None:
    for split in ("train", "test"):
        labels = [row["label"] for row in read_rows("spam", split)]
        assert set(labels) == {"ham", "spam"}
        assert labels.count("spam") / len(labels) == pytest.approx(0.30, abs=0.01)


@pytest.mark.parametrize(
    "pattern", [EMAIL, PHONE, LONG_NUMBER, IP_ADDRESS], ids=["email", "phone", "number", "ip"]
)
def test_no_personal_number_or_address_is_left_in_the_mails(pattern: re.Pattern[str]) -> None:
    left = [
        match.group()
        for row in all_rows("spam")
        for match in pattern.finditer(f"{row['subject']}\n{row['text']}")
    ]
    assert left == []


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (EMAIL, "write to jane@mail.example.org"),
        (EMAIL, "jane (at) mail (dot) org"),
        (PHONE, "call +353 1 234 5678"),
        (PHONE, "call (555) 555-0100"),
        (PHONE, "call 1-800-FLOWERS"),
        (IP_ADDRESS, "http://192.0.2.7/index.html"),
    ],
)
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[str], text: str) -> None:
    assert pattern.search(text)


def test_quoted_headers_in_mails_hold_no_names() -> None:
    assert [row["text"] for row in all_rows("spam") if NAME_OF_SENDER.search(row["text"])] == []


@pytest.mark.parametrize("name", [name for name in SETS if name != "spam"])
def test_the_other_sets_hold_no_email_address_but_example_ones(name: str) -> None:
    address = re.compile(r"[\w.+-]+@[\w-]+\.\w[\w.]*")
    found = {match for row in all_rows(name) for text in strings(row) for match in address.findall(text)}
    assert {match for match in found if ".example" not in match and "@example" not in match} == set()


@pytest.mark.parametrize("name", ["python_chat", "poems_zh"])
def test_conversations_alternate_between_user_and_assistant_and_end_with_the_assistant(name: str) -> None:
    for row in all_rows(name):
        roles = [message["role"] for message in row["messages"]]
        turns = roles[1:] if roles[0] == "system" else roles
        assert turns == ["user", "assistant"] * (len(turns) // 2)
        assert turns
        assert all(message["content"].strip() for message in row["messages"])


def test_answers_of_python_chat_are_whole_sentences_without_markup() -> None:
    for row in all_rows("python_chat"):
        for message in row["messages"]:
            assert message["content"][-1] in ".?", message
            assert not re.search(r"``|:\w+:`|\n|  ", message["content"]), message


def test_poems_are_short_and_the_assistant_says_the_poem() -> None:
    for row in all_rows("poems_zh"):
        assert len(row["text"].replace("\n", "")) <= 100
        assert re.fullmatch(r"[\u4e00-\u9fff，。？！；：、\n]+", row["text"])
        assert row["messages"][-1]["content"] == row["text"]
        assert row["title"] in row["messages"][0]["content"]


def test_every_answer_stands_in_its_context_where_it_says() -> None:
    unanswerable = 0
    for row in all_rows("python_qa"):
        answers = row["answers"]
        assert len(answers["text"]) == len(answers["answer_start"])
        unanswerable += not answers["text"]
        for text, start in zip(answers["text"], answers["answer_start"], strict=True):
            assert text
            assert row["context"][start : start + len(text)] == text
    assert 0.05 < unanswerable / len(all_rows("python_qa")) < 0.2


def test_every_choice_set_has_four_different_choices_and_an_answer_among_them() -> None:
    for row in all_rows("python_choices"):
        assert len(set(row["choices"])) == len(row["choices"]) == 4
        assert row["answer"] in range(4)


def test_tokens_and_tags_pair_up_and_inside_tags_follow_their_beginning() -> None:
    for row in all_rows("python_entities"):
        assert len(row["tokens"]) == len(row["tags"])
        assert all(row["tokens"])
        for before, tag in zip(["O", *row["tags"]], row["tags"], strict=False):
            assert tag == "O" or re.fullmatch(r"[BI]-[A-Z]+", tag)
            assert not tag.startswith("I-") or before[2:] == tag[2:]


def test_kinds_and_share_of_code_are_what_the_tags_say() -> None:
    for row in all_rows("python_entities"):
        named = [tag for tag in row["tags"] if tag != "O"]
        assert row["kinds"] == sorted({tag[2:] for tag in named})
        assert row["code_share"] == pytest.approx(len(named) / len(row["tags"]), abs=1e-4)


def test_tokens_spell_the_text() -> None:
    for row in all_rows("python_entities"):
        assert "".join(row["tokens"]) == re.sub(r"\s", "", row["text"])


@pytest.mark.parametrize("split", ["train", "test"])
def test_pairs_are_balanced(split: str) -> None:
    labels = [row["label"] for row in read_rows("python_pairs", split)]
    assert labels.count("answered") == labels.count("not answered") == len(labels) / 2


def test_everything_together_is_below_three_megabytes() -> None:
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 3 * MEGABYTE


@pytest.mark.parametrize("name", SETS)
def test_the_readme_names_every_set_with_its_numbers_of_rows(name: str) -> None:
    text = (DATA / "README.md").read_text(encoding="utf-8")
    numbers = " / ".join(f"{len(read_rows(name, split)):,}" for split in ("train", "test"))
    assert re.search(rf"\| `{name}/` \| {numbers} \|", text)


def test_the_readme_names_every_licence_text() -> None:
    text = (DATA / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in (DATA / "LICENSES").iterdir() if f"LICENSES/{path.name}" not in text] == []
