"""The stories: what `ftkit finetune`, `ftkit eval` and their like do, one line per stage."""

from ftkit.pipeline.checking import check
from ftkit.pipeline.data_files import clean_data
from ftkit.pipeline.data_preview import preview_data
from ftkit.pipeline.data_stats import describe_data
from ftkit.pipeline.doctoring import doctor
from ftkit.pipeline.finetuning import describe_run, finetune
from ftkit.pipeline.scoring_runs import evaluate

__all__ = [
    "check",
    "clean_data",
    "describe_data",
    "describe_run",
    "doctor",
    "evaluate",
    "finetune",
    "preview_data",
]
