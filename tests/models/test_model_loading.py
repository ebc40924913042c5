"""Models with the head that a task needs."""

import logging
import shutil

import pytest
import torch

from ftkit.errors import DeviceMemoryError, MissingDependencyError, ModelError
from ftkit.models import load_model
from ftkit.models.loading import load_with_head, translate_error

CLASSIFIER = "AutoModelForSequenceClassification"


def load(section, auto_class=CLASSIFIER, labels=("ham", "spam"), dtype="float32", task="text-classification"):
    torch.manual_seed(0)
    return load_with_head(section, auto_class=auto_class, labels=labels, dtype=dtype, task=task)


@pytest.fixture
def classifier(tiny_bert, tmp_path, make_section):
    """A folder with a trained head for the labels a, b, c, in that order."""
    model = load(make_section(tiny_bert), labels=("a", "b", "c")).model
    model.save_pretrained(tmp_path / "classifier")
    shutil.copy(tiny_bert / "tokenizer.json", tmp_path / "classifier")
    return tmp_path / "classifier"


def test_weights_come_from_the_checkpoint_in_the_asked_type(tiny_llama, make_section):
    from safetensors.torch import load_file

    model, head_is_new = load_model(
        make_section(tiny_llama),
        auto_class="AutoModelForCausalLM",
        labels=None,
        dtype="bfloat16",
        task="chat",
    )
    saved = load_file(tiny_llama / "model.safetensors")
    assert not head_is_new
    assert not model.training
    for name, weight in model.state_dict().items():
        if name in saved:
            assert torch.equal(weight, saved[name].bfloat16()), name


def test_a_type_may_be_given_as_torch_names_it(tiny_llama, make_section):
    model, _ = load_model(
        make_section(tiny_llama),
        auto_class="AutoModelForCausalLM",
        labels=None,
        dtype=torch.float16,
        task="chat",
    )
    assert model.dtype == torch.float16


def test_a_head_that_the_checkpoint_lacks_is_new_and_named(tiny_bert, make_section, caplog):
    with caplog.at_level(logging.INFO):
        loaded = load(make_section(tiny_bert))
    assert loaded.head_is_new
    assert loaded.new_parameters == (
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
        "classifier.weight",
        "classifier.bias",
    )
    assert "no head for text-classification; starting with a random one: classifier.weight" in caplog.text
    assert "lacks parameters of its architecture; starting random: bert.pooler.dense.weight" in caplog.text
    assert loaded.model.config.id2label == {0: "ham", 1: "spam"}
    assert loaded.model.config.label2id == {"ham": 0, "spam": 1}


def test_a_new_head_follows_the_seed(tiny_bert, make_section):
    heads = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        arguments = {"auto_class": CLASSIFIER, "labels": ["a", "b"], "dtype": "float32", "task": "x"}
        heads.append(load_model(make_section(tiny_bert), **arguments)[0].classifier.weight)
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_a_head_for_the_same_labels_is_kept_in_its_own_order(classifier, make_section, caplog):
    from safetensors.torch import load_file

    with caplog.at_level(logging.INFO):
        loaded = load(make_section(classifier), labels=("c", "a", "b"))
    assert loaded.labels == ("a", "b", "c")
    assert loaded.model.config.label2id == {"a": 0, "b": 1, "c": 2}
    assert not loaded.head_is_new
    assert not loaded.new_parameters
    saved = load_file(classifier / "model.safetensors")
    assert torch.equal(loaded.model.classifier.weight, saved["classifier.weight"])
    assert "its head knows these labels; kept, in its order: a, b, c" in caplog.text


@pytest.mark.parametrize("labels", [("x", "y", "z"), ("x", "y"), ("a", "b", "c", "d")])
def test_a_head_for_other_labels_is_started_anew_whatever_its_size(classifier, labels, make_section, caplog):
    from safetensors.torch import load_file

    with caplog.at_level(logging.INFO):
        loaded = load(make_section(classifier), labels=labels)
    saved = load_file(classifier / "model.safetensors")
    head = loaded.model.classifier.weight
    assert loaded.labels == labels
    assert loaded.head_is_new
    assert loaded.new_parameters == ("classifier.weight", "classifier.bias")
    assert head.shape == (len(labels), 16)
    assert not torch.isin(head, saved["classifier.weight"]).any()
    assert 0.005 < head.std() < 0.05, "drawn as the architecture initialises, standard deviation 0.02"
    assert torch.equal(loaded.model.bert.pooler.dense.weight, saved["bert.pooler.dense.weight"])
    assert caplog.text.count("its head was trained for other labels (a, b, c); starting a new one") == 1


def test_a_masked_language_models_own_head_is_kept(tiny_bert, make_section):
    loaded = load(make_section(tiny_bert), "AutoModelForMaskedLM", labels=(), task="masked-lm")
    assert not loaded.head_is_new
    assert not loaded.new_parameters


def test_a_decoder_gets_a_classification_head(tiny_llama, make_section):
    loaded = load(make_section(tiny_llama))
    assert loaded.new_parameters == ("score.weight",)
    assert loaded.head_is_new


def test_the_wrong_architecture_is_refused_before_the_weights_are_read(llama_copy, make_section):
    (llama_copy / "model.safetensors").write_bytes(b"never read")
    with pytest.raises(ModelError, match="a 'llama' model cannot do masked-lm; it can do causal-lm, chat"):
        load(make_section(llama_copy), "AutoModelForMaskedLM", labels=(), task="masked-lm")


