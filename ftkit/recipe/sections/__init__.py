"""Every setting of a recipe: its type, default, bounds, unit and meaning, written down here once.

The text under a field is its documentation: the editor's help, the JSON schema and the table in the
README come from it. What settings must be together is in `ftkit.recipe.conflicts`; `load_recipe` and
`make_recipe` check both.
"""

from ftkit.recipe.sections.adapter import AdapterSection
from ftkit.recipe.sections.checks import ChecksSection
from ftkit.recipe.sections.data import DataSection
from ftkit.recipe.sections.evaluation import (
    AlsoSection,
    CodeSection,
    EvaluationSection,
    GenerationSection,
    HarnessSection,
)
from ftkit.recipe.sections.leakage import LeakageSection
from ftkit.recipe.sections.mixing import MixingSection
from ftkit.recipe.sections.model import ModelSection
from ftkit.recipe.sections.parallel import ParallelSection
from ftkit.recipe.sections.section import Section
from ftkit.recipe.sections.split import SplitSection
from ftkit.recipe.sections.training import TrainingSection
from ftkit.recipe.sections.whole import Recipe

__all__ = [
    "AdapterSection",
    "ChecksSection",
    "AlsoSection",
    "CodeSection",
    "DataSection",
    "EvaluationSection",
    "GenerationSection",
    "HarnessSection",
    "LeakageSection",
    "MixingSection",
    "ModelSection",
    "ParallelSection",
    "Recipe",
    "Section",
    "SplitSection",
    "TrainingSection",
]
