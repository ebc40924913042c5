"""Addresses of buckets, against a server on this machine that speaks S3; and errors without secrets."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from s3_server import ACCESS_KEY, serve_s3

from ftkit.data import load_rows
from ftkit.data.remote_systems import hide_secrets, open_remote
from ftkit.data.row_streams import open_stream
from ftkit.errors import MissingDependencyError, SourceError
from ftkit.recipe import DataSection

SECRET = "wJalrXUtnFEMI-secret"
LINES = "".join(
    json.dumps({"text": f"床前明月光 {number}"}, ensure_ascii=False) + "\n" for number in range(50)
)


@pytest.fixture
def s3(cache, monkeypatch, tmp_path):
    """A bucket with two files, and credentials for it."""
    for name in (
        "AWS_PROFILE",
        "AWS_ENDPOINT_URL_S3",
        "AWS_SESSION_TOKEN",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
    ):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr("ftkit.data.remote_systems._TRIES", 1)
    objects = {"bucket/set/b.jsonl": b'{"text": "b"}\n', "bucket/set/a.jsonl": LINES.encode()}
    with serve_s3(objects) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
        yield server


def count_reads(server):
    return sum(1 for method, name in server.requests if method == "GET" and name.endswith(".jsonl"))


def refuse(address):
    with pytest.raises(SourceError) as caught:
        load_rows(address)
    assert SECRET not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_files_in_a_bucket_are_streamed_and_not_stored(s3, cache):
    stream = open_stream(DataSection(train=["s3://bucket/set/*.jsonl"]))
    assert count_reads(s3) == 0
    ((rows, _),) = stream.read()
    assert [row["text"] for row in rows] == [*(f"床前明月光 {number}" for number in range(50)), "b"]
    assert rows.where(50) == "s3://bucket/set/b.jsonl:1"
    assert count_reads(s3) >= 2
    assert not list(cache.rglob("*.jsonl"))


def test_a_file_in_a_bucket_is_read_like_one_on_this_disk(s3):
    rows = load_rows("s3://bucket/set/a.jsonl")
    assert [row["text"] for row in rows] == [f"床前明月光 {number}" for number in range(50)]
    assert rows.where(1) == "s3://bucket/set/a.jsonl:2"


def test_a_pattern_and_a_folder_give_all_files_sorted(s3):
    for address in ("s3://bucket/set/*.jsonl", "s3://bucket/set/"):
        assert load_rows(address)[-1] == {"text": "b"}
        assert len(load_rows(address)) == 51


def test_a_file_is_fetched_once_and_again_when_it_changed(s3):
    first = load_rows("s3://bucket/set/b.jsonl")
    number = count_reads(s3)
    assert load_rows("s3://bucket/set/b.jsonl").fingerprint == first.fingerprint
    assert count_reads(s3) == number
    s3.objects["bucket/set/b.jsonl"] = b'{"text": "c"}\n'
    s3.modified += 60
    assert list(load_rows("s3://bucket/set/b.jsonl")) == [{"text": "c"}]


def test_a_missing_file_and_a_pattern_without_match_say_so(s3):
    assert (
        refuse("s3://bucket/set/none.jsonl") == "s3://bucket/set/none.jsonl: no such file; check the address"
    )
    assert refuse("s3://bucket/set/*.csv") == "s3://bucket/set/*.csv: no file matches; check the pattern"


def test_wrong_credentials_are_told_from_a_missing_file(s3, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDWRONG")
    message = refuse("s3://bucket/set/a.jsonl")
    assert message.startswith("s3://bucket/set/a.jsonl: access denied: ")
    assert "check your credentials (for s3: AWS_ACCESS_KEY_ID" in message
    assert SECRET not in caplog.text


def test_a_server_that_is_not_there_cannot_be_reached(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    message = refuse("s3://bucket/set/a.jsonl")
    assert message.startswith("s3://bucket/set/a.jsonl: cannot be reached: ")


def test_a_transfer_that_ends_too_early_leaves_nothing_in_the_cache(s3, cache):
    s3.cuts = True
    message = refuse("s3://bucket/set/a.jsonl")
    assert message.startswith("s3://bucket/set/a.jsonl: the transfer ended too early: ")
    assert [path.name for path in cache.rglob("*") if path.is_file() and path.name != ".lock"] == []
    s3.cuts = False
    assert len(load_rows("s3://bucket/set/a.jsonl")) == 50


def test_fewer_bytes_than_were_told_are_an_error(s3, monkeypatch):
    from fsspec.implementations.arrow import ArrowFSWrapper

    original = ArrowFSWrapper.info
    larger = lambda self, path, **options: {**original(self, path, **options), "size": 10**6}  # noqa: E731
    monkeypatch.setattr(ArrowFSWrapper, "info", larger)
    assert "of 1,000,000 bytes; try again" in refuse("s3://bucket/set/b.jsonl")


def test_a_scheme_without_its_library_names_what_to_install():
    with pytest.raises(MissingDependencyError, match="needs a library that is not installed: .*adlfs"):
        open_remote("abfs://container/a.jsonl")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:pass@host/a.jsonl", "https://***@host/a.jsonl"),
        ("https://host/a.jsonl?X-Amz-Signature=abc&b=c", "https://host/a.jsonl?..."),
        ("403, url='https://host/a?sig=x'", "403, url='https://host/a?...'"),
        ("s3://bucket/a@b.jsonl", "s3://bucket/a@b.jsonl"),
        ("is this plain? yes", "is this plain? yes"),
    ],
)
def test_keys_in_addresses_are_not_shown(text, shown):
    assert hide_secrets(text) == shown


@given(st.text("abcXYZ019%&=_-", min_size=12, max_size=30))
def test_no_secret_of_an_address_survives(secret):
    assert secret not in hide_secrets(f"x https://u:{secret}@h/a.jsonl?sig={secret} y")
