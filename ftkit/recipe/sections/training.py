"""Settings of the section `training`: how the model learns."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ftkit.recipe.names import Optimizer, Precision, Scheduler
from ftkit.recipe.sections.section import Section
from ftkit.recipe.values import ClassWeights, Count, Interval, Number, Plain, Seed, Text, Warmup


class TrainingSection(Section):
    """How the model learns."""

    epochs: Annotated[Number, Field(gt=0)] | None = None
    """Passes over the training rows, above 0; 3 when `max_steps` is not given either."""

    max_steps: Count | None = None
    """Number of optimiser steps, at least 1; decides alone where `epochs` is given too."""

    batch_size: Count = 16
    """Examples per optimiser step, at least 1, over all devices together."""

    micro_batch_size: Count | Literal["auto"] = "auto"
    """Examples that one device computes at a time, at least 1 and at most `batch_size`; `auto`: as many as
    memory allows, half as many where it runs out all the same. The result does not depend on it."""

    learning_rate: Annotated[Number, Field(gt=0, lt=1, examples=[5e-5, 2e-4])] = 5e-5
    """Peak step size, reached after the warm-up; above 0 and below 1."""

    lr_scheduler_type: Scheduler = "linear"
    """How the learning rate goes on after the warm-up: any schedule of transformers."""

    lr_scheduler_kwargs: Plain = {}
    """Further arguments of the schedule, such as `{min_lr: 1e-6}` for `cosine_with_min_lr`."""

    warmup: Annotated[Warmup, Field(examples=["5%", 100])] = 0
    """Start of the run over which the learning rate rises from 0: a number of steps, or a share of the
    run (`5%`)."""

    optim: Optimizer = "adamw_torch_fused"
    """Optimiser: any that transformers names; the default is AdamW, computed in one pass over the weights."""

    optim_args: Annotated[Plain, Field(examples=[{"momentum": 0.9}])] = {}
    """Further arguments of the optimiser, such as `{momentum: 0.9}` for `sgd`."""

    weight_decay: Annotated[Number, Field(ge=0)] = 0.0
    """L2 penalty: share of each weight that is taken off per step, times the learning rate; from 0."""

    l1_penalty: Annotated[Number, Field(ge=0)] = 0.0
    """L1 penalty: this times the sum of the absolute trained weights is added to the loss; from 0."""

    label_smoothing_factor: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Share of each label that is spread over all labels, from 0 to below 1."""

    class_weights: Annotated[ClassWeights, Field(examples=["balanced", {"ham": 1, "spam": 4}])] = "none"
    """For text-classification: how much each label weighs in the loss: all the same (`none`), the rarer
    the more (`balanced`), or a weight above 0 for each label, 1 for those that are not named."""

    max_grad_norm: Annotated[Number, Field(ge=0)] = 1.0
    """Longest gradient: a longer one is scaled down to this; 0: never."""

    seed: Seed = 42
    """Start of all random numbers: splits, order of the rows, new weights, dropout; 0 to 4294967295."""

    precision: Precision = "auto"
    """Number type to compute in; `auto`: bfloat16 where the device is fast with it, otherwise float32."""

    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: less memory, about a third more time."""

    early_stopping_patience: Count | None = None
    """Stop after this many evaluations without a better score, at least 1; `null`: never."""

    early_stopping_threshold: Annotated[Number, Field(ge=0)] = 0.0
    """How much better a score must be to count for early stopping, in the unit of the score; from 0."""

    checkpoint_every: Annotated[Interval, Field(examples=["epoch", 500, "30 min"])] = "epoch"
    """When to save a checkpoint: every so many steps, every so often (`30 min`), after each epoch, or
    never."""

    save_total_limit: Count = 2
    """Number of checkpoints to keep, at least 1; older ones are deleted, never the best or the last one."""

    load_best_model_at_end: bool = True
    """End with the checkpoint of the best score, not with the last one; needs validation rows."""

    log_every: Count = 10
    """Steps between two lines of the log, at least 1."""

    profile: Annotated[Count, Field(examples=[10])] | None = None
    """Time this many steps after the first, and write where they went (data, forward, head, backward,
    optimiser, other) and a trace of torch's profiler of two more into the run's folder `profile`; `null`:
    none."""

    report_to: Annotated[list[Text], Field(examples=[["tensorboard"]])] = []
    """Trackers that get the metrics as well, by transformers' names (tensorboard, wandb, ...)."""

    arguments: Annotated[Plain, Field(examples=[{"dataloader_num_workers": 2}])] = {}
    """Anything else that `transformers.TrainingArguments` takes, passed on as it is. What ftkit sets
    itself is refused here."""

    @model_validator(mode="before")
    @classmethod
    def _give_length(cls, values: Any) -> Any:
        """Train for 3 epochs where the recipe gives the run no length."""
        if (
            not isinstance(values, dict)
            or values.get("epochs") is not None
            or values.get("max_steps") is not None
        ):
            return values
        return {**values, "epochs": 3.0}
