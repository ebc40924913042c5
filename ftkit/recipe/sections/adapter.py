"""Settings of the section `adapter`: what is trained beside the weights."""

from typing import Annotated, Literal

from pydantic import Field

from ftkit.recipe.sections.section import Section
from ftkit.recipe.values import Count, Number, Text


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
