import json
import math
import os
import signal
import subprocess
import sys

import pytest
import torch

from ftkit.errors import DeviceMemoryError, InterruptedRun
from ftkit.runs import RunFolder
from ftkit.training.steps import plan_epoch


def weights_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def assert_same(first, second, **tolerance):
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        torch.testing.assert_close(
            tensor, second[name], **tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )


def read_losses(folder):
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def train_slowly(workshop, num_steps, **smoothing):
    """The obvious loop: the whole step as one padded batch, full logits, mean over supervised tokens."""
    checkpoint = workshop.load()
    model = checkpoint.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / num_steps)
    losses = []
    steps = [
        step for epoch in range(2) for step in plan_epoch(len(workshop.examples), 8, seed=42, epoch=epoch)
    ]
    for step in steps[:num_steps]:
        batch = workshop.task.collate(
            [workshop.examples[index] for index in step], checkpoint.tokenizer, None, ()
        )
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), batch["labels"][:, 1:].flatten(), **smoothing
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return model, losses


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_training_is_the_obvious_loop(workshop, smoothing):
    slow, slow_losses = train_slowly(workshop, 5, label_smoothing=smoothing)
    fast, folder, _ = workshop.train(max_steps=5, log_every=1, label_smoothing_factor=smoothing)
    assert read_losses(folder) == pytest.approx(slow_losses, rel=1e-5)
    # float32: sums in another order, five AdamW steps of 1e-3
    assert_same(weights_of(fast), weights_of(slow), rtol=1e-3, atol=1e-5)


def test_the_result_does_not_depend_on_the_micro_batch(workshop):
    results = {}
    for size in (8, 4, 2, 1, "auto"):
        model, folder, _ = workshop.train(f"run-{size}", micro_batch_size=size, log_every=1)
        results[size] = (weights_of(model), read_losses(folder))
    for size in (4, 2, 1, "auto"):
        assert results[size][1] == pytest.approx(results[8][1], rel=1e-5)
        # float32: the same sums in another order
        assert_same(results[size][0], results[8][0], rtol=1e-3, atol=1e-5)


def test_a_row_longer_than_the_micro_batch_s_tokens_is_one_of_its_own(workshop, monkeypatch):
    expected, folder, _ = workshop.train("whole", log_every=1)
    monkeypatch.setattr("ftkit.training.memory.CPU_TOKENS", 1)
    monkeypatch.setattr("ftkit.training.loop.can_do_without_padding", lambda model, longest: False)
    found, small_folder, _ = workshop.train("small", log_every=1)
    assert read_losses(small_folder) == pytest.approx(read_losses(folder), rel=1e-5)
    assert_same(weights_of(found), weights_of(expected), rtol=1e-3, atol=1e-5)  # float32, other sums


@pytest.mark.parametrize("optim", ["adamw_torch", "adafactor", "sgd", "adagrad", "rmsprop"])
def test_optimisers_of_torch_and_transformers_learn(workshop, optim):
    before = weights_of(workshop.load().model)
    after, folder, _ = workshop.train(optim=optim, log_every=1)
    assert not torch.equal(before["lm_head.weight"], after.state_dict()["lm_head.weight"])
    assert all(math.isfinite(loss) for loss in read_losses(folder))


def test_every_line_of_the_log_says_how_fast_and_how_much_memory(workshop):
    _, folder, _ = workshop.train(log_every=1)
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    assert len(lines) == 4
    assert all(line["tokens_per_second"] > 0 for line in lines)
    assert all(0.01 < line["peak_memory_gb"] < 100 for line in lines if sys.platform != "win32")


def test_gradient_checkpointing_changes_nothing_but_memory(workshop):
    expected, folder, _ = workshop.train("whole", log_every=1)
    found, recomputed, _ = workshop.train("recomputed", gradient_checkpointing=True, log_every=1)
    assert read_losses(recomputed) == pytest.approx(read_losses(folder), rel=1e-5)
    assert_same(weights_of(found), weights_of(expected), rtol=1e-3, atol=1e-5)  # float32, other sums


def test_a_run_that_was_interrupted_ends_with_the_same_weights_bit_for_bit(workshop):
    settings = {"max_steps": 7, "checkpoint_every": 2, "log_every": 1}
    whole, whole_folder, _ = workshop.train("whole", **settings)
    broken = workshop.task.compute_loss
    calls = []

    def fail(*arguments):
        calls.append(1)
        if len(calls) > 5:
            raise RuntimeError("the machine is gone")
        return broken(*arguments)

    workshop.task.compute_loss = fail
    try:
        with pytest.raises(RuntimeError, match="the machine is gone"):
            workshop.train("broken", **settings)
    finally:
        workshop.task.compute_loss = broken
    assert RunFolder(workshop.folder / "broken").find_checkpoint().name == "checkpoint-4"
    continued, folder, _ = workshop.train("broken", **settings)
    assert_same(weights_of(continued), weights_of(whole), rtol=0, atol=0)
    assert read_losses(folder) == read_losses(whole_folder)


def test_ctrl_c_finishes_the_step_saves_and_says_how_to_continue(workshop):
    original = workshop.task.compute_loss
    calls = []

    def interrupt(*arguments):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments)

    workshop.task.compute_loss = interrupt
    try:
        with pytest.raises(InterruptedRun, match=r"stopped after step 3 of 4.*same command continues"):
            workshop.train("stopped", checkpoint_every="epoch")
    finally:
        workshop.task.compute_loss = original
    assert RunFolder(workshop.folder / "stopped").find_checkpoint().name == "checkpoint-3"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_best_checkpoint_by_a_falling_metric_is_kept_and_loaded(workshop):
    scores = iter([3.0, 1.0, 2.0, 2.5])
    snapshots = []
    checkpoint = workshop.load()

    def validate():
        snapshots.append(weights_of(checkpoint.model))
        return {"perplexity": next(scores)}

    model, folder, result = workshop.train(
        checkpoint=checkpoint,
        validate=validate,
        best=("perplexity", False),
        evaluation={"every": 1},
        checkpoint_every=4,
        save_total_limit=1,
    )
    assert result.best_step == 2
    assert_same(weights_of(model), snapshots[1], rtol=0, atol=0)
    assert (folder.checkpoints / "checkpoint-2").is_dir()


