"""A recipe: all sections of one run."""

from typing import Annotated

from pydantic import Field

from ftkit.recipe.sections.adapter import AdapterSection
from ftkit.recipe.sections.checks import ChecksSection
from ftkit.recipe.sections.data import DataSection
from ftkit.recipe.sections.evaluation import EvaluationSection
from ftkit.recipe.sections.model import ModelSection
from ftkit.recipe.sections.parallel import ParallelSection
from ftkit.recipe.sections.section import Section
from ftkit.recipe.sections.training import TrainingSection
from ftkit.recipe.values import TaskName, Text


class Recipe(Section):
    """All of one run: what to learn, from what, how, and where the result goes."""

    task: Annotated[TaskName, Field(examples=["text-classification"])]
    """What the model learns to do: one of ftkit's tasks, or a module of yours by its dotted name."""

    model: Annotated[ModelSection, Field(examples=["HuggingFaceTB/SmolLM2-135M"])]
    data: Annotated[DataSection, Field(examples=["train.jsonl"])]
    adapter: AdapterSection | None = None
    training: TrainingSection = TrainingSection()
    evaluation: EvaluationSection = EvaluationSection()
    checks: ChecksSection = ChecksSection()
    parallel: ParallelSection = ParallelSection()

    output_dir: Annotated[Text | None, Field(examples=["runs/spam"])] = None
    """Folder of the run; `null`: `runs/` and the recipe's name, beside the recipe."""
