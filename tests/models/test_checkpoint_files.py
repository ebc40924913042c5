"""What is refused before a library reads it, and what is fetched from the hub."""

import hashlib
import json
import pickle
from pathlib import Path

import pytest

from ftkit.errors import ModelError, SourceError
from ftkit.models.checkpoint_files import check_config, choose_files, fetch_checkpoint, fetch_tokenizer_files

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def put_in_hub_cache(folder: Path, repo_id: str, hub_cache: Path) -> Path:
    """Lay out a folder's files as the hub's library caches them."""
    repo = hub_cache / f"models--{repo_id.replace('/', '--')}"
    for part in ("refs", "blobs", f"snapshots/{COMMIT}"):
        (repo / part).mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    for path in folder.iterdir():
        blob = repo / "blobs" / hashlib.sha1(path.read_bytes()).hexdigest()
        blob.write_bytes(path.read_bytes())
        (repo / "snapshots" / COMMIT / path.name).symlink_to(blob)
    return repo / "snapshots" / COMMIT


def test_a_folder_is_used_as_it_is(tiny_bert, make_section):
    assert fetch_checkpoint(make_section(tiny_bert)) == tiny_bert


def test_a_cached_hub_model_is_found_offline(tiny_bert, hub_cache, make_section):
    snapshot = put_in_hub_cache(tiny_bert, "org/tiny-bert", hub_cache)
    assert fetch_checkpoint(make_section("org/tiny-bert")) == snapshot
    assert fetch_checkpoint(make_section("org/tiny-bert", revision=COMMIT)) == snapshot
    assert fetch_tokenizer_files(make_section("org/tiny-bert")) == snapshot


def test_the_revision_of_the_base_is_not_that_of_another_tokenizer(tiny_bert, hub_cache, make_section):
    put_in_hub_cache(tiny_bert, "org/base", hub_cache)
    snapshot = put_in_hub_cache(tiny_bert, "org/words", hub_cache)
    section = make_section("org/base", revision="v2", tokenizer="org/words")
    assert fetch_tokenizer_files(section) == snapshot
    with pytest.raises(SourceError, match="no copy at revision 'v2'"):
        fetch_tokenizer_files(make_section("org/base", revision="v2"))


def test_a_hub_model_that_is_not_cached_says_what_is(tiny_bert, hub_cache, make_section):
    put_in_hub_cache(tiny_bert, "org/tiny-bert", hub_cache)
    with pytest.raises(SourceError, match=r"org/other: .*switched off.*cached: org/tiny-bert"):
        fetch_checkpoint(make_section("org/other"))


def test_a_gguf_file_that_a_repository_lacks_names_those_it_has(tiny_bert, hub_cache, tmp_path, make_section):
    folder = tmp_path / "quantised"
    folder.mkdir()
    (folder / "tiny-Q4_0.gguf").write_bytes(b"")
    put_in_hub_cache(folder, "org/quantised", hub_cache)
    with pytest.raises(ModelError, match=r"no such file; GGUF files: tiny-Q4_0.gguf"):
        fetch_checkpoint(make_section("org/quantised/tiny-Q8_0.gguf"))
    with pytest.raises(ModelError, match="name one of them: org/quantised/tiny-Q4_0.gguf"):
        fetch_checkpoint(make_section("org/quantised"))


NAMES = [
    "config.json",
    "tokenizer.json",
    "chat_template.jinja",
    "README.md",
    "modeling_own.py",
    "model-00001-of-00002.safetensors",
    "model-00002-of-00002.safetensors",
    "consolidated.safetensors",
    "pytorch_model.bin",
    "onnx/model.onnx",
    "onnx/config.json",
    "tf_model.h5",
]
SMALL = ["config.json", "tokenizer.json", "chat_template.jinja"]
SAFE = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


def test_of_a_repository_only_what_is_read_is_downloaded():
    assert choose_files(NAMES, weights=True, allow_pickle=True, code=False) == SMALL + SAFE
    assert choose_files(NAMES, weights=False, allow_pickle=False, code=False) == SMALL
    assert choose_files(NAMES, weights=False, allow_pickle=False, code=True) == [*SMALL, "modeling_own.py"]


