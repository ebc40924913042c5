import gzip
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data import files
from ftkit.data.files import (
    FORMATS,
    DataFile,
    guess_encoding,
    make_data_file,
    open_bytes,
    parse_name,
    read_chunks,
    read_lines,
)
from ftkit.errors import DataError


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_is_known_by_its_suffix_also_gzipped(suffix):
    assert parse_name(f"data/train.{suffix}") == (suffix, False)
    assert parse_name(f"Train.v2.{suffix.upper()}.GZ") == (suffix, True)


@pytest.mark.parametrize("name", ["README.md", "train", "train.gz", ".jsonl", "train.jsonl.zip", "train.bz2"])
def test_other_suffixes_are_not_known(name):
    assert parse_name(name) is None


def test_an_unknown_suffix_is_refused_with_the_known_ones_and_the_nearest():
    with pytest.raises(DataError) as caught:
        make_data_file(Path("train.jsnl"), "train.jsnl")
    assert str(caught.value) == (
        "train.jsnl: unknown suffix '.jsnl', did you mean .jsonl?; data files are .json, .jsonl, .ndjson, "
        ".csv, .tsv, .parquet, .arrow, .txt, each also .gz; convert the file, or rename it"
    )


def test_a_missing_suffix_is_refused():
    with pytest.raises(DataError, match="train: no suffix"):
        make_data_file(Path("train"), "train")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"PAR1....", "named .jsonl but is parquet; give it the suffix"),
        ("a.csv", b"ARROW1....", "named .csv but is Arrow"),
        ("a.csv", b"PK\x03\x04...", "named .csv but is a zip archive, as of Excel; export it as CSV"),
        ("a.json", gzip.compress(b"[]"), "named .json but is gzip"),
        ("a.jsonl", "{}".encode("utf-16"), "named .jsonl but is UTF-16 text; save it as UTF-8"),
        ("a.jsonl", b"<!DOCTYPE html><html>", "named .jsonl but is a web page; download the file itself"),
        (
            "a.parquet",
            b"version https://git-lfs.github.com/spec/v1\n",
            "a git-lfs pointer, without the data; run: git lfs",
        ),
        ("a.parquet", b"text,label\n", "named .parquet but is no parquet file"),
        ("a.arrow", b"PAR1", "named .arrow but is parquet"),
        ("a.jsonl.gz", b"{}", "named .gz but is no gzip file; rename it without .gz"),
    ],
)
def test_content_that_is_not_what_the_suffix_says_is_refused(write, name, content, message):
    Path(write("empty", "")).with_name(name).write_bytes(content)
    with pytest.raises(DataError) as caught, open_bytes(make_data_file(Path(name), name)):
        pass
    assert str(caught.value).startswith(f"{name}: ")
    assert message in str(caught.value)


def test_a_gzip_file_that_ends_too_early_is_refused(write):
    packed = gzip.compress(b'{"a": 1}\n' * 1000)
    Path(write("empty", "")).with_name("a.jsonl.gz").write_bytes(packed[:-20])
    with pytest.raises(DataError, match="a.jsonl.gz: the gzip file ends too early"):
        read_all("a.jsonl.gz")


def test_a_gzip_file_with_flipped_bits_is_refused(write):
    packed = bytearray(gzip.compress(b'{"a": 1}\n' * 1000))
    packed[-6] ^= 0xFF  # in the checksum
    Path(write("empty", "")).with_name("a.jsonl.gz").write_bytes(packed)
    with pytest.raises(DataError, match="a.jsonl.gz: damaged gzip file"):
        read_all("a.jsonl.gz")


def read_all(name):
    with open_bytes(make_data_file(Path(name), name)) as stream:
        return stream.read()


def test_a_gzip_file_is_read_unpacked(write):
    assert read_all(write("a.jsonl.gz", "床前\n")) == "床前\n".encode()


def test_a_file_that_vanished_is_an_error_of_the_data(tmp_path):
    file = DataFile(tmp_path / "a.jsonl", "a.jsonl", "jsonl", gzipped=False)
    with pytest.raises(DataError, match="a.jsonl: cannot be read: No such file"), open_bytes(file):
        pass


def test_lines_keep_their_ends_and_lose_the_byte_order_mark():
    stream = io.BytesIO("\ufeff床\r\n\ufeff前\nlast".encode())
    assert list(read_lines(stream, "a")) == ["床\r\n", "\ufeff前\n", "last"]


@given(
    st.text(st.characters(exclude_categories=("Cs",))).filter(lambda text: not text.startswith("\ufeff")),
    st.integers(1, 7),
    st.booleans(),
)
def test_chunks_of_any_size_join_to_the_text(text, size, has_mark):
    original, files.CHUNK_BYTES = files.CHUNK_BYTES, size
    try:
        stream = io.BytesIO(text.encode("utf-8-sig" if has_mark else "utf-8"))
        assert "".join(read_chunks(stream, "a")) == text
    finally:
        files.CHUNK_BYTES = original


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(
    ("data", "line", "byte"),
    [
        (b"\xff", 1, 1),
        (b"ab\ncd\xe9f\n", 2, 3),
        ("床前\n床\xa0".encode()[:-1], 2, 4),
        ("\n\n月".encode()[:-1], 3, 1),
        ("月光\nab".encode() + b"\x80", 2, 3),
    ],
)
def test_bytes_that_are_not_utf8_are_found_by_line_and_byte(data, line, byte, size, monkeypatch):
    monkeypatch.setattr(files, "CHUNK_BYTES", size)
    for read in (read_chunks, read_lines):
        with pytest.raises(DataError) as caught:
            list(read(io.BytesIO(data), "a.txt"))
        assert str(caught.value).startswith(f"a.txt:{line}: not UTF-8: byte {byte} of the line is 0x")


@pytest.mark.parametrize(
    ("text", "encoding", "guess"),
    [
        ("床前明月光，疑是地上霜。", "gb18030", "GB18030"),
        ("Text: 你好，世界 (hello)", "gb18030", "GB18030"),
        ("Ein Stück Käse für Jürgen", "cp1252", "CP1252"),
        ("naïve café déjà vu", "cp1252", "CP1252"),
        ("“quoted” – and…", "cp1252", "CP1252"),
    ],
)
def test_the_likely_encoding_is_suggested(text, encoding, guess):
    data = text.encode(encoding)
    assert guess_encoding(data) == guess
    with pytest.raises(DataError, match=f"iconv -f {guess} -t UTF-8 'my file.csv' > NEW_FILE"):
        list(read_lines(io.BytesIO(data), "my file.csv"))


def test_bytes_that_are_no_text_get_no_suggestion():
    assert guess_encoding(b"\x81\xff\x81\xff") is None
    with pytest.raises(DataError, match="is 0x81; save it as UTF-8"):
        list(read_lines(io.BytesIO(b"\x81\xff\x81\xff"), "a.csv"))
