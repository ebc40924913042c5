import logging

import pytest
import torch
import transformers
from peft import PeftModel
from tiny_models import make_byte_level_tokenizer, make_wordpiece_tokenizer

from ftkit.models import add_adapter, merge_adapter, save_adapter, save_model
from ftkit.models.new_tokens import add_new_tokens, find_token_modules
from ftkit.recipe import AdapterSection

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
NEW = ["catdog", "<think>", "故乡人"]


def make_bert(rows=None):
    torch.manual_seed(0)
    tokenizer = make_wordpiece_tokenizer()
    config = transformers.BertConfig(vocab_size=rows or len(tokenizer), **SIZES)
    return transformers.BertForMaskedLM(config).eval(), tokenizer


def make_llama(tied):
    torch.manual_seed(0)
    end = "<|end|>"
    tokenizer = make_byte_level_tokenizer([end], eos_token=end, pad_token=end)
    config = transformers.LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=tied, **SIZES)
    return transformers.LlamaForCausalLM(config).eval(), tokenizer


def make_classifier():
    torch.manual_seed(0)
    tokenizer = make_wordpiece_tokenizer()
    config = transformers.BertConfig(vocab_size=len(tokenizer), **SIZES)
    return transformers.BertForSequenceClassification(config).eval(), tokenizer


MAKERS = {
    "bert": make_bert,
    "tied llama": lambda: make_llama(True),
    "untied llama": lambda: make_llama(False),
    "classifier": make_classifier,
}
TASK_TYPES = {
    "bert": "FEATURE_EXTRACTION",
    "tied llama": "CAUSAL_LM",
    "untied llama": "CAUSAL_LM",
    "classifier": "SEQ_CLS",
}


@pytest.mark.parametrize("name", MAKERS)
def test_each_new_token_is_one_token_and_begins_as_the_mean(name):
    model, tokenizer = MAKERS[name]()
    old = model.get_input_embeddings().weight.detach().clone()
    ids = add_new_tokens(model, tokenizer, NEW)
    assert ids == tuple(range(len(old), len(old) + 3))
    for module in find_token_modules(model):
        rows = model.get_submodule(module).weight.detach()
        assert len(rows) == len(tokenizer)
        torch.testing.assert_close(rows[list(ids)], rows[: len(old)].mean(0).expand(3, -1))
    torch.testing.assert_close(model.get_input_embeddings().weight[: len(old)], old)
    for token, number in zip(NEW, ids, strict=True):
        assert tokenizer(f"the {token} sat", add_special_tokens=False)["input_ids"].count(number) == 1


def test_words_match_only_whole_ones_and_marks_and_chinese_anywhere():
    model, tokenizer = make_bert()
    number, mark, chinese = add_new_tokens(model, tokenizer, NEW)
    assert number not in tokenizer("catdogs")["input_ids"]
    assert mark in tokenizer("cat<think>s")["input_ids"]
    assert chinese in tokenizer("思故乡人月")["input_ids"]


def test_spare_rows_of_a_larger_embedding_are_used():
    size = len(make_wordpiece_tokenizer())
    model, tokenizer = make_bert(rows=size + 10)
    ids = add_new_tokens(model, tokenizer, NEW)
    rows = model.get_input_embeddings().weight
    assert len(rows) == size + 10
    torch.testing.assert_close(rows[ids[0]], rows[:size].mean(0))


def test_tokens_that_are_there_already_are_said_and_left(caplog):
    model, tokenizer = make_bert()
    before = len(tokenizer)
    with caplog.at_level(logging.WARNING):
        assert add_new_tokens(model, tokenizer, ["cat"]) == ()
    assert len(tokenizer) == before == len(model.get_input_embeddings().weight)
    assert caplog.messages == ["model.new_tokens: in the vocabulary already: cat"]
    assert add_new_tokens(model, tokenizer, []) == ()


def train(model, tokenizer, ids, name):
    """A few steps on a text that has the new tokens."""
    inputs = tokenizer(f"the {NEW[0]} sat {NEW[1]} on", return_tensors="pt")
    labels = torch.tensor([1]) if name == "classifier" else inputs["input_ids"]
    chosen = [weights for weights in model.parameters() if weights.requires_grad]
    optimizer = torch.optim.AdamW(chosen, lr=0.05)
    for _ in range(3):
        model(**inputs, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return inputs


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks transformers
@pytest.mark.parametrize("name", MAKERS)
def test_an_adapter_trains_the_new_rows_alone_and_both_ways_of_saving_reload(name, tmp_path):
    model, tokenizer = MAKERS[name]()
    model.save_pretrained(tmp_path / "base")
    ids = add_new_tokens(model, tokenizer, NEW)
    before = model.get_input_embeddings().weight.detach().clone()
    section = AdapterSection(rank=2)
    adapted = add_adapter(model, section, task_type=TASK_TYPES[name], new_token_ids=ids)
    inputs = train(adapted.train(), tokenizer, ids, name)
    adapted.eval()
    with torch.no_grad():
        expected = adapted(**inputs).logits
    save_adapter(adapted, tokenizer, tmp_path / "adapter")
    merged = merge_adapter(adapted)
    after = merged.get_input_embeddings().weight.detach()
    old = len(before) - len(NEW)
    assert torch.equal(after[:old], before[:old])
    assert not torch.allclose(after[ids[0]], before[ids[0]], atol=1e-3)
    save_model(merged, tokenizer, tmp_path / "model")

    plain = type(merged).from_pretrained(tmp_path / "model").eval()
    reloaded = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    assert reloaded(f"the {NEW[0]} sat {NEW[1]} on")["input_ids"] == inputs["input_ids"][0].tolist()
    base = type(merged).from_pretrained(tmp_path / "base").eval()
    again = transformers.AutoTokenizer.from_pretrained(tmp_path / "adapter")
    base.resize_token_embeddings(len(again), mean_resizing=False)
    beside = PeftModel.from_pretrained(base, str(tmp_path / "adapter")).eval()
    with torch.no_grad():
        # merging changes the order of sums in float32
        torch.testing.assert_close(plain(**inputs).logits, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(beside(**inputs).logits, expected, rtol=1e-4, atol=1e-5)


def test_full_fine_tuning_needs_no_list_of_rows(tmp_path):
    model, tokenizer = make_bert()
    ids = add_new_tokens(model, tokenizer, NEW)
    inputs = train(model.train(), tokenizer, ids, "bert")
    model.eval()
    save_model(model, tokenizer, tmp_path / "model")
    plain = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():
        torch.testing.assert_close(plain(**inputs).logits, model(**inputs).logits)


def test_a_random_head_under_an_adapter_stays_tied_to_the_embeddings(tmp_path):
    """A whole copy of BERT's head would part its output embedding from the input's."""
    from ftkit.models.adapter import list_whole_modules

    model, tokenizer = make_bert()
    new = [name for name, _ in model.named_parameters() if name.startswith("cls.")]
    assert list_whole_modules(model, "FEATURE_EXTRACTION", new) == [
        "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm",
    ]  # fmt: skip
    adapted = add_adapter(model, AdapterSection(rank=2), task_type="FEATURE_EXTRACTION", new_parameters=new)
    inputs = train(adapted.train(), tokenizer, (), "bert")
    adapted.eval()
    with torch.no_grad():
        expected = adapted(**inputs).logits
    save_model(merge_adapter(adapted), tokenizer, tmp_path / "model")
    plain = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / "model").eval()
    with torch.no_grad():
        torch.testing.assert_close(plain(**inputs).logits, expected, rtol=1e-4, atol=1e-5)
