"""The stories: what `ftkit finetune`, `ftkit eval` and their like do, one line per stage."""

from ftkit.pipeline.cache_outlook import foresee_cache
from ftkit.pipeline.checking import check
from ftkit.pipeline.comparing import compare_runs
from ftkit.pipeline.data_files import clean_data
from ftkit.pipeline.data_preview import preview_data
from ftkit.pipeline.data_stats import describe_data
from ftkit.pipeline.doctoring import doctor
from ftkit.pipeline.finetuning import describe_run, finetune
from ftkit.pipeline.planning_runs import plan
from ftkit.pipeline.pushing import push_run
from ftkit.pipeline.scoring_runs import evaluate
from ftkit.pipeline.showing_runs import write_report
from ftkit.pipeline.slurm import make_slurm_script
from ftkit.pipeline.verifying import verify_run

__all__ = [
    "check",
    "clean_data",
    "compare_runs",
    "describe_data",
    "describe_run",
    "doctor",
    "evaluate",
    "finetune",
    "plan",
    "foresee_cache",
    "make_slurm_script",
    "preview_data",
    "push_run",
    "verify_run",
    "write_report",
]
