"""Settings of the section `evaluation`: how the model is measured."""

from typing import Annotated, Literal

from pydantic import Field

from ftkit.recipe.sections.section import Section
from ftkit.recipe.values import Count, Number, Source, TaskName, Text


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


class AlsoSection(Section):
    """A further data set on which base and tuned are scored: did the model forget? Each has a name."""

    data: Annotated[Source, Field(examples=["general.jsonl"])]
    """Its rows, written like `data.train`."""

    task: Annotated[TaskName | None, Field(examples=["causal-lm"])] = None
    """Their task, such as `causal-lm` for the perplexity of general text; it needs the same kind of model;
    `null`: the recipe's own."""

    columns: Annotated[dict[str, Text], Field(examples=[{"text": "body"}])] = {}
    """Where the file names a column otherwise than the task; for the recipe's own task, `data.columns` where
    this says nothing."""

    metrics: Annotated[list[Text] | None, Field(examples=[["perplexity"]])] = None
    """Scores to report; `null`: the task's own."""

    max_rows: Count = 500
    """Number of rows to score at most, at least 1, chosen by their content: the same ones in every run."""


class CodeSection(Section):
    """Running the programs that the model writes, for pass@k: off unless `allow` is true."""

    allow: bool = False
    """Whether what the model writes may be run. Each program gets a process of its own with limits and, where
    the system lets it, without a network; that is no virtual machine, and it can read your files."""

    column: Text = "tests"
    """Column of the rows with the unit tests: Python that fails (`assert ...`) where the program is wrong,
    and is put behind it."""

    samples: Count = 1
    """Programs to write for each row, at least 1 and at least the k of pass@k; 1: the likeliest one."""

    temperature: Annotated[Number, Field(gt=0)] = 0.8
    """With several samples: the higher, the more they differ; above 0."""

    time_limit_seconds: Annotated[Number, Field(gt=0)] = 10.0
    """Longest run of one program, in seconds, above 0."""

    memory_limit_mb: Annotated[int, Field(ge=64)] = 512
    """Most memory of one program, in MiB, at least 64."""


class HarnessSection(Section):
    """Benchmarks of lm-evaluation-harness, for base and tuned; needs `ftkit[harness]`."""

    tasks: Annotated[list[Text], Field(examples=[["arc_easy", "hellaswag"]])] = []
    """Names of its tasks, or files of tasks of your own (`.yaml`)."""

    num_shots: Annotated[int, Field(ge=0)] | None = None
    """Examples before each question, from 0; `null`: as each task says."""

    limit: Count | None = None
    """Rows of each task at most, at least 1; `null`: all."""


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

    group: Annotated[Text, Field(examples=["conversation", "document"])] = "auto"
    """Column that says which held-out rows hang together, so that intervals and tests draw them together;
    `auto`: questions on one context, blocks of one document; `none`: each row stands alone."""

    slices: Annotated[list[Text], Field(examples=[["genre", "year"]])] = []
    """Columns of the held-out rows whose values are scored apart, beside label, length, script and what
    else suits the task."""

    errors: Annotated[int, Field(ge=0)] = 30
    """Rows to keep of each kind in the report, from 0: highest loss, fixed by tuning, broken by it."""

    generation: GenerationSection = GenerationSection()
    """How texts are written for the metrics that score texts, such as rougeL or bleu."""

    also: Annotated[
        dict[str, AlsoSection],
        Field(examples=[{"poems": {"task": "causal-lm", "data": "poems.jsonl"}}]),
    ] = {}
    """Did the model forget? Further data sets, by names of your choice, scored before tuning and after."""

    json_schema: Annotated[Text | None, Field(examples=["answer.schema.json"])] = None
    """File with the JSON schema that texts have to conform to, for json_validity; `null`: any JSON."""

    code: CodeSection = CodeSection()
    """Running the programs that the model writes, for pass@1, pass@5 and pass@10."""

    harness: HarnessSection = HarnessSection()
    """Benchmarks of lm-evaluation-harness."""
