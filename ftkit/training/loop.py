"""Train a model as the recipe says."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import DataError, InterruptedRun
from ftkit.models.padding_free import can_do_without_padding
from ftkit.models.quiet import quiet_transformers
from ftkit.recipe import ParallelSection, read_duration
from ftkit.tasks import LossOptions
from ftkit.training.arguments import count_total_steps, make_arguments
from ftkit.training.compiling import falling_back
from ftkit.training.feeding import open_feed
from ftkit.training.footprint import measure_training
from ftkit.training.memory import choose_limit, read_free_bytes, read_total_bytes
from ftkit.training.profiling import StepProfile
from ftkit.training.results import TrainingResult, make_result
from ftkit.training.sharding import (
    copy_without_weights,
    make_shard_arguments,
    make_whole,
    shards_model,
    validate_whole,
)
from ftkit.training.steps import MicroBatchLimit
from ftkit.training.trackers import guard_trackers
from ftkit.training.watch import StepWatch

if TYPE_CHECKING:
    import datasets
    import numpy as np
    from numpy.typing import NDArray
    from transformers import TrainerCallback, TrainingArguments

    from ftkit.data import Mixture
    from ftkit.models import Checkpoint
    from ftkit.recipe import EvaluationSection, TrainingSection
    from ftkit.runs import RunFolder
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split

logger = logging.getLogger(__name__)


def train(  # noqa: PLR0913 - the parts of a run
    checkpoint: Checkpoint,
    task: Task,
    split: Split,
    *,
    training: TrainingSection,
    evaluation: EvaluationSection,
    parallel: ParallelSection | None = None,
    folder: RunFolder,
    validate: Callable[[], dict[str, float]] | None,
    best_metric: tuple[str, bool],
    class_weights: tuple[float, ...] = (),
    mixture: Mixture | None = None,
    last_step: int | None = None,
) -> TrainingResult:
    """Train a model in place; a checkpoint in the run folder is continued.

    Args:
        checkpoint: the model, with its adapter where it has one, and what belongs to it.
        task: how a batch is made and what the loss is.
        split: encoded rows to learn from.
        training: settings of the section `training`.
        evaluation: settings of the section `evaluation`: how often to validate.
        parallel: settings of the section `parallel`: whether processes share the weights; None for defaults.
        folder: the run folder.
        validate: scores the model on the validation rows; None where there are none.
        best_metric: the metric that chooses the best checkpoint, and whether greater is better; unused
            without `validate`.
        class_weights: how much each label weighs in the loss; empty where all weigh the same.
        mixture: which examples an epoch has; None for each once.
        last_step: stop after this one, with a checkpoint, as a signal would; None for all steps.

    Raises:
        InterruptedRun: the user stopped it; a checkpoint is there.
        TrainingError: loss or gradient are not finite; names the rows.
        DeviceMemoryError: a micro-batch did not fit.
    """
    from transformers import PrinterCallback

    from ftkit.training.callbacks import RestoreSums, StopOnSignal
    from ftkit.training.trainer import StepTrainer

    world_size, rank = read_processes()
    lengths = read_lengths(split.examples)
    feed = open_feed(split, training, folder, mixture, lengths=lengths, rank=rank, world_size=world_size)
    last = folder.find_checkpoint()
    sharding = choose_sharding(parallel or ParallelSection(), checkpoint, world_size=world_size, last=last)
    arguments = make_arguments(
        training,
        evaluation,
        checkpoint.precision,
        folder=folder.checkpoints,
        total_steps=count_total_steps(training, len(feed.sampler)),
        world_size=world_size,
        device_type=checkpoint.model.device.type,
        best_metric=best_metric if validate else None,
        sharding=sharding,
    )
    pattern = copy_without_weights(checkpoint.model) if sharding else None
    if pattern is not None and validate is not None:
        validate = validate_whole(checkpoint, pattern, validate)
    stop = StopOnSignal(last_step)
    profile = None
    if training.profile is not None and rank == 0:
        profile = StepProfile(training.profile, folder.profile, arguments.device)
    trainer = StepTrainer(
        model=checkpoint.model,
        args=arguments,
        processing_class=checkpoint.tokenizer,
        train_dataset=feed.examples,
        eval_dataset=split.examples if validate else None,  # Trainer insists on one; `validate` has the rows
        callbacks=make_callbacks(training, folder, stop, profile, validates=validate is not None),
        task=task,
        encoding=split.encoding,
        sampler=feed.sampler,
        limit=_choose_limit(checkpoint, training, arguments, feed.longest),
        loss_options=LossOptions(training.label_smoothing_factor, class_weights),
        l1_penalty=training.l1_penalty,
        num_checkpoints=training.save_total_limit,
        watch=StepWatch(feed.rows, folder.path.with_name(f"{folder.path.name}.stopped.jsonl")),
        validate=validate,
        profile=profile,
    )
    trainer.remove_callback(PrinterCallback)
    trackers = guard_trackers(trainer, folder.tensorboard)
    if last is not None:
        logger.info("continuing after step %s", last.name.removeprefix("checkpoint-"))
        trainer.add_callback(RestoreSums(partial(trainer.restore_sums, last)))
        feed.restore(last)
    started = time.perf_counter()
    with stop.listening(), quiet_transformers(), falling_back(arguments.torch_compile):
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    seconds = time.perf_counter() - started
    if pattern is not None:
        checkpoint.model = make_whole(pattern, trainer.model)
    state = trainer.state
    if stop.signal is not None and stop.stops and state.global_step < state.max_steps:
        for tracker in trackers:
            tracker.finish()
        raise InterruptedRun(
            f"stopped after step {state.global_step} of {state.max_steps}; the checkpoint is in "
            f"{folder.checkpoints}. The same command continues from there",
            signal=stop.signal,
        )
    return make_result(trainer, feed, profile, seconds=seconds, trackers=tuple(trackers))


def make_callbacks(
    training: TrainingSection,
    folder: RunFolder,
    stop: TrainerCallback,
    profile: StepProfile | None,
    *,
    validates: bool,
) -> list[TrainerCallback]:
    """List what looks on while steps are taken, in the order in which it is called."""
    from transformers import EarlyStoppingCallback

    from ftkit.training.callbacks import (
        MetricsFile,
        ProfileSteps,
        Progress,
        SaveAfterEpoch,
        SaveBest,
        SaveByTime,
    )

    callbacks = [MetricsFile(folder.metrics), Progress(), SaveBest(), stop]
    if (seconds_between := read_duration(training.checkpoint_every)) is not None:
        callbacks.append(SaveByTime(seconds_between))
    callbacks.append(SaveAfterEpoch())  # the last word, after all that ask for one
    if profile is not None:
        callbacks.append(ProfileSteps(profile))
    patience = training.early_stopping_patience
    if patience is not None and validates:
        callbacks.append(EarlyStoppingCallback(patience, training.early_stopping_threshold))
    return callbacks


def choose_sharding(
    parallel: ParallelSection, checkpoint: Checkpoint, *, world_size: int, last: Path | None
) -> dict[str, Any] | None:
    """Return the arguments of sharding; None where every process has a copy of all."""
    device = checkpoint.model.device
    memory = read_total_bytes(device) if device.type == "cuda" else 0
    shards = shards_model(parallel, checkpoint.model, world_size=world_size, memory_bytes=memory, last=last)
    if world_size > 1:
        logger.info("parallel: %s over %d processes", "fsdp" if shards else "ddp", world_size)
    elif parallel.shard_size:
        logger.warning("parallel.shard_size: not used; there is one process")
    return make_shard_arguments(parallel, checkpoint.model, world_size) if shards else None


def read_lengths(examples: datasets.Dataset) -> NDArray[np.int64]:
    """Return the tokens of each example, shape (examples,), without reading the tokens.

    Raises:
        DataError: there are no examples.
    """
    import numpy as np
    import pyarrow.compute as pc

    if len(examples) == 0:
        raise DataError("data.train: no examples are left to train on")
    if "num_tokens" in examples.column_names:  # where the input is not all that the model computes
        return np.fromiter(examples["num_tokens"], dtype=np.int64, count=len(examples))
    column = examples.with_format("arrow")["input_ids"]
    chunks = column.chunks if hasattr(column, "chunks") else [column[:]]
    lengths = [pc.list_value_length(chunk).to_numpy() for chunk in chunks]
    return np.concatenate(lengths, dtype=np.int64)


def read_processes() -> tuple[int, int]:
    """Return the number of processes and the rank of this one, as launchers set them."""
    return int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))


def _choose_limit(
    checkpoint: Checkpoint, training: TrainingSection, arguments: TrainingArguments, longest: int
) -> MicroBatchLimit:
    model, device = checkpoint.model, arguments.device
    needs_estimate = training.micro_batch_size == "auto" and device.type != "cpu"
    limit = choose_limit(
        training.micro_batch_size,
        device_type=device.type,
        longest=longest,
        footprint=measure_training(
            model, checkpoint.precision, training, longest=longest, device_type=device.type
        )
        if needs_estimate
        else None,
        free_bytes=read_free_bytes(device),
    )
    packs = not arguments.torch_compile and can_do_without_padding(model, longest)  # compiled: equal shapes
    limit = replace(limit, counts_padding=not packs)
    if limit.num_tokens is not None:
        padding = "with" if limit.counts_padding else "without"
        logger.info(
            "micro-batches of up to %d tokens, %s padding (micro_batch_size: auto)", limit.num_tokens, padding
        )
    return limit
