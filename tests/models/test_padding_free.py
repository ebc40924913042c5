"""Rows one behind the other have the hidden states, losses and gradients that they have alone."""

import pytest
import torch
import transformers

from ftkit.models import add_adapter
from ftkit.models.padding_free import attend, can_do_without_padding, find_body, without_padding
from ftkit.recipe import AdapterSection

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 40,
    "vocab_size": 120,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
CAN = {
    "llama": {},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "resid_pdrop": 0, "embd_pdrop": 0, "attn_pdrop": 0},
    "mixtral": {"num_local_experts": 2},
    "qwen3": {"head_dim": 8},
    "bert": {},
    "roberta": {},  # its positions begin behind the padding token's id
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 40, "dropout": 0.0},
}
CANNOT = {
    "gemma2": {"head_dim": 8},  # caps its scores
    "bloom": {},  # biases by position
    "albert": {"embedding_size": 16},  # a pooler of another kind
    "falcon": {},  # its own attention
    "t5": {"d_model": 32, "num_layers": 1, "num_heads": 2, "d_kv": 8},
}


def make_model(name, auto_class="AutoModel", **options):
    torch.manual_seed(0)
    sizes = CAN.get(name, CANNOT.get(name))
    config = transformers.AutoConfig.for_model(name, **{**SIZES, **sizes, **options})
    return getattr(transformers, auto_class).from_config(config).eval()


def make_batch():
    ids = torch.randint(3, 120, (4, 13), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    mask[0, 9:] = mask[1, 1:] = mask[3, 12:] = 0
    return {"input_ids": ids * mask + (1 - mask), "attention_mask": mask}


@pytest.mark.parametrize("name", CAN)
def test_hidden_states_are_those_of_each_row_alone(name):
    model, batch = make_model(name), make_batch()
    assert can_do_without_padding(model, 13)
    with torch.no_grad(), without_padding(model):
        hidden = model(**batch)[0]
    assert hidden.shape == (4, 13, 32)
    for row, length in enumerate(batch["attention_mask"].sum(1).tolist()):
        with torch.no_grad():
            alone = model(input_ids=batch["input_ids"][row : row + 1, :length])[0][0]
        torch.testing.assert_close(hidden[row, :length], alone, rtol=1e-5, atol=1e-5)  # float32
        assert not hidden[row, length:].any()


@pytest.mark.parametrize("name", CANNOT)
def test_where_it_would_not_be_the_same_padding_stays(name):
    assert not can_do_without_padding(make_model(name), 13)


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta"])
def test_a_classifier_above_the_body_notices_nothing(name):
    model, batch = make_model(name, "AutoModelForSequenceClassification", num_labels=3), make_batch()
    gradients, shapes = [], []
    layer = next(part for part in model.modules() if isinstance(part, torch.nn.LayerNorm))
    layer.register_forward_hook(lambda _, inputs, output: shapes.append(tuple(output.shape)))
    for packed in (False, True):
        model.zero_grad()
        if packed:
            assert can_do_without_padding(model, 13)
            with without_padding(model):
                logits = model(**batch).logits
                logits.square().sum().backward()
            assert shapes[-1] == (1, 13 + 9 + 1 + 12, 32)
        else:
            padded = model(**batch).logits
            padded.square().sum().backward()
        gradients.append({key: each.grad for key, each in model.named_parameters() if each.grad is not None})
    torch.testing.assert_close(logits, padded, rtol=1e-4, atol=1e-5)
    assert gradients[0].keys() == gradients[1].keys()
    for key, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], gradient, rtol=1e-3, atol=1e-5)


def test_recomputed_layers_see_the_same_rows():
    model, batch = make_model("llama", "AutoModelForCausalLM"), make_batch()
    gradients = []
    for checkpointing in (False, True):
        model.train()
        model.zero_grad()
        if checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": False})
        with without_padding(model):
            logits = model(**batch, use_cache=False).logits
            logits[batch["attention_mask"].bool()].square().sum().backward()
        gradients.append([each.grad.clone() for each in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_a_window_shorter_than_the_rows_keeps_the_padding():
    model = make_model("qwen3", use_sliding_window=True, sliding_window=8)
    assert not can_do_without_padding(model, 13)
    assert can_do_without_padding(model, 8)


def test_the_attention_of_the_user_s_choice_stays():
    model = make_model("llama", attn_implementation="eager")
    assert not can_do_without_padding(model, 13)


def test_afterwards_the_model_is_as_it_was():
    model, batch = make_model("bert"), make_batch()
    with torch.no_grad():
        before = model(**batch)[0]
        assert can_do_without_padding(model, 13)
        with without_padding(model):
            model(**batch)
        after = model(**batch)[0]
    assert model.config._attn_implementation == "sdpa"
    assert torch.equal(before, after)
    assert not model._forward_hooks
    assert not model._forward_pre_hooks


def test_trying_it_draws_no_random_numbers_and_leaves_the_mode():
    model = make_model("llama").train()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    can_do_without_padding(model, 13)
    assert torch.equal(torch.rand(3), expected)
    assert model.training


def test_inputs_of_another_kind_run_with_their_padding():
    model, batch = make_model("llama"), make_batch()
    embeds = model.get_input_embeddings()(batch["input_ids"])
    with torch.no_grad():
        usual = model(inputs_embeds=embeds, attention_mask=batch["attention_mask"])[0]
        with without_padding(model):
            inside = model(inputs_embeds=embeds, attention_mask=batch["attention_mask"])[0]
    torch.testing.assert_close(inside, usual)


def test_the_body_is_found_under_an_adapter_and_wrappers():
    model = make_model("llama", "AutoModelForCausalLM")
    adapted = add_adapter(model, AdapterSection(targets=["q_proj"]), task_type="CAUSAL_LM")
    assert find_body(torch.nn.DataParallel(adapted)) is model.model
    assert can_do_without_padding(adapted, 13)


def test_caps_are_refused_and_not_forgotten():
    model, batch = make_model("llama"), make_batch()
    layer = model.layers[0].self_attn

    def capped(body, args, kwargs):
        query = torch.zeros(1, 4, int(batch["attention_mask"].sum()), 8)
        attend(layer, query, query[:, :2], query[:, :2], None, softcap=5.0)

    with without_padding(model):
        handle = model.register_forward_pre_hook(capped, with_kwargs=True)
        with pytest.raises(ValueError, match="no caps"):
            model(**batch)
        handle.remove()
