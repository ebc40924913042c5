"""Labels against the base's head, the tokenizer against embeddings, an adapter against its targets."""

from types import SimpleNamespace

import pytest
import torch

from ftkit.checks.adapter import check_adapter, list_adapted, try_adapter
from ftkit.checks.labels import _pair_names, check_labels
from ftkit.checks.vocabulary import check_new_tokens, check_turn_marks, trains_token_rows
from ftkit.models import Precision, load_checkpoint
from ftkit.recipe import AdapterSection, ModelSection


def make_base(labels=("ham", "spam"), old=(), new=True):
    return SimpleNamespace(labels=labels, old_labels=old, head_is_new=new)


def warn(counts, base=None, **options):
    found = check_labels(counts, base or make_base(tuple(counts)), **{"one_per_row": True, **options})
    return [each.message for each in found if each.severity != "note"]


def test_usual_labels_are_fine():
    assert warn({"ham": 70, "spam": 30}) == []
    assert warn({"ham": 98, "spam": 2}) == []
    assert warn({}) == []
    assert warn({str(number): 5 for number in range(20)}) == []


def test_many_labels_are_fine_where_a_row_may_have_several():
    counts = {"a": 0, "b": 1, "c": 500}
    assert warn(counts, one_per_row=False) == []
    assert len(warn(counts)) == 3


@pytest.mark.parametrize(
    ("new", "old", "pairs"),
    [
        (("0", "1"), ("NEG", "POS"), [("0", "NEG"), ("1", "POS")]),
        (
            ("negative", "positive"),
            ("Negative", "Positive"),
            [("negative", "Negative"), ("positive", "Positive")],
        ),
        (("好评", "差评"), ("POSITIVE", "NEGATIVE"), None),
        (("1", "2"), ("NEG", "POS"), None),
        (("posit", "positiv"), ("positive", "negative"), None),
    ],
)
def test_names_that_may_mean_the_same_are_paired(new, old, pairs):
    assert _pair_names(new, old) == pairs


def test_a_head_for_other_labels_altogether_is_no_surprise():
    counts = {"ham": 5, "spam": 5}
    assert warn(counts, make_base(old=("joy", "anger"))) == []
    assert warn(counts, make_base(old=("joy", "anger", "fear"))) == []


def test_a_head_that_is_kept_in_the_order_that_the_recipe_gives_is_fine():
    base = make_base(("NEG", "POS"), ("NEG", "POS"), new=False)
    counts = {"NEG": 5, "POS": 5}
    assert warn(counts, base, given=["NEG", "POS"]) == []
    assert "the ids follow the base's own head" in warn(counts, base, given=["POS", "NEG"])[0]


def test_marks_are_one_token_or_named(chat_tokenizer):
    assert list(check_turn_marks(chat_tokenizer, "<|im_start|>user\na<|im_end|>")) == []
    (found,) = check_turn_marks(chat_tokenizer, "<|turn|>user\na<|im_end|><|turn|>")
    assert found.message.startswith("the chat template writes <|turn|>, which")
    assert list(check_turn_marks(chat_tokenizer, "if a <b and c> d [INST]")) == []


@pytest.fixture
def base(tiny_llama):
    def load(*new_tokens):
        section = ModelSection(base=str(tiny_llama), new_tokens=list(new_tokens))
        precision = Precision("float32", None, "a test")
        return load_checkpoint(
            section, auto_class="AutoModelForCausalLM", labels=(), precision=precision, task="chat"
        )

    return load


def test_trying_an_adapter_leaves_the_model_as_it_is(base):
    loaded = base()
    before = {name: tensor.clone() for name, tensor in loaded.model.state_dict().items()}
    adapted = try_adapter(loaded, AdapterSection(), task_type="CAUSAL_LM")
    assert all(weights.device.type == "meta" for weights in adapted.parameters())
    after = loaded.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(weights.requires_grad for weights in loaded.model.parameters())


def test_a_tried_adapter_is_as_large_as_the_real_one(base):
    from ftkit.models import add_adapter

    loaded = base("<think>")
    tried = try_adapter(loaded, AdapterSection(), task_type="CAUSAL_LM")
    real = add_adapter(
        loaded.model, AdapterSection(), task_type="CAUSAL_LM", new_token_ids=loaded.new_token_ids
    )
    assert tried.get_nb_trainable_parameters() == real.get_nb_trainable_parameters()
    assert list_adapted(tried) == list_adapted(real)


def test_an_adapter_says_what_it_trains(base):
    section = AdapterSection(targets=["q_proj", "v_proj"])
    (found,) = check_adapter(try_adapter(base(), section, task_type="CAUSAL_LM"), section)
    assert found.message.startswith("on 4 layers; 1,792 of ")


def test_one_block_that_is_named_is_meant(base):
    section = AdapterSection(targets=["layers.0.self_attn.q_proj", "v_proj"])
    assert len(list(check_adapter(try_adapter(base(), section, task_type="CAUSAL_LM"), section))) == 1


def test_added_tokens_are_trained_and_saved_with_every_adapter_of_ours(base):
    loaded = base("<think>")
    adapted = try_adapter(loaded, AdapterSection(), task_type="CAUSAL_LM")
    assert trains_token_rows(adapted)
    assert [each.severity for each in check_new_tokens(loaded, adapted)] == ["note"]
    assert [each.severity for each in check_new_tokens(loaded, None)] == ["note"]
    assert list(check_new_tokens(base(), adapted)) == []


def test_an_adapter_that_leaves_added_tokens_random_is_refused(base):
    from peft import LoraConfig, get_peft_model

    loaded = base("<think>")
    with pytest.warns(FutureWarning):  # between two libraries, as in ftkit.models.adapter
        adapted = get_peft_model(loaded.model, LoraConfig(target_modules=["q_proj"]))
    assert not trains_token_rows(adapted)
    (found,) = check_new_tokens(loaded, adapted)
    assert found.severity == "error"
    assert "neither trains nor saves" in found.message
