"""The one subclass of `transformers.Trainer`: a batch is a whole optimiser step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, Trainer

from ftkit.models.padding_free import without_padding
from ftkit.runs.checkpoint_folders import ASIDE
from ftkit.training.checkpoints import measure_checkpoint, prune_checkpoints, writing_checkpoint
from ftkit.training.memory import is_out_of_memory, make_memory_error, read_peak_bytes
from ftkit.training.meter import StepMeter
from ftkit.training.steps import MicroBatchLimit, StepSampler, count_tokens, mute_example, split_step
from ftkit.training.streamed_steps import StreamedSteps, StreamSampler
from ftkit.training.watch import StepWatch

if TYPE_CHECKING:
    import datasets

    from ftkit.tasks import Encoding, LossOptions, Task

MicroBatch = dict[str, torch.Tensor]

SUMS = "sums.json"
"""In a checkpoint: what is summed up between two lines of the log."""


class StepTrainer(Trainer):  # type: ignore[misc]
    """Trains on whole optimiser steps, each cut into micro-batches of similar length.

    The loss is the mean over the supervised tokens (or rows) of the whole step, over all micro-batches
    and processes, so that neither `micro_batch_size` nor the number of devices changes the result.
    """

    def __init__(
        self,
        *,
        task: Task,
        encoding: Encoding,
        sampler: StepSampler | StreamSampler,
        limit: MicroBatchLimit,
        loss_options: LossOptions,
        l1_penalty: float = 0.0,
        num_checkpoints: int = 2,
        validate: Callable[[], dict[str, float]] | None = None,
        watch: StepWatch | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.task = task
        self.sampler = sampler
        self.limit = limit
        self.encoding = encoding
        self.loss_options = loss_options
        self.validate = validate
        self.watch = watch
        self.step_in_hand: tuple[torch.Tensor, Sequence[MicroBatch]] | None = None
        self.l1_penalty = l1_penalty
        self.num_checkpoints = num_checkpoints
        names = set(self.get_decay_parameter_names(self.model)) if l1_penalty else set()
        named = self.model.named_parameters()
        self.penalised = [weights for name, weights in named if name in names and weights.requires_grad]
        self.meter = StepMeter()
        self.aside: Path | None = None

    def get_train_dataloader(self) -> DataLoader[Any]:
        """Load the share of one step at a time, as a list of micro-batches on the CPU."""
        return DataLoader(
            self.train_dataset,
            batch_sampler=self.sampler,
            collate_fn=self._collate_step,
            num_workers=self.args.dataloader_num_workers,
            pin_memory=self.args.dataloader_pin_memory and self.args.device.type == "cuda",
        )

    def training_step(
        self, model: torch.nn.Module, inputs: Any, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Run forward and backward over the micro-batches of one step.

        Returns:
            The mean loss of this process's share, scaled so that its mean over processes is the step's.
        """
        model.train()
        self._set_optimizer_mode("train")
        micro_batches: Sequence[MicroBatch] = inputs
        num_items, num_tokens = self._sum_over_processes(
            sum(self.task.count_items(batch) for batch in micro_batches),
            sum(int(batch["attention_mask"].sum()) for batch in micro_batches),
        )
        scale = self.args.world_size / (num_items or 1)
        total = torch.zeros((), device=self.args.device)
        for position, batch in enumerate(micro_batches):
            is_last = position == len(micro_batches) - 1
            with nullcontext() if is_last else self.accelerator.no_sync(model):
                total += self._run_micro_batch(model, batch, scale, with_penalty=is_last)
        self.meter.num_tokens += int(num_tokens)
        self.state.num_input_tokens_seen += int(num_tokens)  # a checkpoint keeps it
        self.step_in_hand = (total, micro_batches)
        return total

    def _get_grad_norm(self, model: torch.nn.Module, grad_norm: Any = None) -> Any:
        """Stop before the optimiser takes a step whose loss or gradient is not finite."""
        norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        if self.watch is None or self.step_in_hand is None:
            return norm
        (total, batches), scales = self.step_in_hand, self.accelerator.scaler is not None
        loss, length = float(total), float(norm)
        if not self.watch.admits(loss, length, scales=scales):
            with self.compute_loss_context_manager():
                on_device = [self._prepare_inputs(batch) for batch in batches]
                self.watch.stop(self.state.global_step + 1, loss, length, self.task, model, on_device)
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add to a line of the loss what the steps took: for the metrics file and for every tracker."""
        if "loss" in logs:
            logs["tokens_per_second"] = self.meter.read_tokens_per_second()
            logs["num_tokens"] = self.state.num_input_tokens_seen
            logs["peak_memory_gb"] = round(read_peak_bytes(self.args.device) / 1e9, 3)
        super().log(logs, start_time)

    def _run_epoch(self, **options: Any) -> None:
        """Train no step more where a continued run had come to its end; `Trainer` would take one."""
        if self._has_ended():
            self.control.should_training_stop = True
            return
        super()._run_epoch(**options)

    def _has_ended(self) -> bool:
        stopped_early = any(
            callback.early_stopping_patience_counter >= callback.early_stopping_patience
            for callback in self.callback_handler.callbacks
            if isinstance(callback, EarlyStoppingCallback)
        )
        return stopped_early or self.state.global_step >= self.state.max_steps

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Score the validation rows with ftkit's own evaluation and report it as `Trainer` would."""
        assert self.validate is not None  # without validation rows the arguments never ask for it
        self._set_optimizer_mode("eval")
        with self.meter.paused():
            scores = {f"{metric_key_prefix}_{name}": value for name, value in self.validate().items()}
        self.log(scores)
        handler: Any = self.callback_handler
        self.control: Any = handler.on_evaluate(self.args, self.state, self.control, scores)
        return scores

    def floating_point_ops(self, inputs: Any) -> int:
        """Add up what the model estimates for each micro-batch."""
        return sum(int(super(StepTrainer, self).floating_point_ops(batch)) for batch in inputs)

    def restore_sums(self, checkpoint: Path) -> None:
        """Take up what was summed since the last line of the log, so that the next line is the same."""
        sums = json.loads((checkpoint / SUMS).read_text(encoding="utf-8"))
        self._tr_loss = torch.tensor(sums["loss"], device=self.args.device)
        self._globalstep_last_logged = sums["last_logged_step"]

    def _get_output_dir(self, trial: Any) -> str:
        """Return where `Trainer` writes checkpoints: aside, while one is written."""
        return str(self.aside or self.args.output_dir)

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Write a checkpoint aside; it takes its place when all processes have written theirs."""
        place, step = Path(self.args.output_dir), self.state.global_step
        loss = self._sum_over_processes(self._tr_loss.item())[0] / self.args.world_size
        is_main = self.is_world_process_zero()
        trained = sum(each.nbytes for each in self.model.parameters() if each.requires_grad)
        size = measure_checkpoint(place, trained) if is_main else 0
        with writing_checkpoint(place, step, size) if is_main else nullcontext(place / ASIDE) as self.aside:
            self.accelerator.wait_for_everyone()
            super()._save_checkpoint(model, trial)
            if is_main:
                self._complete_checkpoint(self.aside / f"checkpoint-{step}", loss)
            self.accelerator.wait_for_everyone()
        self.aside = None
        if is_main:
            prune_checkpoints(place, keep=self.num_checkpoints, best_step=self.state.best_global_step)

    def _complete_checkpoint(self, folder: Path, loss: float) -> None:
        """Write what `Trainer` leaves out, and where the best checkpoint will be found."""
        best = self.state.best_global_step
        self.state.best_model_checkpoint = f"{self.args.output_dir}/checkpoint-{best}" if best else None
        self.state.save_to_json(str(folder / "trainer_state.json"))
        last = self._globalstep_last_logged
        sums = {"loss": loss, "last_logged_step": last}
        (folder / SUMS).write_text(json.dumps(sums), encoding="utf-8")
        if isinstance(self.train_dataset, StreamedSteps):
            self.train_dataset.save(folder, self.state.global_step)

    def _load_best_model(self) -> None:
        """Load the best checkpoint from where it is now: the run folder may have been moved."""
        best = f"{self.args.output_dir}/checkpoint-{self.state.best_global_step}"
        self.state.best_model_checkpoint = best
        super()._load_best_model()

    def _collate_step(self, examples: Sequence[Mapping[str, Any]]) -> list[MicroBatch]:
        groups = split_step([count_tokens(example) for example in examples], self.limit)
        chosen = ([examples[place] for place in group] for group in groups)
        seed = (self.sampler.seed, self.sampler.epoch)
        return [self.task.collate(group, self.processing_class, self.encoding, seed) for group in chosen]

    def _run_micro_batch(
        self, model: torch.nn.Module, batch: MicroBatch, scale: float, *, with_penalty: bool
    ) -> torch.Tensor:
        try:
            batch = self._prepare_inputs(batch)
            with nullcontext() if self.limit.counts_padding else without_padding(model):
                with self.compute_loss_context_manager():
                    loss = self.task.compute_loss(model, batch, self.loss_options) * scale
                objective = loss
                if with_penalty and self.penalised:
                    size = sum(weights.abs().sum() for weights in self.penalised)
                    objective = loss + self.l1_penalty * size
                self.accelerator.backward(objective)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            num_examples, num_tokens = batch["input_ids"].flatten(0, -2).shape  # choices are a dimension more
            raise make_memory_error(
                num_examples, num_tokens, checkpointing=bool(self.args.gradient_checkpointing)
            ) from error
        return loss.detach()

    def _sum_over_processes(self, *numbers: float) -> list[float]:
        if self.args.world_size == 1:
            return list(numbers)
        mine = torch.tensor([numbers], dtype=torch.float64, device=self.args.device)
        sums: list[float] = self.accelerator.gather(mine).sum(dim=0).tolist()
        return sums

    def _set_optimizer_mode(self, mode: str) -> None:
        """Switch the schedule-free optimisers, which keep two sets of weights."""
        switch = getattr(self.optimizer, mode, None)
        if callable(switch):
            switch()


class StepExamples(torch.utils.data.Dataset):  # type: ignore[misc]
    """Examples by index; a negative index, `~i`, is example `i` without supervision.

    A process that has no example in a step takes one of those, to join the gradients of the others.
    """

    def __init__(self, examples: datasets.Dataset) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Read several examples at once, as the torch loader asks."""
        found = self.examples.__getitems__([max(index, ~index) for index in indices])
        return [
            example if index >= 0 else mute_example(example)
            for index, example in zip(indices, found, strict=True)
        ]
