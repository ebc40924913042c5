import pytest
import torch
import transformers

from ftkit.tasks import LossOptions, next_token
from ftkit.tasks.supervised_positions import compute_logits, find_head, head_at

SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 120,
    "head_dim": 8,
}
ARCHITECTURES = {
    "llama": SIZES,
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 120},
    "gemma2": {**SIZES, "final_logit_softcapping": 5.0},
    "cohere": {**SIZES, "logit_scale": 0.25},
    "granite": {**SIZES, "logits_scaling": 4.0},
    "phi": {**SIZES},  # its head has a bias
    "mixtral": {**SIZES, "num_local_experts": 2},
}


def make_model(name):
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        name, **{**ARCHITECTURES[name], "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    )
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def make_batch():
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 120, (3, 11), generator=generator)
    labels = ids.clone()
    labels[0, :6] = -100
    labels[1, 4:] = -100
    labels[2, :] = -100
    labels[2, -1] = ids[2, -1]
    mask = torch.ones_like(ids)
    mask[1, 8:] = 0
    return {"input_ids": ids, "attention_mask": mask, "labels": labels, "row": torch.arange(3)}


def slow_loss(model, batch):
    """The obvious way: all logits, shifted, in the loss that ignores -100."""
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    shifted = logits[:, :-1].flatten(0, 1).float()
    return torch.nn.functional.cross_entropy(shifted, batch["labels"][:, 1:].flatten(), reduction="sum")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_loss_and_gradients_are_those_of_the_full_logits(name):
    model, batch = make_model(name), make_batch()
    fast = next_token.compute_loss(model, batch, LossOptions())
    fast.backward()
    gradients = {
        key: weights.grad.clone() for key, weights in model.named_parameters() if weights.grad is not None
    }
    model.zero_grad()
    slow = slow_loss(model, batch)
    slow.backward()
    # float32, other order of the same sums
    torch.testing.assert_close(fast, slow, rtol=1e-5, atol=1e-5)
    for key, weights in model.named_parameters():
        if weights.grad is not None:
            torch.testing.assert_close(gradients[key], weights.grad, rtol=1e-3, atol=1e-5)


def test_only_supervised_positions_reach_the_head():
    model, batch = make_model("llama"), make_batch()
    positions = torch.zeros_like(batch["input_ids"], dtype=torch.bool)
    positions[0, 2] = positions[1, 5] = True
    with head_at(model, positions):
        logits = model(input_ids=batch["input_ids"]).logits
    assert logits.shape == (2, 120)
    assert model(input_ids=batch["input_ids"]).logits.shape == (3, 11, 120)


def test_the_head_is_found_under_wrappers():
    from ftkit.models import add_adapter
    from ftkit.recipe import AdapterSection

    model = make_model("llama")
    adapted = add_adapter(model, AdapterSection(targets=["q_proj"]), task_type="CAUSAL_LM")
    wrapped = torch.nn.parallel.DataParallel(adapted)
    assert find_head(wrapped) is model.lm_head


def test_counts_and_records_agree_with_the_loss():
    model, batch = make_model("llama"), make_batch()
    records = next_token.predict(model, batch, ())
    assert [record["num_tokens"] for record in records] == [5, 3, 1]
    assert sum(record["num_tokens"] for record in records) == next_token.count_items(batch)
    total = float(next_token.compute_loss(model, batch, LossOptions()).detach())
    assert sum(record["loss"] for record in records) == pytest.approx(total, rel=1e-6)


def test_label_smoothing_mixes_in_the_mean_over_the_vocabulary():
    model, batch = make_model("llama"), make_batch()
    plain = next_token.compute_loss(model, batch, LossOptions())
    positions, _ = next_token.find_supervised(batch)
    logits = compute_logits(model, {name: batch[name] for name in ("input_ids", "attention_mask")}, positions)
    uniform = -logits.float().log_softmax(-1).mean(-1).sum()
    torch.testing.assert_close(
        next_token.compute_loss(model, batch, LossOptions(label_smoothing=0.1)), 0.9 * plain + 0.1 * uniform
    )
