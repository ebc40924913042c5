"""Recipes: every setting of a run, read from a file and checked before anything starts."""

from ftkit.recipe.dumping import dump_recipe, list_rows_in_memory
from ftkit.recipe.known_names import OWNED_ARGUMENTS
from ftkit.recipe.loading import change_evaluation, load_recipe, make_recipe, read_evaluation_words
from ftkit.recipe.names import TASKS
from ftkit.recipe.schema import make_json_schema
from ftkit.recipe.sections import (
    AdapterSection,
    AlsoSection,
    ChecksSection,
    CodeSection,
    DataSection,
    EvaluationSection,
    GenerationSection,
    HarnessSection,
    ModelSection,
    ParallelSection,
    Recipe,
    TrainingSection,
)
from ftkit.recipe.starters import Starter, make_starter, write_starter
from ftkit.recipe.table import make_rules_table, make_settings_table
from ftkit.recipe.trust import describe_code
from ftkit.recipe.values import read_duration

__all__ = [
    "OWNED_ARGUMENTS",
    "TASKS",
    "AdapterSection",
    "ChecksSection",
    "AlsoSection",
    "CodeSection",
    "DataSection",
    "EvaluationSection",
    "GenerationSection",
    "HarnessSection",
    "ModelSection",
    "ParallelSection",
    "Recipe",
    "Starter",
    "TrainingSection",
    "change_evaluation",
    "describe_code",
    "dump_recipe",
    "list_rows_in_memory",
    "load_recipe",
    "make_json_schema",
    "make_recipe",
    "make_rules_table",
    "make_settings_table",
    "make_starter",
    "read_duration",
    "read_evaluation_words",
    "write_starter",
]
