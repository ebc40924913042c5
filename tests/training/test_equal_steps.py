"""However a step is laid out, its loss and gradients are those of one padded batch with all logits."""

from dataclasses import dataclass

import datasets
import pytest
import tiny_models
import torch
import transformers

from ftkit.models.padding_free import can_do_without_padding
from ftkit.tasks import Encoding, LossOptions, get_task
from ftkit.training.step_batches import StepExamples
from ftkit.training.steps import MicroBatchLimit, StepSampler
from ftkit.training.trainer import StepTrainer

LAYOUTS = {
    "padded": MicroBatchLimit(num_examples=9),
    "bucketed": MicroBatchLimit(num_tokens=60, counts_padding=True),
    "packed": MicroBatchLimit(num_tokens=1000, counts_padding=False),
    "packed in parts": MicroBatchLimit(num_tokens=60, counts_padding=False),
    "one by one": MicroBatchLimit(num_examples=1),
}
MODELS = {
    "llama": ("chat", "save_tiny_llama"),
    "gpt2": ("chat", "save_tiny_gpt2"),
    "mixtral": ("chat", None),
    "bert": ("masked-lm", "save_tiny_bert"),
    "t5": ("seq2seq", "save_tiny_t5"),
}


@dataclass
class Work:
    """A model, its task and nine examples of 3 to 39 tokens."""

    model: object
    tokenizer: object
    task: object
    examples: list


def make_mixtral(folder):
    tokenizer = tiny_models.make_chat_tokenizer()
    config = transformers.MixtralConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=32,
        num_local_experts=4,
        num_experts_per_tok=2,
        pad_token_id=tokenizer.pad_token_id,
    )
    return tiny_models.save_tiny_model("MixtralForCausalLM", config, tokenizer, folder)


def make_examples(name, size):
    generator = torch.Generator().manual_seed(4)
    examples = []
    for row in range(9):
        length = int(torch.randint(3, 40, (), generator=generator))
        ids = torch.randint(6, size, (length,), generator=generator).tolist()
        example = {"row": row, "input_ids": ids}
        if name == "masked-lm":
            example |= {"piece": 0, "units": [1] * length, "labels": ids}
        elif name == "seq2seq":
            example |= {"labels": ids[: length // 2 + 1], "num_tokens": length + length // 2 + 1}
        else:
            example |= {"labels": [-100] * (length // 3) + ids[length // 3 :]}
        examples.append(example)
    return examples


@pytest.fixture(params=MODELS)
def work(request, tmp_path):
    task_name, save = MODELS[request.param]
    folder = getattr(tiny_models, save)(tmp_path / "model") if save else make_mixtral(tmp_path / "model")
    task = get_task(task_name)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    options = {"dropout_rate": 0.0} if request.param == "t5" else {}
    model = getattr(transformers, task.MODEL_CLASS).from_pretrained(folder, **options)
    for part in model.modules():  # GPT-2 and BERT drop by default: what differs would be chance
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
    if request.param == "gpt2":
        tokenizer.pad_token = tokenizer.eos_token
    return Work(model, tokenizer, task, make_examples(task_name, len(tokenizer)))


def read_gradients(model):
    grads = {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}
    model.zero_grad()
    return grads


def step_slowly(work):
    """One padded batch, all logits, the model's own loss."""
    batch = work.task.collate(work.examples, work.tokenizer, ENCODING, (0, 0))
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "labels")}
    loss = work.model.train()(**inputs).loss
    loss.backward()
    return loss.item(), read_gradients(work.model)


ENCODING = Encoding(512, "drop")


def step_fast(work, limit, folder):
    trainer = StepTrainer(
        model=work.model,
        args=transformers.TrainingArguments(output_dir=str(folder), use_cpu=True, report_to="none"),
        processing_class=work.tokenizer,
        train_dataset=StepExamples(datasets.Dataset.from_list(work.examples)),
        task=work.task,
        encoding=ENCODING,
        sampler=StepSampler([len(each["input_ids"]) for each in work.examples], 9, seed=0),
        limit=limit,
        loss_options=LossOptions(),
    )
    batches = trainer._collate_step(work.examples)
    loss = trainer.training_step(work.model, batches)
    return len(batches), loss.item(), read_gradients(work.model)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_step_is_the_same_in_every_layout(work, layout, tmp_path):
    limit = LAYOUTS[layout]
    if not limit.counts_padding and not can_do_without_padding(work.model, 40):
        assert work.model.config.model_type == "t5"  # the others can, which is what is tested
        return
    slow_loss, slow = step_slowly(work)
    number, loss, fast = step_fast(work, limit, tmp_path)
    assert number == {"padded": 1, "packed": 1, "one by one": 9}.get(layout, number)
    assert number > 2 or layout in ("padded", "packed")
    assert loss == pytest.approx(slow_loss, rel=1e-5)
    assert fast.keys() == slow.keys()
    for name, gradient in slow.items():  # float32: the same sums in another order
        torch.testing.assert_close(
            fast[name], gradient, rtol=1e-3, atol=1e-5, msg=lambda text, name=name: name + text
        )
