"""The limit: a bare loop over the rows with every trick we know, and nothing else.

No Trainer, no checks, no logs: the rows of a step sorted by length and cut into batches by tokens, run
without padding, LoRA in the dtype of the base, head and loss at labelled positions in chunks, freed
memory kept. What ftkit takes longer than this is what its guarantees cost.
"""

import os


def run_limit(folder, case):
    """Do the steps of a case."""
    import datasets
    import torch
    import transformers
    from contestants import load_model, make_collator
    from turns import Turns

    from ftkit.models.lean_lora import make_lora_lean
    from ftkit.models.padding_free import can_do_without_padding, without_padding
    from ftkit.tasks import LossOptions, get_task
    from ftkit.training.machine import keep_freed_memory
    from ftkit.training.steps import MicroBatchLimit, split_step

    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    keep_freed_memory()
    turns, task = Turns(), get_task(case["task"])
    model = load_model(case, transformers).train()
    make_lora_lean(model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(case["model"])
    pad = make_collator(case, tokenizer, transformers)
    rows = datasets.load_from_disk(str(folder / "examples")).to_list()
    packs = can_do_without_padding(model, case["lengths"][2])
    limit = MicroBatchLimit(num_tokens=1024, counts_padding=not packs)
    weights = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=case["learning_rate"], weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / case["num_steps"])
    size = case["batch_size"]
    for step in range(case["num_steps"]):
        start = step * size % (case["steps_per_round"] * size)
        chosen = rows[start : start + size]
        groups = split_step([len(row["input_ids"]) for row in chosen], limit)
        batches = [pad([chosen[place] for place in group]) for group in groups]
        batches = [{**batch, "row": torch.zeros(len(batch["input_ids"]))} for batch in batches]
        if case["task"] == "text-classification":
            batches = [{**batch, "weights": torch.ones(len(batch["input_ids"]))} for batch in batches]
        number = sum(task.count_items(batch) for batch in batches)
        total = 0.0
        for batch in batches:
            with without_padding(model):
                with torch.autocast("cpu", torch.bfloat16, enabled=case["compute"] == "bfloat16"):
                    loss = task.compute_loss(model, batch, LossOptions()) / number
                loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        turns.done(step=step, loss=total, num_tokens=None)
