"""ftkit: one recipe becomes a fine-tuned language model that you can trust and use.

The same functions as the command line, loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftkit.data.cache_listing import list_cache, prune_cache
    from ftkit.errors import FtkitError
    from ftkit.evaluation.report import Evaluation
    from ftkit.inference import GenerationOptions, Run, open_run
    from ftkit.metrics import describe_metrics
    from ftkit.pipeline import clean_data, evaluate, finetune
    from ftkit.recipe import Recipe, load_recipe
    from ftkit.tasks.listing import describe_tasks
    from ftkit.training.tokenizer import train_tokenizer

__version__ = "0.1.0"
__all__ = [
    "Evaluation",
    "FtkitError",
    "GenerationOptions",
    "Recipe",
    "Run",
    "clean_data",
    "describe_metrics",
    "describe_tasks",
    "evaluate",
    "finetune",
    "list_cache",
    "load_recipe",
    "open_run",
    "prune_cache",
    "train_tokenizer",
]

ROOMS = {
    "Evaluation": "ftkit.evaluation.report",
    "FtkitError": "ftkit.errors",
    "GenerationOptions": "ftkit.inference",
    "Recipe": "ftkit.recipe",
    "Run": "ftkit.inference",
    "clean_data": "ftkit.pipeline",
    "describe_metrics": "ftkit.metrics",
    "describe_tasks": "ftkit.tasks.listing",
    "evaluate": "ftkit.pipeline",
    "finetune": "ftkit.pipeline",
    "list_cache": "ftkit.data.cache_listing",
    "load_recipe": "ftkit.recipe",
    "open_run": "ftkit.inference",
    "prune_cache": "ftkit.data.cache_listing",
    "train_tokenizer": "ftkit.training.tokenizer",
}
"""Public name -> the module that has it."""


def __getattr__(name: str) -> Any:
    if name not in ROOMS:
        raise AttributeError(f"module 'ftkit' has no attribute {name!r}")
    return getattr(importlib.import_module(ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
