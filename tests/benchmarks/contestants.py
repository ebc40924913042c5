"""Who is measured; run by `compare.py`, each in a process of its own.

    python contestants.py WHO FOLDER

FOLDER has `case.json`, the encoded rows as `examples/` (a `datasets` folder), the rows as they are in
`rows.jsonl`, and ftkit's recipe.
"""

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent


def run_ftkit(folder, case):
    """The command `ftkit finetune`, with what it does before the first step."""
    import ftkit.pipeline.finetuning as story

    tune = story.tune

    def take_turns(*arguments, **named):
        from turns import join_trainer

        join_trainer()
        return tune(*arguments, **named)

    def evaluate(recipe, task, base, splits, *arguments, **named):
        from turns import Turns

        from ftkit.evaluation.predictions import predict_split
        from ftkit.models import add_adapter

        turns = Turns()
        if recipe.adapter is not None:  # as it is scored while it trains
            base.model = add_adapter(base.model, recipe.adapter, task_type=task.ADAPTER_TYPE)
        while True:
            records = predict_split(base.model, base.tokenizer, task, splits["train"])
            total = sum(record["loss"] for record in records)
            turns.done(loss=total / sum(record["num_tokens"] for record in records), num_tokens=None)

    story.tune = evaluate if case["evaluates"] else take_turns
    from ftkit.cli.app import load_app

    load_app()(["finetune", str(folder / "recipe.yaml"), "--fresh"], standalone_mode=False)


def run_plain(folder, case):
    """A script as somebody writes it who knows transformers and peft."""
    import datasets
    import torch
    import transformers
    from turns import Turns, join_trainer

    if not case["evaluates"]:
        join_trainer()
    tokenizer = transformers.AutoTokenizer.from_pretrained(case["model"])
    model = load_model(case, transformers)
    examples = datasets.load_from_disk(str(folder / "examples"))
    arguments = transformers.TrainingArguments(
        output_dir=str(folder / "plain"),
        per_device_train_batch_size=case["plain_size"],
        gradient_accumulation_steps=case["batch_size"] // case["plain_size"],
        max_steps=case["num_steps"],
        learning_rate=case["learning_rate"],
        bf16=case["compute"] == "bfloat16",
        use_cpu=not torch.cuda.is_available(),
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(
        model=model,
        args=arguments,
        train_dataset=examples,
        eval_dataset=examples,
        data_collator=make_collator(case, tokenizer, transformers),
        processing_class=tokenizer,
    )
    if not case["evaluates"]:
        trainer.train()
    turns = Turns()
    while True:
        turns.done(loss=trainer.evaluate()["eval_loss"], num_tokens=None)


def load_model(case, transformers):
    """Load the model, with a LoRA adapter where the case has one."""
    import torch

    options = {"num_labels": case["num_labels"]} if case["num_labels"] else {}
    dtype = torch.bfloat16 if case["adapter"] else torch.float32
    model = getattr(transformers, case["model_class"]).from_pretrained(case["model"], dtype=dtype, **options)
    if case["adapter"]:
        import peft

        config = peft.LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
        model = peft.get_peft_model(model, config)
    return model


def make_collator(case, tokenizer, transformers):
    """Pad to the longest row of the batch."""
    if case["task"] == "masked-lm":
        return transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.15)
    if case["task"] == "text-classification":
        return transformers.DataCollatorWithPadding(tokenizer)
    return transformers.DataCollatorForSeq2Seq(tokenizer)


def run_trl(folder, case, *, packed=False):
    """`trl sft` with the settings that make it the same work."""
    from trl.scripts.sft import main, make_parser
    from turns import join_trainer

    join_trainer()
    options = {
        "model_name_or_path": case["model"],
        "dataset_name": str(folder / "trl_rows"),
        "output_dir": str(folder / "trl"),
        "per_device_train_batch_size": case["plain_size"],
        "gradient_accumulation_steps": case["batch_size"] // case["plain_size"],
        "max_steps": case["num_steps"],
        "learning_rate": case["learning_rate"],
        "dtype": "bfloat16",
        "use_peft": True,
        "lora_r": 16,
        "lora_alpha": 32,
        "lora_target_modules": "all-linear",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "max_length": 512,
    }
    if packed:
        # Rows of 512 tokens: as many tokens a step as 16 rows have.
        options |= {"packing": True, "per_device_train_batch_size": 1, "gradient_accumulation_steps": 5}
    sys.argv = ["sft", *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
    parsed = make_parser().parse_args_and_config()
    main(*parsed[:4])


if __name__ == "__main__":
    who, where = sys.argv[1], Path(sys.argv[2])
    read = json.loads((where / "case.json").read_text())
    if who == "limit":
        from limit import run_limit

        run_limit(where, read)
    elif who.startswith("trl"):
        run_trl(where, read, packed=who == "trl-packed")
    else:
        {"ftkit": run_ftkit, "plain": run_plain}[who](where, read)
