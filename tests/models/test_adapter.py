"""LoRA: what it goes on, what is trained beside it, and what is left after merging."""

import copy
import logging

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from ftkit.errors import ModelError
from ftkit.models import add_adapter, load_model, merge_adapter, save_model
from ftkit.models.adapter import list_targets, list_whole_modules
from ftkit.recipe import AdapterSection

CLASSIFIER = "AutoModelForSequenceClassification"


def load(folder, make_section, auto_class="AutoModelForCausalLM", labels=(), dtype="float32"):
    torch.manual_seed(0)
    return load_model(make_section(folder), auto_class=auto_class, labels=labels, dtype=dtype, task="a task")[
        0
    ]


def fill_adapter(model):
    """Give the second matrices, which start at zero, values that matter."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)


def list_trained(model):
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad]


def compute_logits(model):
    with torch.inference_mode():
        return model(input_ids=torch.arange(5, 25).reshape(2, 10)).logits.float()


def test_all_linear_layers_but_the_output_get_matrices(tiny_llama, make_section, caplog):
    with caplog.at_level(logging.INFO):
        model = add_adapter(load(tiny_llama, make_section), AdapterSection(rank=4), task_type="CAUSAL_LM")
    modules = {name.split(".")[-4] for name in list_trained(model)}
    assert modules == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
    assert len(list_trained(model)) == 2 * 7 * 2
    trained, total = model.get_nb_trainable_parameters()
    assert f"training {trained:,} of {total:,} parameters" in caplog.text


def test_rank_scale_and_dropout_are_those_of_the_recipe(tiny_llama, make_section):
    section = AdapterSection(rank=4, dropout=0.1)
    config = add_adapter(load(tiny_llama, make_section), section, task_type="CAUSAL_LM").peft_config[
        "default"
    ]
    assert (config.r, config.lora_alpha, config.lora_dropout) == (4, 8, 0.1)
    section = AdapterSection(rank=4, alpha=1.0)
    config = add_adapter(load(tiny_llama, make_section), section, task_type="CAUSAL_LM").peft_config[
        "default"
    ]
    assert config.lora_alpha == 1.0


def test_named_targets_are_matched_by_the_end_of_their_names(tiny_llama, make_section):
    section = AdapterSection(targets=["q_proj", "layers.1.mlp.up_proj"])
    model = add_adapter(load(tiny_llama, make_section), section, task_type="CAUSAL_LM")
    places = {
        name.partition(".lora_")[0].partition("base_model.model.model.")[2] for name in list_trained(model)
    }
    assert places == {"layers.0.self_attn.q_proj", "layers.1.self_attn.q_proj", "layers.1.mlp.up_proj"}


def test_the_names_of_another_architecture_take_nothing(tiny_gpt2, make_section):
    with pytest.raises(ModelError, match=r"no layer matches 'query', 'value'.*c_attn, c_fc, c_proj, lm_head"):
        add_adapter(
            load(tiny_gpt2, make_section), AdapterSection(targets=["query", "value"]), task_type="CAUSAL_LM"
        )


def test_one_wrong_target_among_right_ones_is_named_with_the_nearest(tiny_llama, make_section):
    section = AdapterSection(targets=["q_proj", "v_prj"])
    with pytest.raises(ModelError, match=r"no layer matches 'v_prj'; nearest: v_proj"):
        add_adapter(load(tiny_llama, make_section), section, task_type="CAUSAL_LM")


def test_part_of_a_name_is_no_match(tiny_llama, make_section):
    with pytest.raises(ModelError, match="no layer matches 'proj'"):
        add_adapter(load(tiny_llama, make_section), AdapterSection(targets=["proj"]), task_type="CAUSAL_LM")


def test_a_layer_that_cannot_be_adapted_is_no_target(tiny_llama, make_section):
    with pytest.raises(ModelError, match="no layer matches 'input_layernorm'"):
        add_adapter(
            load(tiny_llama, make_section), AdapterSection(targets=["input_layernorm"]), task_type="CAUSAL_LM"
        )


def test_targets_are_listed_once_and_sorted(tiny_gpt2, make_section):
    assert list_targets(load(tiny_gpt2, make_section)) == [
        "c_attn",
        "c_fc",
        "c_proj",
        "lm_head",
        "wpe",
        "wte",
    ]


def test_the_transposed_layers_of_gpt2_are_adapted_without_noise(tiny_gpt2, make_section, caplog, recwarn):
    with caplog.at_level(logging.WARNING):
        model = add_adapter(load(tiny_gpt2, make_section), AdapterSection(), task_type="CAUSAL_LM")
    assert caplog.text == ""
    assert not recwarn.list
    fill_adapter(model)
    with_adapter = compute_logits(model)
    torch.testing.assert_close(compute_logits(merge_adapter(model)), with_adapter, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("target", ["wte", "lm_head"])
def test_a_layer_that_shares_its_weights_is_refused(tiny_gpt2, target, make_section):
    # An adapter on one of them changes both when it is merged, and the model with them.
    with pytest.raises(ModelError, match="transformer.wte and lm_head are one and the same weights"):
        add_adapter(
            load(tiny_gpt2, make_section), AdapterSection(targets=["c_fc", target]), task_type="CAUSAL_LM"
        )


@pytest.mark.parametrize(
    ("model_type", "sizes", "whole"),
    [
        (
            "distilbert",
            {"dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 8},
            ["pre_classifier", "classifier"],
        ),
        ("gpt2", {"n_embd": 8, "n_layer": 1, "n_head": 2, "bos_token_id": 0, "eos_token_id": 0}, ["score"]),
        (
            "t5",
            {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2},
            ["classification_head"],
        ),
    ],
)
def test_the_whole_head_is_trained_and_saved_whatever_it_is_called(model_type, sizes, whole):
    config = AutoConfig.for_model(model_type, vocab_size=20, **sizes)
    model = AutoModelForSequenceClassification.from_config(config)
    assert list_whole_modules(model, "SEQ_CLS", ()) == whole
    head = [name for name, _ in model.named_parameters() if name.split(".")[0] in whole]
    adapted = add_adapter(model, AdapterSection(rank=2), task_type="SEQ_CLS")
    trained = [name for name in list_trained(adapted) if "lora" not in name]
    assert len(trained) == len(head)


def test_a_body_part_that_is_random_is_trained_too(tiny_bert, make_section):
    new = ("bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight")
    model = add_adapter(
        load(tiny_bert, make_section, CLASSIFIER, ["a", "b"]),
        AdapterSection(rank=2),
        task_type="SEQ_CLS",
        new_parameters=new,
    )
    whole = {name.partition(".modules_to_save")[0] for name in list_trained(model) if "lora" not in name}
    assert whole == {"base_model.model.bert.pooler.dense", "base_model.model.classifier"}


def test_a_language_models_head_is_not_trained(tiny_llama, make_section):
    model = add_adapter(load(tiny_llama, make_section), AdapterSection(rank=2), task_type="CAUSAL_LM")
    assert all("lora" in name for name in list_trained(model))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_under_a_short_base_heads_and_adapters_learn_in_float32(tiny_bert, dtype, make_section):
    model = load(tiny_bert, make_section, CLASSIFIER, ["a", "b"], dtype)
    adapted = add_adapter(
        model, AdapterSection(rank=2), task_type="SEQ_CLS", new_parameters=("classifier.weight",)
    )
    assert {parameter.dtype for parameter in adapted.parameters() if parameter.requires_grad} == {
        torch.float32
    }
    logits = adapted(input_ids=torch.tensor([[2, 120, 3]])).logits
    logits.sum().backward()
    assert logits.dtype == torch.float32
    assert all(p.grad is not None for p in adapted.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("model", "auto_class", "labels", "task_type"),
    [
        ("tiny_llama", "AutoModelForCausalLM", (), "CAUSAL_LM"),
        ("tiny_bert", CLASSIFIER, ("a", "b", "c"), "SEQ_CLS"),
    ],
)
def test_a_merged_adapter_is_a_plain_model_with_the_same_logits(
    model, auto_class, labels, task_type, make_section, request, tmp_path
):
    import transformers

    folder = request.getfixturevalue(model)
    base = load(folder, make_section, auto_class, labels)
    before = compute_logits(base)
    adapted = add_adapter(base, AdapterSection(rank=4), task_type=task_type).eval()
    torch.testing.assert_close(compute_logits(adapted), before)
    fill_adapter(adapted)
    with_adapter = compute_logits(adapted)
    assert (with_adapter - before).abs().max() > 1e-3, "the adapter must matter, or this proves nothing"
    merged = merge_adapter(adapted)
    # The same sums in another order, in float32.
    torch.testing.assert_close(compute_logits(merged), with_adapter, atol=1e-5, rtol=1e-5)
    save_model(merged, transformers.AutoTokenizer.from_pretrained(folder), tmp_path / "merged")
    saved = getattr(transformers, auto_class).from_pretrained(tmp_path / "merged")
    assert torch.equal(compute_logits(saved), compute_logits(merged))


def test_a_merged_model_is_of_one_type_and_keeps_no_trace(tiny_bert, make_section):
    base = load(tiny_bert, make_section, CLASSIFIER, ["a", "b"], "bfloat16")
    plain = copy.deepcopy(base)
    merged = merge_adapter(add_adapter(base, AdapterSection(rank=2), task_type="SEQ_CLS"))
    assert {parameter.dtype for parameter in merged.parameters()} == {torch.bfloat16}
    assert type(merged) is type(plain)
    assert [name for name, _ in merged.named_parameters()] == [name for name, _ in plain.named_parameters()]
    assert not hasattr(merged, "peft_config")
    torch.testing.assert_close(compute_logits(merged), compute_logits(plain))


def test_weights_that_are_not_finite_are_not_merged(tiny_llama, make_section):
    model = add_adapter(load(tiny_llama, make_section), AdapterSection(rank=2), task_type="CAUSAL_LM")
    with torch.no_grad():
        next(p for name, p in model.named_parameters() if "lora_B" in name).fill_(float("nan"))
    with pytest.raises(ModelError, match=r"cannot be merged.*lower training.learning_rate"):
        merge_adapter(model)
