"""Heads: which labels they know, and which parameters depend on them."""

import pytest
import torch
import transformers
from transformers import AutoConfig, AutoModelForSequenceClassification

from ftkit.models.head import (
    has_head,
    list_head_parameters,
    list_label_parameters,
    map_body,
    match_labels,
    reinitialise,
    set_labels,
)

CLASSIFIER = "AutoModelForSequenceClassification"
SIZES = {
    "bert": {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8},
    "roberta": {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8},
    "distilbert": {"dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 8},
    "gpt2": {"n_embd": 8, "n_layer": 1, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0},
    "t5": {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2},
}
HEADS = {
    "bert": ["classifier.weight", "classifier.bias"],
    "roberta": ["classifier.out_proj.weight", "classifier.out_proj.bias"],
    "distilbert": ["classifier.weight", "classifier.bias"],
    "gpt2": ["score.weight"],
    "t5": ["classification_head.out_proj.weight", "classification_head.out_proj.bias"],
}


def make(model_type, names=("a", "b")):
    config = AutoConfig.for_model(model_type, vocab_size=20, **SIZES[model_type])
    set_labels(config, names)
    return AutoModelForSequenceClassification.from_config(config)


@pytest.mark.parametrize("model_type", SIZES)
def test_the_parameters_that_depend_on_the_labels_are_the_last_layer(model_type):
    assert list_label_parameters(make(model_type), CLASSIFIER) == HEADS[model_type]


@pytest.mark.parametrize("model_type", SIZES)
def test_the_head_is_what_is_not_the_body(model_type):
    model = make(model_type)
    head = list_head_parameters(model, [name for name, _ in model.named_parameters()])
    assert set(HEADS[model_type]) <= set(head)
    body = {id(parameter) for parameter in model.base_model.parameters()}
    assert all(id(model.get_parameter(name)) not in body for name in head)


def test_a_body_alone_has_no_head():
    model = transformers.AutoModel.from_config(AutoConfig.for_model("bert", vocab_size=20, **SIZES["bert"]))
    assert list_head_parameters(model, [name for name, _ in model.named_parameters()]) == []


def test_reinitialising_changes_these_parameters_and_no_others():
    model = make("roberta")
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    with torch.no_grad():
        model.classifier.out_proj.bias.fill_(3)
    reinitialise(model, HEADS["roberta"])
    changed = [
        name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])
    ]
    assert changed == ["classifier.out_proj.weight"]
    assert not model.classifier.out_proj.bias.any(), "biases start at zero"


def make_config(names, architecture="BertForSequenceClassification"):
    config = AutoConfig.for_model("bert", architectures=[architecture])
    set_labels(config, names)
    return config


def test_the_same_labels_in_another_order_keep_the_heads_order():
    matched = match_labels(make_config(["spam", "ham"]), CLASSIFIER, ["ham", "spam"])
    assert (matched.names, matched.keeps_head) == (("spam", "ham"), True)


@pytest.mark.parametrize("labels", [["ham", "junk"], ["ham"], ["ham", "spam", "junk"]])
def test_other_labels_do_not_keep_the_head(labels):
    matched = match_labels(make_config(["spam", "ham"]), CLASSIFIER, labels)
    assert (matched.names, matched.keeps_head, matched.old_names) == (tuple(labels), False, ("spam", "ham"))


def test_names_without_a_head_of_that_kind_do_not_count():
    config = make_config(["spam", "ham"], architecture="BertForMaskedLM")
    assert match_labels(config, CLASSIFIER, ["ham", "spam"]).names == ("ham", "spam")
    assert match_labels(config, CLASSIFIER, ["ham", "spam"]).old_names == ()
    assert not has_head(config, CLASSIFIER)


def test_a_task_without_labels_matches_nothing():
    matched = match_labels(make_config(["spam", "ham"]), CLASSIFIER, [])
    assert (matched.names, matched.old_names, matched.keeps_head) == ((), (), False)


def test_chinese_labels_are_labels():
    matched = match_labels(make_config(["垃圾", "正常"]), CLASSIFIER, ["正常", "垃圾"])
    assert matched.names == ("垃圾", "正常")


@pytest.mark.parametrize(
    ("model_type", "renamed"),
    [("llama", True), ("qwen2", True), ("qwen3", True), ("gpt2", False), ("bert", False), ("t5", False)],
)
def test_a_body_is_renamed_for_question_answering_where_its_class_calls_it_otherwise(model_type, renamed):
    config = AutoConfig.for_model(model_type)
    expected = {r"^model\.": "transformer."} if renamed else None
    assert map_body(config, "AutoModelForQuestionAnswering") == expected
    assert map_body(config, CLASSIFIER) is None
    config.architectures = [transformers.AutoModelForQuestionAnswering._model_mapping[type(config)].__name__]
    assert map_body(config, "AutoModelForQuestionAnswering") is None  # saved under the names that it reads
