"""Run by a launcher: trains the tiny model as each case says, and saves what came out, whole."""

import json
import os
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]


def train_case(workshop, *, name, lora=False, fail_after=None, shard_size=None, strategy="fsdp", **settings):
    from ftkit.models import add_adapter, merge_adapter
    from ftkit.recipe import AdapterSection, ParallelSection

    checkpoint = workshop.load()
    if lora:
        torch.manual_seed(1)
        checkpoint.model = add_adapter(checkpoint.model, AdapterSection(rank=4), task_type="CAUSAL_LM")
        for each in checkpoint.model.parameters():  # B is zeros at first, and A would get no gradient
            if each.requires_grad:
                torch.nn.init.normal_(each, std=0.1)
    original, calls = workshop.task.compute_loss, []

    def fail(*arguments):
        calls.append(1)
        if len(calls) > fail_after:
            raise RuntimeError("the machine is gone")
        return original(*arguments)

    workshop.task.compute_loss = fail if fail_after is not None else original
    parallel = ParallelSection(strategy=strategy, shard_size=shard_size)
    try:
        _, _, result = workshop.train(name, checkpoint=checkpoint, parallel=parallel, **settings)
    except RuntimeError as error:
        if "the machine is gone" not in str(error):
            raise
        return None, None
    finally:
        workshop.task.compute_loss = original
    return merge_adapter(checkpoint.model) if lora else checkpoint.model, result


def watch_shards(found):
    """Note how much of the weights this process holds while it trains."""
    from torch.distributed.tensor import DTensor

    from ftkit.training.trainer import StepTrainer

    original = StepTrainer.training_step

    def step(trainer, model, *arguments, **options):
        weights = list(model.parameters())
        assert all(isinstance(each, DTensor) for each in weights)
        found.append(sum(each.to_local().numel() for each in weights) / sum(each.numel() for each in weights))
        return original(trainer, model, *arguments, **options)

    StepTrainer.training_step = step


def main():
    from conftest import Workshop

    model, folder, cases = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    shares = []
    if os.environ.get("WORLD_SIZE", "1") != "1":
        watch_shards(shares)
    for case in cases:
        tuned, _ = train_case(Workshop(model, folder), **case)
        if tuned is not None:
            path = folder / f"{case['name']}-{os.environ['RANK']}.pt"
            torch.save({"weights": tuned.state_dict(), "shares": shares}, path)


if __name__ == "__main__":
    main()
