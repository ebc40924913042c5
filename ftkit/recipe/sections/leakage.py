"""Settings of `data.leakage`: training rows that repeat what the model is measured on."""

from typing import Annotated, Literal

from pydantic import Field

from ftkit.recipe.sections.section import Section
from ftkit.recipe.values import Number, Text


class LeakageSection(Section):
    """Training rows that repeat held-out rows, and what happens to them.

    `leakage: error` is short for `{action: error}`.
    """

    action: Literal["drop", "error", "allow"] = "drop"
    """What happens to training rows that say the same as a validation or test row: they are left out
    (`drop`), stop the run (`error`), or are only told (`allow`). Held-out rows are never touched."""

    against: Annotated[list[Text], Field(examples=[["benchmark.jsonl"]])] = []
    """Further files, written like `train`, whose rows must not be among the training rows either, such as
    benchmarks; under the task's names of the columns or those of `data.columns`."""

    threshold: Annotated[Number, Field(gt=0, le=1)] = 0.8
    """From which similarity on two rows say the same, above 0 and at most 1: the share of their pairs of
    neighbouring words (of characters, in scripts without spaces) that both have, each counted the less the
    more rows have it. 1: the same words in the same order."""
