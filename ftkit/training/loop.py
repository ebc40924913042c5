"""Train a model as the recipe says."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ftkit.errors import DataError, InterruptedRun
from ftkit.models.padding_free import can_do_without_padding
from ftkit.models.quiet import quiet_transformers
from ftkit.recipe import read_duration
from ftkit.tasks import LossOptions
from ftkit.training.arguments import count_total_steps, make_arguments
from ftkit.training.memory import choose_limit, estimate_bytes_per_token, read_free_bytes, read_peak_bytes
from ftkit.training.steps import MicroBatchLimit, StepSampler
from ftkit.training.trackers import TrackerGuard, guard_trackers
from ftkit.training.watch import StepWatch

if TYPE_CHECKING:
    import datasets
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, TrainingArguments

    from ftkit.data import Mixture, Rows
    from ftkit.models import Checkpoint
    from ftkit.recipe import EvaluationSection, TrainingSection
    from ftkit.runs import RunFolder
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split
    from ftkit.tasks.example_streams import ExampleStream
    from ftkit.training.streamed_steps import StreamedSteps

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingResult:
    """What training came to."""

    num_steps: int
    num_epochs: float
    best_step: int | None
    """The step whose weights the model has; None where the last step's are kept."""
    seconds: float
    tokens_per_second: float
    num_tokens: int
    """Tokens of all steps, padding not counted; of a continued run, those before its checkpoint too."""
    peak_memory_bytes: int
    """The most that tensors took on the accelerator, or the process on a CPU; 0 where unknown."""
    stream: Mapping[str, Any] | None = None
    """Where rows were read while training: what was read, as `StreamedSteps.describe` says it."""
    trackers: tuple[TrackerGuard, ...] = field(default=(), repr=False)
    """Trackers that wait for the final scores; `finish` ends each."""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields for the report."""
        return {name: value for name, value in vars(self).items() if name not in ("trackers", "stream")}


def train(
    checkpoint: Checkpoint,
    task: Task,
    split: Split,
    *,
    training: TrainingSection,
    evaluation: EvaluationSection,
    folder: RunFolder,
    validate: Callable[[], dict[str, float]] | None,
    best_metric: tuple[str, bool],
    class_weights: tuple[float, ...] = (),
    mixture: Mixture | None = None,
) -> TrainingResult:
    """Train a model in place; a checkpoint in the run folder is continued.

    Args:
        checkpoint: the model, with its adapter where it has one, and what belongs to it.
        task: how a batch is made and what the loss is.
        split: encoded rows to learn from.
        training: settings of the section `training`.
        evaluation: settings of the section `evaluation`: how often to validate.
        folder: the run folder.
        validate: scores the model on the validation rows; None where there are none.
        best_metric: the metric that chooses the best checkpoint, and whether greater is better; unused
            without `validate`.
        class_weights: how much each label weighs in the loss; empty where all weigh the same.
        mixture: which examples an epoch has; None for each once.

    Raises:
        InterruptedRun: the user stopped it; a checkpoint is there.
        TrainingError: loss or gradient are not finite; names the rows.
        DeviceMemoryError: a micro-batch did not fit.
    """
    from transformers import EarlyStoppingCallback, PrinterCallback

    from ftkit.training.callbacks import (
        MetricsFile,
        Progress,
        RestoreSums,
        SaveAfterEpoch,
        SaveBest,
        SaveByTime,
        StopOnSignal,
        format_seconds,
    )
    from ftkit.training.streamed_steps import StreamedSteps, StreamSampler
    from ftkit.training.trainer import StepExamples, StepTrainer

    lengths = read_lengths(split.examples)
    longest = int(lengths.max())
    rows: Rows | StreamedSteps = split.rows
    world_size, rank = read_processes()
    if split.stream is None:
        examples: StepExamples | StreamedSteps = StepExamples(split.examples)
        sampler: StepSampler | StreamSampler = StepSampler(
            lengths,
            training.batch_size,
            seed=training.seed,
            rank=rank,
            world_size=world_size,
            mixture=mixture,
        )
    else:
        examples = rows = open_steps(split.stream, training, folder)
        sampler, longest = StreamSampler(examples), max(longest, split.encoding.max_tokens)
    arguments = make_arguments(
        training,
        evaluation,
        checkpoint.precision,
        folder=folder.checkpoints,
        total_steps=count_total_steps(training, len(sampler)),
        world_size=world_size,
        device_type=checkpoint.model.device.type,
        best_metric=best_metric if validate else None,
    )
    stop = StopOnSignal()
    callbacks = [MetricsFile(folder.metrics), Progress(), SaveBest(), stop]
    if (seconds_between := read_duration(training.checkpoint_every)) is not None:
        callbacks.append(SaveByTime(seconds_between))
    callbacks.append(SaveAfterEpoch())  # the last word, after all that ask for one
    if training.early_stopping_patience is not None and validate is not None:
        callbacks.append(
            EarlyStoppingCallback(training.early_stopping_patience, training.early_stopping_threshold)
        )
    trainer = StepTrainer(
        model=checkpoint.model,
        args=arguments,
        processing_class=checkpoint.tokenizer,
        train_dataset=examples,
        eval_dataset=split.examples
        if validate
        else None,  # Trainer insists on one; `validate` knows the rows
        callbacks=callbacks,
        task=task,
        encoding=split.encoding,
        sampler=sampler,
        limit=_choose_limit(checkpoint.model, training, arguments, longest),
        loss_options=LossOptions(training.label_smoothing_factor, class_weights),
        l1_penalty=training.l1_penalty,
        num_checkpoints=training.save_total_limit,
        watch=StepWatch(rows, folder.path.with_name(f"{folder.path.name}.stopped.jsonl")),
        validate=validate,
    )
    trainer.remove_callback(PrinterCallback)
    trackers = guard_trackers(trainer, folder.tensorboard)
    last = folder.find_checkpoint()
    if last is not None:
        logger.info("continuing after step %s", last.name.removeprefix("checkpoint-"))
        trainer.add_callback(RestoreSums(partial(trainer.restore_sums, last)))
        if isinstance(examples, StreamedSteps):
            examples.restore(last)
    started = time.perf_counter()
    with stop.listening(), quiet_transformers():
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    seconds = time.perf_counter() - started
    state = trainer.state
    if stop.stops and state.global_step < state.max_steps:
        for tracker in trackers:
            tracker.finish()
        raise InterruptedRun(
            f"stopped after step {state.global_step} of {state.max_steps}; the checkpoint is in "
            f"{folder.checkpoints}. The same command continues from there",
            signal=stop.signal,
        )
    result = TrainingResult(
        num_steps=state.global_step,
        num_epochs=float(state.epoch or 0.0),
        best_step=state.best_global_step if arguments.load_best_model_at_end else None,
        seconds=seconds,
        tokens_per_second=trainer.meter.num_tokens / max(trainer.meter.seconds, 1e-9),
        num_tokens=state.num_input_tokens_seen,
        peak_memory_bytes=read_peak_bytes(arguments.device),
        trackers=trackers,
        stream=examples.describe() if isinstance(examples, StreamedSteps) else None,
    )
    kept = f"; kept the best, of step {result.best_step}" if result.best_step else ""
    logger.info(
        "trained %d steps in %s (%.0f tokens/s)%s",
        result.num_steps,
        format_seconds(seconds),
        result.tokens_per_second,
        kept,
    )
    return result


def open_steps(stream: ExampleStream, training: TrainingSection, folder: RunFolder) -> StreamedSteps:
    """Open a stream of examples as the steps of a run, from the begin."""
    from ftkit.training.streamed_steps import StreamedSteps

    world_size, rank = read_processes()
    return StreamedSteps(
        stream,
        num_steps=int(training.max_steps or 0),
        batch_size=training.batch_size,
        seed=training.seed,
        rejected=folder.data / "rejected.jsonl",
        rank=rank,
        world_size=world_size,
    )


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
    model: PreTrainedModel, training: TrainingSection, arguments: TrainingArguments, longest: int
) -> MicroBatchLimit:
    weights = next(iter(model.parameters()))
    per_token = estimate_bytes_per_token(
        model.config,
        bytes_per_value=2 if arguments.bf16 or arguments.fp16 else weights.element_size(),
        checkpointing=training.gradient_checkpointing,
        has_lm_head=bool(model.get_output_embeddings() is not None),
    )
    limit = choose_limit(
        training.micro_batch_size,
        device_type=arguments.device.type,
        free_bytes=read_free_bytes(arguments.device),
        bytes_per_token=per_token,
        longest=longest,
    )
    packs = not arguments.torch_compile and can_do_without_padding(model, longest)  # compiled: equal shapes
    limit = replace(limit, counts_padding=not packs)
    if limit.num_tokens is not None:
        padding = "with" if limit.counts_padding else "without"
        logger.info(
            "micro-batches of up to %d tokens, %s padding (micro_batch_size: auto)", limit.num_tokens, padding
        )
    return limit
