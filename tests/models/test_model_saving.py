"""Saved models are plain folders, whole or absent."""

import logging
import os
import stat
import sys

import pytest
import torch
import transformers

from ftkit.errors import ModelError, RunError
from ftkit.models import add_adapter, load_model, load_tokenizer, save_model
from ftkit.recipe import AdapterSection


@pytest.fixture
def pair(tiny_llama, make_section):
    section = make_section(tiny_llama)
    arguments = {"auto_class": "AutoModelForCausalLM", "labels": None, "dtype": "bfloat16", "task": "chat"}
    return load_model(section, **arguments)[0], load_tokenizer(section)


def test_transformers_alone_loads_what_was_saved(pair, tmp_path):
    model, tokenizer = pair
    save_model(model, tokenizer, tmp_path / "deep" / "model")
    saved = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "deep" / "model")
    assert saved.dtype == torch.bfloat16
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, saved.state_dict()[name]), name
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "deep" / "model")
    turns = [{"role": "user", "content": "你好"}]
    assert again.apply_chat_template(turns) == tokenizer.apply_chat_template(turns)


def test_nothing_of_this_machine_is_in_the_saved_files(pair, tiny_llama, tmp_path):
    save_model(*pair, tmp_path / "model")
    texts = [path.read_text() for path in (tmp_path / "model").glob("*.json")]
    assert not any(str(tiny_llama.parent) in text for text in texts)


def test_an_older_model_is_replaced(pair, tmp_path):
    save_model(*pair, tmp_path / "model")
    (tmp_path / "model" / "leftover").write_text("")
    save_model(*pair, tmp_path / "model")
    assert not (tmp_path / "model" / "leftover").exists()
    assert os.listdir(tmp_path) == ["model"]


def test_a_folder_with_something_else_is_not_replaced(pair, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="something else than a model"):
        save_model(*pair, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_an_empty_folder_is_filled(pair, tmp_path):
    (tmp_path / "model").mkdir()
    save_model(*pair, tmp_path / "model")
    assert (tmp_path / "model" / "config.json").is_file()


def test_a_failure_half_way_leaves_no_folder(pair, tmp_path, monkeypatch):
    model, tokenizer = pair

    def fail(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tokenizer, "save_pretrained", fail)
    with pytest.raises(RunError, match="No space left on device; free space"):
        save_model(model, tokenizer, tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_an_adapter_is_not_saved_as_a_model(pair, tmp_path):
    model, tokenizer = pair
    adapted = add_adapter(model, AdapterSection(), task_type="CAUSAL_LM")
    with pytest.raises(ModelError, match="merge the adapter first"):
        save_model(adapted, tokenizer, tmp_path / "model")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes")
def test_colleagues_can_read_the_weights(pair, tmp_path):
    save_model(*pair, tmp_path / "model")
    (tmp_path / "usual").write_text("")
    usual = stat.S_IMODE((tmp_path / "usual").stat().st_mode)
    assert stat.S_IMODE((tmp_path / "model" / "model.safetensors").stat().st_mode) == usual


def test_contradicting_generation_settings_are_dropped_when_loaded(
    llama_copy, edit_json, make_section, tmp_path, caplog
):
    edit_json(llama_copy / "generation_config.json", temperature=0.6, top_p=0.9)
    section = make_section(llama_copy)
    with caplog.at_level(logging.WARNING):
        model, _ = load_model(
            section, auto_class="AutoModelForCausalLM", labels=None, dtype="float32", task="chat"
        )
    assert (
        "dropped generation settings that have no effect: {'temperature': 0.6, 'top_p': 0.9}" in caplog.text
    )
    save_model(model, load_tokenizer(section), tmp_path / "model")
    saved = transformers.GenerationConfig.from_pretrained(tmp_path / "model")
    assert saved.eos_token_id == model.generation_config.eos_token_id


def test_contradictions_made_later_do_not_stop_the_saving(pair, tmp_path):
    model, tokenizer = pair
    model.generation_config.top_k = 7
    save_model(model, tokenizer, tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_settings_beyond_repair_are_replaced_by_the_models_own(pair, tmp_path, caplog):
    model, tokenizer = pair
    model.generation_config.num_return_sequences = 3  # of greedy search, which has only one
    with caplog.at_level(logging.WARNING):
        save_model(model, tokenizer, tmp_path / "model")
    assert "dropped its generation settings; Greedy methods" in caplog.text
    saved = transformers.GenerationConfig.from_pretrained(tmp_path / "model")
    assert saved.eos_token_id == model.config.eos_token_id


def test_settings_of_sampling_are_kept_where_they_have_an_effect(pair, tmp_path):
    model, tokenizer = pair
    model.generation_config.update(do_sample=True, temperature=0.6)
    save_model(model, tokenizer, tmp_path / "model")
    assert transformers.GenerationConfig.from_pretrained(tmp_path / "model").temperature == 0.6