def test_pickled_weights_are_downloaded_only_when_allowed_and_alone():
    names = ["config.json", "pytorch_model.bin"]
    assert choose_files(names, weights=True, allow_pickle=False, code=False) == ["config.json"]
    assert choose_files(names, weights=True, allow_pickle=True, code=False) == names


def test_a_folder_without_config_is_no_checkpoint(tmp_path, make_section):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ModelError, match=r"no config.json; found notes.txt; name the model's folder"):
        fetch_checkpoint(make_section(tmp_path))


def test_a_folder_of_gguf_files_asks_for_one_of_them(tmp_path, make_section):
    (tmp_path / "a-Q4_0.gguf").write_bytes(b"")
    with pytest.raises(ModelError, match=r"name one of them: .*/a-Q4_0.gguf"):
        fetch_checkpoint(make_section(tmp_path))


def test_an_adapter_is_not_taken_for_a_model(bert_copy, make_section):
    (bert_copy / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="this is an adapter, not a model"):
        fetch_checkpoint(make_section(bert_copy))


def test_pickled_weights_are_refused_and_not_opened(bert_copy, tmp_path, make_section):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    (bert_copy / "model.safetensors").unlink()
    (bert_copy / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ModelError, match=r"pickled.*pytorch_model.bin.*set model.allow_pickle: true"):
        fetch_checkpoint(make_section(bert_copy))
    assert not (tmp_path / "exploded").exists()


def test_a_folder_without_weights_is_an_error(bert_copy, make_section):
    (bert_copy / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"no weights: no model.safetensors; found config.json"):
        fetch_checkpoint(make_section(bert_copy))


def test_missing_shards_are_counted(bert_copy, make_section):
    (bert_copy / "model.safetensors").rename(bert_copy / "model-00001-of-00003.safetensors")
    weight_map = {name: f"model-0000{number}-of-00003.safetensors" for number, name in enumerate("abc", 1)}
    (bert_copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    with pytest.raises(ModelError, match=r"2 of 3 weight files are missing; model-00002-of-00003"):
        fetch_checkpoint(make_section(bert_copy))


@pytest.mark.parametrize("content", ["{", "[]", '"text"'])
def test_a_broken_config_is_an_error(content, bert_copy, make_section):
    (bert_copy / "config.json").write_text(content)
    with pytest.raises(ModelError, match=r"config.json (cannot be read|is not a JSON object)"):
        fetch_checkpoint(make_section(bert_copy))


def test_an_unknown_architecture_names_the_nearest_and_the_version(bert_copy, edit_json, make_section):
    edit_json(bert_copy / "config.json", model_type="brt")
    with pytest.raises(ModelError, match=r"transformers \d.* does not know the model_type 'brt'.*bert"):
        fetch_checkpoint(make_section(bert_copy))


def test_code_of_a_checkpoint_runs_only_when_the_recipe_says_so(tmp_path):
    config = {"model_type": "mine", "auto_map": {"AutoConfig": "configuration.Mine"}}
    with pytest.raises(ModelError, match="set model.trust_remote_code: true"):
        check_config("x", config, trusts_code=False)
    check_config("x", config, trusts_code=True)
    check_config("x", config | {"model_type": "llama"}, trusts_code=False)


def test_a_file_that_is_no_gguf_asks_for_its_folder(tiny_bert, make_section):
    with pytest.raises(ModelError, match=rf"a file; .*name that: {tiny_bert}"):
        fetch_checkpoint(make_section(tiny_bert / "config.json"))


def test_an_address_and_a_glob_are_no_models(tiny_bert, make_section):
    with pytest.raises(ModelError, match="not read from an address"):
        fetch_checkpoint(make_section("s3://bucket/model"))
    with pytest.raises(ModelError, match=r"matches \d paths; name one model"):
        fetch_checkpoint(make_section(tiny_bert / "*"))


def test_a_folder_of_models_names_them(llama_copy, make_section):
    with pytest.raises(
        ModelError, match="not a checkpoint but a folder that has some: llama; name one of them"
    ):
        fetch_checkpoint(make_section(llama_copy.parent))
