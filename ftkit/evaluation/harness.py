"""Benchmarks of lm-evaluation-harness: base beside tuned, question by question."""

from __future__ import annotations

import difflib
import logging
import math
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import MetricError, MissingDependencyError, RecipeError
from ftkit.evaluation.comparison import (
    Comparison,
    compare_scores,
    correct_comparisons,
    list_comparison,
    score_interval,
)
from ftkit.evaluation.contents import Harness, HarnessScore, ScoreRange
from ftkit.evaluation.predictions import autocast, evaluating
from ftkit.evaluation.row_scores import average
from ftkit.evaluation.slices import list_range

if TYPE_CHECKING:
    from ftkit.models import Checkpoint
    from ftkit.recipe import HarnessSection
    from ftkit.tasks import Task

logger = logging.getLogger(__name__)

BACKENDS = {"AutoModelForCausalLM": "causal", "AutoModelForSeq2SeqLM": "seq2seq"}
"""Kinds of models that the harness can ask, and what it calls them."""
BATCH_SIZE = 8


@dataclass(frozen=True)
class Answers:
    """What one model scored on one metric of one benchmark."""

    task: str
    metric: str
    greater_is_better: bool
    values: tuple[float, ...] | None
    """A number for each question; None for a metric that only exists over all of them."""
    score: float
    num_rows: int


