import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from sharded_runs import train_case

from ftkit.errors import RecipeError, RunError
from ftkit.recipe import ParallelSection
from ftkit.runs import RunFolder
from ftkit.training.sharding import (
    SHARDS,
    copy_without_weights,
    count_shards,
    list_layer_classes,
    make_shard_arguments,
    measure_copy,
    shards_model,
)

SETTINGS = {"max_steps": 5, "batch_size": 5, "log_every": 1, "arguments": {"use_cpu": True}}
"""24 examples in steps of 5: the last of an epoch has 4; of 4 processes some have fewer than others."""


def start_processes(number, model, folder, *cases):
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={number}"]
    script = Path(__file__).with_name("sharded_runs.py")
    command = [*launcher, script, model, folder, json.dumps(cases)]
    done = subprocess.run(command, timeout=300, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def read_losses(folder):
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def compare(workshop, tmp_path, name, number, share, **case):
    """One process gives the losses and weights that several gave."""
    tuned, _ = train_case(workshop, name=f"one-{name}", strategy="auto", **case)
    # float32: sums in another order, five AdamW steps of 1e-3
    folders = [RunFolder(tmp_path / each) for each in (name, f"one-{name}")]
    assert read_losses(folders[0]) == pytest.approx(read_losses(folders[1]), rel=1e-5)
    for rank in range(number):
        found = torch.load(tmp_path / f"{name}-{rank}.pt")
        assert found["weights"].keys() == tuned.state_dict().keys()
        for key, tensor in tuned.state_dict().items():
            torch.testing.assert_close(found["weights"][key], tensor, rtol=1e-3, atol=1e-5)
        assert all(each == pytest.approx(share, abs=0.1) for each in found["shares"])


@pytest.mark.slow
def test_two_processes_that_share_the_weights_give_the_losses_and_weights_of_one(
    workshop, tiny_llama, tmp_path
):
    cases = {
        "full": {**SETTINGS, "micro_batch_size": 1},  # the processes have unequal numbers of micro-batches
        "lora": {**SETTINGS, "lora": True},
        "recomputed": {**SETTINGS, "gradient_checkpointing": True},
    }
    start_processes(2, tiny_llama, tmp_path, *({"name": name, **case} for name, case in cases.items()))
    for name, case in cases.items():
        compare(workshop, tmp_path, name, 2, 1 / 2, **case)


@pytest.mark.slow
def test_a_sharded_run_continues_on_another_number_of_devices_with_hybrid_shards(
    workshop, tiny_llama, tmp_path
):
    case = {**SETTINGS, "max_steps": 7, "checkpoint_every": 2}
    start_processes(2, tiny_llama, tmp_path, {"name": "moved", **case, "fail_after": 5})
    assert RunFolder(tmp_path / "moved").find_checkpoint().name == "checkpoint-4"
    start_processes(4, tiny_llama, tmp_path, {"name": "moved", **case, "shard_size": 2})
    compare(workshop, tmp_path, "moved", 4, 1 / 2, **case)


def decide(tiny_llama_model, world_size=2, last=None, memory_bytes=0, **settings):
    parallel = ParallelSection(**settings)
    return shards_model(
        parallel, tiny_llama_model, world_size=world_size, memory_bytes=memory_bytes, last=last
    )


@pytest.fixture
def model():
    return torch.nn.Linear(10, 10)


def test_the_strategy_is_what_the_recipe_says(model):
    assert decide(model, strategy="fsdp")
    assert not decide(model, strategy="ddp")


def test_by_itself_a_model_is_sharded_where_a_copy_takes_most_of_an_accelerator(model):
    needed = measure_copy(model)
    assert needed == 110 * 16
    assert decide(model, memory_bytes=needed)
    assert not decide(model, memory_bytes=2 * needed)
    assert not decide(model, memory_bytes=0)  # a CPU
    assert not decide(model, world_size=1, memory_bytes=needed)


def test_frozen_weights_have_neither_gradient_nor_optimiser(model):
    model.requires_grad_(False)
    assert measure_copy(model) == 110 * 4


def test_one_process_has_nothing_to_shard_with(model):
    with pytest.raises(RecipeError, match=r"parallel.strategy: fsdp needs several processes.*num_devices"):
        decide(model, world_size=1, strategy="fsdp")


def test_groups_of_a_wrong_size_are_refused(model):
    with pytest.raises(RecipeError, match=r"parallel.shard_size: 4 processes.*groups of 3"):
        decide(model, world_size=4, strategy="fsdp", shard_size=3)


def test_a_checkpoint_of_shards_is_continued_as_shards(model, tmp_path):
    (tmp_path / SHARDS).mkdir()
    assert decide(model, last=tmp_path)
    with pytest.raises(RunError, match=r"holds shards.*parallel.strategy: fsdp"):
        decide(model, last=tmp_path, strategy="ddp")
    with pytest.raises(RunError, match=r"holds shards.*num_devices: 2 or more"):
        decide(model, last=tmp_path, world_size=1)


def test_a_checkpoint_that_is_no_shards_is_not_continued_as_some(model, tmp_path):
    with pytest.raises(RunError, match=r"not sharded; continue it with parallel.strategy: ddp"):
        decide(model, last=tmp_path, strategy="fsdp")
    assert not decide(model, last=tmp_path, memory_bytes=1)  # auto goes on as it was


@pytest.mark.parametrize(("size", "shards", "copies"), [(None, 8, 1), (4, 4, 2), (8, 8, 1)])
def test_every_group_of_the_shard_size_has_a_copy(model, size, shards, copies):
    groups = make_shard_arguments(ParallelSection(shard_size=size), model, 8)["parallelism_config"]
    assert (groups.dp_shard_size, groups.dp_replicate_size) == (shards, copies)


def test_a_copy_without_weights_takes_no_memory_and_leaves_the_model_alone(workshop):
    model = workshop.load().model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    empty = copy_without_weights(model)
    assert all(each.is_meta for each in empty.parameters())
    assert [name for name, _ in empty.named_parameters()] == [name for name, _ in model.named_parameters()]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(each.is_meta for each in model.parameters())


def test_shards_are_counted_before_there_are_processes(monkeypatch):
    parallel = ParallelSection(num_devices=4, num_hosts=2, rendezvous="a:1")
    assert count_shards(parallel, "cuda") == 8
    assert count_shards(parallel, "cpu") == 1
    assert count_shards(ParallelSection(strategy="fsdp", num_devices=4, shard_size=2), "cpu") == 2
    assert count_shards(ParallelSection(strategy="ddp", num_devices=4), "cuda") == 1
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert count_shards(parallel, "cuda") == 3


def test_layers_are_gathered_one_at_a_time_and_embeddings_by_themselves(tiny_bert, tiny_llama):
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    assert list_layer_classes(AutoModelForSequenceClassification.from_pretrained(tiny_bert)) == ["BertLayer"]
    assert list_layer_classes(AutoModelForCausalLM.from_pretrained(tiny_llama)) == ["LlamaDecoderLayer"]


def test_a_model_without_known_layers_is_gathered_as_one(model):
    config = make_shard_arguments(ParallelSection(), model, 2)["fsdp_config"]
    assert config["auto_wrap_policy"] == "NO_WRAP"
    assert "transformer_layer_cls_to_wrap" not in config
