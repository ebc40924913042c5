"""Settings of `data.mixing`: how much of each source an epoch has."""

from typing import Annotated, Literal

from pydantic import Field

from ftkit.recipe.sections.section import Section
from ftkit.recipe.values import Number


class MixingSection(Section):
    """How much of each source of `data.train` an epoch has, where that is a list of several."""

    temperature: Annotated[Number, Field(ge=1)] | None = None
    """Instead of weights, for a list of sources: each weighs as many as its examples to the power of 1 /
    temperature. 1: as they are; the higher, the more alike; `null`: no weights."""

    stopping_strategy: Literal["all_exhausted", "first_exhausted"] = "all_exhausted"
    """How long an epoch of weighted sources is: until all examples of all sources have come, some repeatedly
    (`all_exhausted`), or as long as none has to be repeated (`first_exhausted`); the others come in the
    next epochs."""