def check_harness(harness: HarnessSection, task: Task) -> None:
    """Refuse benchmarks that do not exist, and models that they cannot ask, before any work.

    Raises:
        MissingDependencyError: the harness is not installed.
        RecipeError: no such benchmark or file, or another kind of model.
    """
    if not harness.tasks:
        return
    if task.MODEL_CLASS not in BACKENDS:
        raise RecipeError(
            "evaluation.harness: asks models that write text, and this task's model is of "
            f"{task.MODEL_CLASS}; take evaluation.harness out"
        )
    manager = _make_manager(harness)
    for name in harness.tasks:
        if _is_file(name):
            if not Path(name).is_file():
                raise RecipeError(f"evaluation.harness.tasks: {name}: no such file")
        elif not manager.match_tasks([name]):
            near = difflib.get_close_matches(name, manager.all_tasks, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "lm_eval ls tasks lists them"
            raise RecipeError(
                f"evaluation.harness.tasks: lm-evaluation-harness has no task {name!r}; {hint} "
                "A task of your own is a .yaml file"
            )


def ask_harness(checkpoint: Checkpoint, task: Task, harness: HarnessSection) -> list[Answers]:
    """Let a model answer the benchmarks, always the same questions in the same way.

    Prompts are those of the harness, without a chat template, which is how published scores are made.

    Raises:
        MetricError: a benchmark that cannot be run, such as one whose data cannot be reached.
    """
    lm_eval = _import_harness()
    from lm_eval.models.huggingface import HFLM

    manager = _make_manager(harness)
    compute = autocast(checkpoint.model.device, checkpoint.precision.compute)
    with _kept_quiet(), evaluating(checkpoint.model), compute:
        try:
            asked = HFLM(
                pretrained=checkpoint.model,
                tokenizer=checkpoint.tokenizer,
                backend=BACKENDS[task.MODEL_CLASS],
                batch_size=BATCH_SIZE,
            )
            found = lm_eval.simple_evaluate(
                model=asked,
                tasks=[name for each in harness.tasks for name in _match(each, manager)],
                num_fewshot=harness.num_shots,
                limit=harness.limit,
                task_manager=manager,
                bootstrap_iters=0,  # intervals are ftkit's
            )
        except Exception as error:  # whatever a benchmark's code or data raises
            reason = str(error).strip().partition("\n")[0]
            raise MetricError(
                f"evaluation.harness: {', '.join(harness.tasks)} cannot be run: "
                f"{type(error).__name__}: {reason}"
            ) from error
    return list(_read_answers(found))


def _match(name: str, manager: Any) -> list[str]:
    return [name] if _is_file(name) else list(manager.match_tasks([name]))


def _read_answers(found: Mapping[str, Any]) -> Iterator[Answers]:
    """Turn what the harness returns into a line for each metric of each benchmark."""
    for task, samples in found["samples"].items():
        directions = found["higher_is_better"].get(task, {})
        keys = dict.fromkeys((name, sample["filter"]) for sample in samples for name in sample["metrics"])
        for metric, kind in keys:
            mine = [sample for sample in samples if sample["filter"] == kind and metric in sample]
            values = [sample[metric] for sample in mine]
            overall = found["results"][task].get(f"{metric},{kind}")
            if not isinstance(overall, (int, float)) or not math.isfinite(overall):
                continue
            is_mean = all(isinstance(value, (int, float)) for value in values) and math.isclose(
                sum(values) / max(1, len(values)), overall, rel_tol=1e-6, abs_tol=1e-9
            )
            yield Answers(
                task,
                metric if kind == "none" else f"{metric} ({kind})",
                bool(directions.get(metric, True)),
                tuple(map(float, values)) if is_mean else None,
                float(overall),
                len(mine),
            )


def list_harness(
    answers: Mapping[str, Sequence[Answers]], harness: HarnessSection, *, seed: int
) -> dict[str, Any]:
    """Put together what models scored.

    Args:
        answers: by who ("base", "tuned" or "model").
        harness: what was asked for.
        seed: of the resampling.

    Returns:
        `harness` and `warnings`, as `contents.Report` has them; nothing where nothing was asked.
    """
    if not answers:
        return {}
    from importlib.metadata import version

    lines = [
        _list_score(dict(zip(answers, some, strict=True)), seed)
        for some in zip(*answers.values(), strict=True)
    ]
    corrected = iter(correct_comparisons([one for _, one in lines if one is not None]))
    scores: list[HarnessScore] = [
        {**line, "comparison": None if one is None else list_comparison(next(corrected))}
        for line, one in lines
    ]
    listed: Harness = {
        "version": version("lm_eval"),
        "num_shots": harness.num_shots,
        "limit": harness.limit,
        "scores": scores,
    }
    return {"harness": listed, "warnings": _warn(scores)}


def _list_score(models: Mapping[str, Answers], seed: int) -> tuple[HarnessScore, Comparison | None]:
    first = next(iter(models.values()))
    name = f"{first.task} {first.metric}"
    ranges: dict[str, ScoreRange] = {}
    for who, one in models.items():
        if one.values is None:
            sentence = f"{name} {one.score:.4g} (no interval: no number for each row, {one.num_rows:,} rows)"
            ranges[who] = {"score": one.score, "low": None, "high": None, "sentence": sentence}
        else:
            ranges[who] = list_range(score_interval(name, average(one.values), seed=seed))
    comparison = None
    if {"base", "tuned"} <= models.keys():
        base, tuned = models["base"].values, models["tuned"].values
        if base is not None and tuned is not None:
            rows = average(base), average(tuned)
            comparison = compare_scores(name, *rows, greater_is_better=first.greater_is_better, seed=seed)
    line: HarnessScore = {
        "task": first.task,
        "metric": first.metric,
        "greater_is_better": first.greater_is_better,
        "num_rows": first.num_rows,
        "scores": ranges,
        "comparison": None,
    }
    return line, comparison


def _warn(scores: Sequence[HarnessScore]) -> list[str]:
    return [
        f"benchmark got worse: {one['comparison']['sentence'].removeprefix('worse: ')}"
        for one in scores
        if one["comparison"] is not None and one["comparison"]["verdict"] == "worse"
    ]


def _is_file(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml"))


def _make_manager(harness: HarnessSection) -> Any:
    """Make what finds benchmarks; to read through all that the harness brings takes a while."""
    _import_harness()
    from lm_eval.tasks import TaskManager

    with _kept_quiet():
        return TaskManager(include_defaults=not all(map(_is_file, harness.tasks)))


def _import_harness() -> Any:
    try:
        import lm_eval
    except ImportError as error:
        raise MissingDependencyError(
            "evaluation.harness: needs lm-evaluation-harness; install it: pip install 'ftkit[harness]'"
        ) from error
    return lm_eval


@contextmanager
def _kept_quiet() -> Iterator[None]:
    """Keep the harness from talking, and put random generators back, which it seeds for everybody."""
    import numpy as np
    import torch

    names = ("lm_eval", "lm_eval.models.huggingface", "lm_eval.evaluator", "lm_eval.tasks")
    loggers = [logging.getLogger(name) for name in names]
    levels, bars = [each.level for each in loggers], os.environ.get("TQDM_DISABLE")
    states = random.getstate(), np.random.get_state(), torch.random.get_rng_state()  # noqa: NPY002
    os.environ["TQDM_DISABLE"] = "1"
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
        os.environ.pop("TQDM_DISABLE") if bars is None else os.environ.update(TQDM_DISABLE=bars)
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.random.set_rng_state(states[2])
