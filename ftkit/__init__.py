"""ftkit: one recipe becomes a fine-tuned language model that you can trust and use.

The same functions as the command line, loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftkit.checks import Check
    from ftkit.data.cache_listing import list_cache, prune_cache
    from ftkit.errors import FtkitError
    from ftkit.evaluation.report import Evaluation
    from ftkit.inference import GenerationOptions, Run, open_run
    from ftkit.metrics import describe_metrics
    from ftkit.pipeline import (
        check,
        clean_data,
        compare_runs,
        describe_data,
        doctor,
        evaluate,
        finetune,
        foresee_cache,
        make_slurm_script,
        plan,
        preview_data,
        push_run,
        verify_run,
        write_report,
    )
    from ftkit.recipe import Recipe, load_recipe
    from ftkit.reporting.run_list import list_runs
    from ftkit.tasks.listing import describe_tasks
    from ftkit.training.tokenizer import train_tokenizer

__version__ = "0.1.0"
__all__ = [
    "Check",
    "Evaluation",
    "FtkitError",
    "GenerationOptions",
    "Recipe",
    "Run",
    "check",
    "clean_data",
    "compare_runs",
    "describe_data",
    "describe_metrics",
    "describe_tasks",
    "doctor",
    "evaluate",
    "finetune",
    "foresee_cache",
    "list_cache",
    "list_runs",
    "load_recipe",
    "make_slurm_script",
    "open_run",
    "plan",
    "preview_data",
    "prune_cache",
    "push_run",
    "train_tokenizer",
    "verify_run",
    "write_report",
]

ROOMS = {
    "Check": "ftkit.checks",
    "Evaluation": "ftkit.evaluation.report",
    "FtkitError": "ftkit.errors",
    "GenerationOptions": "ftkit.inference",
    "Recipe": "ftkit.recipe",
    "Run": "ftkit.inference",
    "check": "ftkit.pipeline",
    "clean_data": "ftkit.pipeline",
    "compare_runs": "ftkit.pipeline",
    "describe_data": "ftkit.pipeline",
    "describe_metrics": "ftkit.metrics",
    "describe_tasks": "ftkit.tasks.listing",
    "doctor": "ftkit.pipeline",
    "evaluate": "ftkit.pipeline",
    "finetune": "ftkit.pipeline",
    "foresee_cache": "ftkit.pipeline",
    "list_cache": "ftkit.data.cache_listing",
    "list_runs": "ftkit.reporting.run_list",
    "load_recipe": "ftkit.recipe",
    "make_slurm_script": "ftkit.pipeline",
    "open_run": "ftkit.inference",
    "plan": "ftkit.pipeline",
    "preview_data": "ftkit.pipeline",
    "prune_cache": "ftkit.data.cache_listing",
    "push_run": "ftkit.pipeline",
    "train_tokenizer": "ftkit.training.tokenizer",
    "verify_run": "ftkit.pipeline",
    "write_report": "ftkit.pipeline",
}
"""Public name -> the module that has it."""


def __getattr__(name: str) -> Any:
    if name not in ROOMS:
        raise AttributeError(f"module 'ftkit' has no attribute {name!r}")
    return getattr(importlib.import_module(ROOMS[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
