"""What a source names."""

import pytest

from ftkit.errors import SourceError
from ftkit.sources import locate


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("train.jsonl", "test.jsonl", "诗.txt"):
        (tmp_path / "data" / name).write_text("{}")
    return tmp_path


def test_a_relative_path_is_relative_to_the_given_folder(folder):
    location = locate("data/train.jsonl", folder=folder)
    assert (location.kind, location.path) == ("path", folder / "data/train.jsonl")


def test_a_folder_and_an_absolute_path_are_paths(folder):
    assert locate("data", folder=folder).path == folder / "data"
    assert locate(str(folder / "data/诗.txt")).path == folder / "data/诗.txt"
    assert locate((folder / "data/诗.txt").as_uri()).path == folder / "data/诗.txt"


def test_a_glob_gives_all_its_files_in_order(folder):
    location = locate("data/*.jsonl", folder=folder)
    assert location.paths == (folder / "data/test.jsonl", folder / "data/train.jsonl")
    assert location.path is None


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(folder):
    (folder / "data" / "a[1].txt").write_text("")
    assert locate("data/a[1].txt", folder=folder).path == folder / "data/a[1].txt"


def test_a_pattern_works_in_a_folder_whose_name_looks_like_one(tmp_path):
    (tmp_path / "run[1]").mkdir()
    (tmp_path / "run[1]" / "a.txt").write_text("")
    assert locate("*.txt", folder=tmp_path / "run[1]").path == tmp_path / "run[1]" / "a.txt"


def test_a_recursive_glob_descends(folder):
    assert len(locate("**/*.txt", folder=folder).paths) == 1


@pytest.mark.parametrize("spec", ["gpt2", "org/name", "HuggingFaceTB/SmolLM2-135M-Instruct", "hf://org/name"])
def test_a_name_that_is_no_path_is_a_hub_id(spec, folder):
    location = locate(spec, folder=folder)
    assert (location.kind, location.repo_id) == ("hub", spec.removeprefix("hf://"))


def test_a_hub_id_may_have_options(folder):
    location = locate("org/name?config=zh&split=train&revision=v1.0", folder=folder)
    assert location.repo_id == "org/name"
    assert location.options == {"config": "zh", "split": "train", "revision": "v1.0"}


def test_a_gguf_file_of_a_repository_is_named_behind_its_id(folder):
    location = locate("org/name/sub/model-Q4.gguf", folder=folder)
    assert (location.repo_id, location.path_in_repo) == ("org/name", "sub/model-Q4.gguf")


@pytest.mark.parametrize("spec", ["s3://bucket/x.jsonl", "https://a.b/c.csv", "hf://datasets/a/b/c.jsonl"])
def test_an_address_is_left_to_fsspec(spec):
    assert locate(spec).kind == "remote"


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("data/trian.jsonl", r"the folder .*data has train.jsonl, test.jsonl; check the name$"),
        ("data/trian", r"has train.jsonl.*or write hf://data/trian if you mean the hub"),
        ("./dato", r"has data/; check the name$"),
        ("dato/x/train.jsonl", r"has data/"),
        ("data/models/x.gguf", r"has "),
        ("model.gguf", r"has data/"),
        ("data/*.csv", r"no file matches; the folder .*data has "),
        ("da?a/none/*.csv", r"no file matches"),
        ("", "name is empty"),
        ("~/no-such-folder-of-mine/x", "no such file"),
        ("a b c", "no such file"),
    ],
)
def test_what_does_not_exist_is_an_error_that_names_what_is_near(spec, complaint, folder):
    with pytest.raises(SourceError, match=complaint):
        locate(spec, folder=folder)


def test_a_folder_without_anything_is_said_to_be_empty(tmp_path):
    with pytest.raises(SourceError, match="is empty"):
        locate("x.csv", folder=tmp_path)