def test_the_last_weights_are_kept_where_the_recipe_says_so(workshop):
    scores = iter([3.0, 1.0, 2.0, 2.5])
    checkpoint = workshop.load()
    model, _, result = workshop.train(
        checkpoint=checkpoint,
        validate=lambda: {"perplexity": next(scores)},
        best=("perplexity", False),
        evaluation={"every": 1},
        checkpoint_every=1,
        load_best_model_at_end=False,
    )
    plain, _, _ = workshop.train("plain")
    assert result.best_step is None
    assert_same(weights_of(model), weights_of(plain), rtol=0, atol=0)


def test_training_stops_early_when_the_score_does_not_improve(workshop):
    scores = iter([1.0, 2.0, 3.0, 4.0])
    _, _, result = workshop.train(
        validate=lambda: {"loss": next(scores)},
        evaluation={"every": 1},
        checkpoint_every=1,
        early_stopping_patience=2,
    )
    assert result.num_steps == 3
    assert result.best_step == 1


def test_an_l1_penalty_pulls_the_weights_to_zero_and_is_not_in_the_logged_loss(workshop):
    plain, plain_folder, _ = workshop.train("plain", log_every=1)
    pulled, folder, _ = workshop.train("pulled", l1_penalty=0.01, max_grad_norm=0.0, log_every=1)

    def size(model):
        return sum(tensor.abs().sum().item() for name, tensor in model.named_parameters() if "mlp" in name)

    assert size(pulled) < size(plain)
    assert read_losses(folder)[0] == pytest.approx(read_losses(plain_folder)[0], rel=1e-6)


def test_out_of_memory_says_what_to_lower_and_by_how_much(workshop):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    original, workshop.task.compute_loss = workshop.task.compute_loss, fail
    try:
        with pytest.raises(DeviceMemoryError, match=r"micro-batch of 4 examples.*micro_batch_size: 2 "):
            workshop.train(micro_batch_size=4)
    finally:
        workshop.task.compute_loss = original


def test_epochs_and_steps_are_counted(workshop):
    _, _, result = workshop.train(max_steps=None, epochs=1.5)
    assert result.num_steps == 5  # 24 examples in steps of 8: three an epoch
    assert result.num_epochs == pytest.approx(5 / 3)


SCRIPT = """
import json, sys
from pathlib import Path
sys.path[:0] = [{here!r}, {tests!r}]
import conftest
workshop = conftest.Workshop(Path({model!r}), Path({folder!r}))
model, folder, _ = workshop.train(
    "two", max_steps=5, batch_size=5, log_every=1, checkpoint_every=2, arguments={{"use_cpu": True}}
)
import os, torch
torch.save(model.state_dict(), Path({folder!r}) / f"weights-{{os.environ['RANK']}}.pt")
"""


@pytest.mark.slow
def test_two_processes_give_the_losses_and_weights_of_one(workshop, tiny_llama, tmp_path):
    from pathlib import Path

    here = Path(__file__).parent
    code = SCRIPT.format(tests=str(here.parent), here=str(here), model=str(tiny_llama), folder=str(tmp_path))
    (tmp_path / "two.py").write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29731"]
    subprocess.run([*command, tmp_path / "two.py"], check=True, timeout=300, capture_output=True)
    # 24 examples in steps of 5: the last step has one example fewer than the others and one process less
    model, folder, _ = workshop.train("one", max_steps=5, batch_size=5, log_every=1)
    assert read_losses(RunFolder(tmp_path / "two")) == pytest.approx(read_losses(folder), rel=1e-5)
    for rank in range(2):
        assert_same(torch.load(tmp_path / f"weights-{rank}.pt"), weights_of(model), rtol=1e-3, atol=1e-5)


def test_every_line_of_the_log_says_what_the_steps_took(workshop):
    _, folder, result = workshop.train(max_steps=4, log_every=2, checkpoint_every=2)
    lines = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    logged = [line for line in lines if "loss" in line]
    assert [line["step"] for line in logged] == [1, 2, 4]  # the first step is always logged
    assert all(line["tokens_per_second"] > 0 < line["grad_norm"] for line in logged)
    assert all(line["peak_memory_gb"] > 0.1 for line in logged)  # torch alone takes more
    lengths = [len(example["input_ids"]) for example in workshop.examples]
    steps = [step for epoch in range(2) for step in plan_epoch(24, 8, seed=42, epoch=epoch)][:4]
    expected = sum(lengths[index] for step in steps for index in step)
    assert logged[-1]["num_tokens"] == result.num_tokens == expected
    assert [line["step"] for line in lines if line.get("checkpoint")] == [2, 4]


def test_a_continued_run_counts_the_tokens_before_its_checkpoint_too(workshop):
    _, whole, expected = workshop.train("whole", max_steps=6, log_every=1, checkpoint_every=2)
    (whole.checkpoints / "checkpoint-6" / "trainer_state.json").unlink()
    _, _, result = workshop.train("whole", max_steps=6, log_every=1, checkpoint_every=2)
    assert result.num_tokens == expected.num_tokens
    lines = [json.loads(line) for line in whole.metrics.read_text().splitlines()]
    assert [line["step"] for line in lines if line.get("checkpoint")] == [2, 4, 6]