def test_random_weights_from_sizes(tiny_llama, make_section):
    sizes = {"model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    section = make_section(None, config=sizes | {"intermediate_size": 8}, tokenizer=str(tiny_llama))
    loaded = load(section, "AutoModelForCausalLM", labels=(), dtype="bfloat16", task="causal-lm")
    assert loaded.model.config.hidden_size == 8
    assert loaded.model.dtype == torch.bfloat16
    assert loaded.head_is_new
    assert len(loaded.new_parameters) == len(list(loaded.model.named_parameters()))
    assert loaded.folder is None
    again = load(section, "AutoModelForCausalLM", labels=(), dtype="bfloat16", task="causal-lm")
    assert torch.equal(loaded.model.lm_head.weight, again.model.lm_head.weight)


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty"])
def test_a_damaged_weight_file_is_named(bert_copy, damage, make_section):
    path = bert_copy / "model.safetensors"
    content = {"truncated": path.read_bytes()[:-100], "garbage": b"hello " * 99, "empty": b""}[damage]
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model.safetensors is damaged; .*fetch the checkpoint again"):
        load(make_section(bert_copy))


def test_weights_of_other_sizes_than_the_config_says_are_refused(bert_copy, edit_json, make_section):
    edit_json(bert_copy / "config.json", intermediate_size=48)
    with pytest.raises(ModelError, match=r"do not fit config.json; bert.encoder.* shape \(.*32.*48"):
        load(make_section(bert_copy))


def test_weights_of_another_architecture_are_refused(tiny_llama, bert_copy, make_section):
    shutil.copy(tiny_llama / "model.safetensors", bert_copy)
    with pytest.raises(ModelError, match="weights do not belong to this architecture"):
        load(make_section(bert_copy))


@pytest.mark.parametrize("version", [2, 3])
def test_attention_that_is_not_installed_says_what_to_install(tiny_llama, version, make_section):
    section = make_section(tiny_llama, attn_implementation=f"flash_attention_{version}")
    with pytest.raises(MissingDependencyError, match="pip install flash-attn.*or set it to sdpa"):
        load(section, "AutoModelForCausalLM", labels=(), task="chat")


@pytest.mark.parametrize("name", ["eager", "sdpa"])
def test_the_chosen_attention_is_used(tiny_llama, name, make_section):
    section = make_section(tiny_llama, attn_implementation=name)
    model = load(section, "AutoModelForCausalLM", labels=(), task="chat").model
    assert model.config._attn_implementation == name


def test_pickled_weights_load_when_the_recipe_allows_it(bert_copy, make_section):
    from safetensors.torch import load_file

    weights = load_file(bert_copy / "model.safetensors")
    torch.save(weights, bert_copy / "pytorch_model.bin")
    (bert_copy / "model.safetensors").unlink()
    model = load(make_section(bert_copy, allow_pickle=True), "AutoModelForMaskedLM", labels=()).model
    name = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(model.state_dict()[name], weights[name])


def test_loading_says_nothing_but_ftkits_own_lines(tiny_bert, make_section, capfd):
    load(make_section(tiny_bert))
    capture = capfd.readouterr()
    assert (capture.out, capture.err) == ("", "")


@pytest.mark.parametrize(
    ("error", "kind", "complaint"),
    [
        (MemoryError(), DeviceMemoryError, "set model.dtype: bfloat16"),
        (RuntimeError("CUDA out of memory. Tried"), DeviceMemoryError, "smaller base"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), DeviceMemoryError, "smaller"),
        (ImportError("needs `sentencepiece`\nmore"), MissingDependencyError, "needs `sentencepiece`$"),
        (ValueError("X does not support an attention"), ModelError, "set it to auto"),
        (KeyError("odd"), ModelError, "transformers cannot load this checkpoint; KeyError: 'odd'"),
        (ModelError("ours"), ModelError, "^ours$"),
    ],
)
def test_what_the_library_raises_becomes_an_error_for_people(error, kind, complaint):
    translated = translate_error(error, "org/name", "auto")
    assert type(translated) is kind
    with pytest.raises(kind, match=complaint):
        raise translated


def test_the_body_of_a_llama_is_loaded_for_question_answering_and_saved_as_transformers_reads_it(
    tiny_llama, make_section, tmp_path
):
    import transformers
    from safetensors.torch import load_file

    arguments = {"auto_class": "AutoModelForQuestionAnswering", "labels": (), "task": "question-answering"}
    loaded = load(make_section(tiny_llama), **arguments)
    assert loaded.new_parameters == ("qa_outputs.weight", "qa_outputs.bias")
    saved, found = load_file(tiny_llama / "model.safetensors"), loaded.model.state_dict()
    for name, weight in saved.items():
        if name.startswith("model."):
            assert torch.equal(found[name.replace("model.", "transformer.", 1)], weight), name

    loaded.model.save_pretrained(tmp_path / "answers")
    plain, info = transformers.AutoModelForQuestionAnswering.from_pretrained(
        tmp_path / "answers", output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    for name, weight in plain.state_dict().items():
        assert torch.equal(weight, found[name]), name
    assert load(make_section(tmp_path / "answers"), **arguments).new_parameters == ()
