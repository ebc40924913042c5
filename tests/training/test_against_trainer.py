"""200 steps with every shortcut end where 200 steps of plain Trainer and peft end."""

import datasets
import pytest
import torch

from ftkit.models import Precision, add_adapter, load_checkpoint
from ftkit.recipe import AdapterSection, ModelSection

SEEDS = (1, 2, 3)
SETTINGS = {"max_steps": 200, "batch_size": 8, "learning_rate": 5e-3}


def make_rows(number, *, seed):
    """Rows in which each token follows from the one before, nine times out of ten."""
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for row in range(number):
        length = int(torch.randint(4, 40, (), generator=generator))
        ids = [int(torch.randint(5, 250, (), generator=generator))]
        for surprise in torch.rand(length, generator=generator).tolist():
            ids.append((ids[-1] * 7 + 3) % 40 + 5 if surprise < 0.9 else 5 + int(surprise * 1e6) % 240)
        hidden = length // 3
        rows.append({"row": row, "input_ids": ids, "labels": [-100] * hidden + ids[hidden:]})
    return datasets.Dataset.from_list(rows)


def load_base(model):
    precision = Precision("bfloat16", None, "as a LoRA run on a fast CPU has it")
    section = ModelSection(base=str(model))
    return load_checkpoint(
        section, auto_class="AutoModelForCausalLM", labels=(), precision=precision, task="chat"
    )


def train_plainly(model, rows, folder, seed):
    """Padded batches, full logits, peft's own layers."""
    import transformers
    from peft import LoraConfig, get_peft_model

    base = load_base(model)
    torch.manual_seed(seed)
    config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(base.model, config)
    trainer = transformers.Trainer(
        model=adapted,
        args=transformers.TrainingArguments(
            output_dir=str(folder),
            max_steps=SETTINGS["max_steps"],
            per_device_train_batch_size=SETTINGS["batch_size"],
            learning_rate=SETTINGS["learning_rate"],
            seed=seed,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=rows.remove_columns("row"),
        data_collator=transformers.DataCollatorForSeq2Seq(base.tokenizer),
    )
    trainer.train()
    return adapted


def train_fast(workshop, model, rows, seed):
    base = load_base(model)
    torch.manual_seed(seed)
    base.model = add_adapter(base.model, AdapterSection(rank=16, alpha=32), task_type="CAUSAL_LM")
    workshop.examples = rows
    trained, _, _ = workshop.train(f"fast-{seed}", checkpoint=base, seed=seed, **SETTINGS)
    return trained


def measure(model, rows):
    """The mean loss over the labelled tokens, row by row, in the obvious way."""
    model.eval()
    total = number = 0.0
    with torch.no_grad():
        for row in rows:
            ids, labels = torch.tensor([row["input_ids"]]), torch.tensor(row["labels"])[1:]
            logits = model(input_ids=ids).logits[0, :-1].float()
            total += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
            number += int((labels != -100).sum())
    return total / number


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")
def test_two_hundred_steps_end_within_the_noise_of_seeds(workshop, tiny_llama, tmp_path):
    rows, held_out = make_rows(800, seed=0), make_rows(100, seed=9)
    before = measure(load_base(tiny_llama).model, held_out)
    plain = [measure(train_plainly(tiny_llama, rows, tmp_path, seed), held_out) for seed in SEEDS]
    fast = [measure(train_fast(workshop, tiny_llama, rows, seed), held_out) for seed in SEEDS]
    print(f"held-out loss: {before:.3f} before; plain {plain}; fast {fast}")  # noqa: T201
    assert max(plain) < before - 0.2  # something was learned
    spread = max(max(plain) - min(plain), max(fast) - min(fast))
    assert abs(sum(fast) - sum(plain)) / len(SEEDS) <= max(spread, 0.02)
