"""The one subclass of `transformers.Trainer`: a batch is a whole optimiser step."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader
from transformers import EarlyStoppingCallback, Trainer

from ftkit.models.padding_free import without_padding
from ftkit.runs.checkpoint_folders import ASIDE
from ftkit.training.checkpoints import measure_checkpoint, prune_checkpoints, writing_checkpoint
from ftkit.training.memory import (
    free_cached_memory,
    halve_limit,
    is_out_of_memory,
    make_memory_error,
    read_peak_bytes,
    read_random_state,
    restore_random_state,
)
from ftkit.training.meter import StepMeter
from ftkit.training.profiling import StepProfile
from ftkit.training.sharding import shard_on_cpu
from ftkit.training.step_batches import MicroBatch, MicroBatchTooLarge, StepBatches
from ftkit.training.steps import MicroBatchLimit, StepSampler, count_tokens, split_step
from ftkit.training.streamed_steps import StreamedSteps, StreamSampler
from ftkit.training.utilisation import measure_peak, measure_work
from ftkit.training.watch import StepWatch

if TYPE_CHECKING:
    from ftkit.tasks import Encoding, LossOptions, Task

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
        profile: StepProfile | None = None,
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
        self.work = measure_work(self.model)
        self.peak_operations = 0.0
        """Operations a second of the device, measured when the first line of the log asks."""

        self.profile = profile
        self.shrinks: list[dict[str, int]] = []
        self.aside: Path | None = None

    def create_accelerator_and_postprocess(self) -> None:
        """Shard on CPUs as well where the arguments say so."""
        if not self.args.fsdp or self.args.device.type != "cpu":
            super().create_accelerator_and_postprocess()
            return
        groups, self.args.parallelism_config = self.args.parallelism_config, None
        super().create_accelerator_and_postprocess()
        shard_on_cpu(self.accelerator, self.args.fsdp_plugin_args, groups)
        self.is_fsdp_enabled, self.args.parallelism_config = True, groups

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
        items = sum(self.task.count_items(batch) for batch in micro_batches)
        tokens = sum(int(batch["attention_mask"].sum()) for batch in micro_batches)
        # A process without examples of its own only joins the gradients (see `StepExamples`).
        mine = (items, tokens, self.floating_point_ops(micro_batches)) if items else (0, 0, 0.0)
        num_items, num_tokens, num_operations = self._sum_over_processes(*mine)
        scale = self.args.world_size / (num_items or 1)
        total, micro_batches = self._compute_gradients(model, inputs, scale)
        self.meter.num_tokens += int(num_tokens)
        self.meter.num_operations += num_operations
        self.state.num_input_tokens_seen += int(num_tokens)  # a checkpoint keeps it
        self.step_in_hand = (total, micro_batches)
        if self.profile is not None:
            self.profile.end_passes(num_tokens, num_operations, self.read_peak_operations())
        return total

    def get_batch_samples(self, *arguments: Any) -> Any:
        """Read the examples of the next step."""
        with self._phase("data"):
            return super().get_batch_samples(*arguments)

    def _phase(self, name: str) -> AbstractContextManager[None]:
        """Tell the profile, if there is one, what the body is."""
        return nullcontext() if self.profile is None else self.profile.phase(name)

    def _watching(self, model: torch.nn.Module) -> AbstractContextManager[None]:
        return nullcontext() if self.profile is None else self.profile.watching(model)

    def _compute_gradients(
        self, model: torch.nn.Module, step: StepBatches, scale: float
    ) -> tuple[torch.Tensor, Sequence[MicroBatch]]:
        """Run the micro-batches of a step; where memory runs out, all of them again, cut smaller.

        Returns:
            The loss, and the micro-batches as they were run.
        """
        before = read_random_state(self.args.device)
        while True:
            batches = step if step.limit == self.limit else self._collate_step(step.examples)
            try:
                return self._run_micro_batches(model, batches, scale), batches
            except MicroBatchTooLarge as error:
                shape = error.shape
                if not error.may_retry or self.limit.num_tokens is None or shape[0] == 1:
                    checkpointing = bool(self.args.gradient_checkpointing)
                    raise make_memory_error(*shape, checkpointing=checkpointing) from error.__cause__
            # Outside of the handler, which holds the frames of the pass that failed, and all their tensors.
            self.limit, shrink = halve_limit(self.limit, *shape, step=self.state.global_step + 1)
            self.shrinks.append(shrink)
            free_cached_memory(self.args.device)
            model.zero_grad()
            restore_random_state(self.args.device, before)

    def _run_micro_batches(
        self, model: torch.nn.Module, batches: Sequence[MicroBatch], scale: float
    ) -> torch.Tensor:
        missing = self._count_missing_rounds(len(batches))
        total = torch.zeros((), device=self.args.device)
        for position, batch in enumerate(batches):
            is_last = position == len(batches) - 1
            waits = is_last or self.is_fsdp_enabled  # shards of gradients are small, whole ones are not
            with nullcontext() if waits else self.accelerator.no_sync(model):
                total += self._run_micro_batch(model, batch, scale, is_last=is_last)
        for _ in range(missing):
            self._run_micro_batch(model, batches[-1], 0.0, is_last=False)
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
            logs["tokens_per_second"], operations = self.meter.read_speeds()
            logs["utilisation"] = round(operations / self.read_peak_operations(), 4)
            logs["num_tokens"] = self.state.num_input_tokens_seen
            if self.shrinks:
                logs["micro_batch_tokens"] = self.limit.num_tokens or 0
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
        with self.meter.paused(), self._phase("evaluation"):
            scores = {f"{metric_key_prefix}_{name}": value for name, value in self.validate().items()}
        self.log(scores)
        handler: Any = self.callback_handler
        self.control: Any = handler.on_evaluate(self.args, self.state, self.control, scores)
        return scores

    def floating_point_ops(self, inputs: Any) -> float:
        """Add up what the micro-batches of this process need."""
        return sum(self.work.count(batch) for batch in inputs)

    def read_peak_operations(self) -> float:
        """Return the operations a second that the devices of all processes have, in a matrix product."""
        if not self.peak_operations:
            weights = next(self.model.parameters()).dtype
            short = torch.bfloat16 if self.args.bf16 else torch.float16 if self.args.fp16 else weights
            with self.meter.paused():
                self.peak_operations = self.args.world_size * measure_peak(self.args.device, short)
        return self.peak_operations

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
        with self._phase("checkpoint"):
            self._write_checkpoint(model, trial)

    def _write_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
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

    def _collate_step(self, examples: Sequence[Mapping[str, Any]]) -> StepBatches:
        groups = split_step([count_tokens(example) for example in examples], self.limit)
        chosen = ([examples[place] for place in group] for group in groups)
        seed = (self.sampler.seed, self.sampler.epoch)
        made = (self.task.collate(group, self.processing_class, self.encoding, seed) for group in chosen)
        return StepBatches(made, examples, self.limit)

    def _run_micro_batch(
        self, model: torch.nn.Module, batch: MicroBatch, scale: float, *, is_last: bool
    ) -> torch.Tensor:
        try:
            batch = self._prepare_inputs(batch)
            with nullcontext() if self.limit.counts_padding else without_padding(model):
                with self.compute_loss_context_manager(), self._watching(model):
                    loss = self.task.compute_loss(model, batch, self.loss_options) * scale
                objective = loss
                if is_last and self.penalised:
                    size = sum(weights.abs().sum() for weights in self.penalised)
                    objective = loss + self.l1_penalty * size
                with self._phase("backward"):
                    self.accelerator.backward(objective)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            num_examples, num_tokens = batch["input_ids"].flatten(0, -2).shape  # choices are a dimension more
            # What all processes do together cannot be begun anew by one alone: joining gradients, shards.
            joins = self.args.world_size > 1 and (is_last or self.is_fsdp_enabled)
            raise MicroBatchTooLarge((num_examples, num_tokens), may_retry=not joins) from error
        return loss.detach()

    def _count_missing_rounds(self, mine: int) -> int:
        """Return how many micro-batches more another process has: each one gathers the shards of all."""
        if not self.is_fsdp_enabled:
            return 0
        rounds = self.accelerator.gather(torch.tensor([mine], device=self.args.device))
        return int(rounds.max()) - mine

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
