"""Settings of the section `evaluation`: how the model is measured."""

from typing import Annotated, Literal

from pydantic import Field

from ftkit.recipe.sections.section import Section
from ftkit.recipe.values import Count, Number, Text


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
