"""Programs that a model writes, run on the unit tests of their rows."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ftkit.data import RowProblem, raise_row_problems
from ftkit.errors import MetricError
from ftkit.evaluation.contents import CodeRuns
from ftkit.evaluation.predictions import autocast, evaluating, gather_records
from ftkit.evaluation.sandbox import Outcome, find_isolation, run_program
from ftkit.metrics import METRICS
from ftkit.models.generation import GenerationOptions, generate_many
from ftkit.training.loop import read_processes

if TYPE_CHECKING:
    from ftkit.models import Checkpoint
    from ftkit.recipe import CodeSection, EvaluationSection
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split

logger = logging.getLogger(__name__)

_FENCED = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
NUM_WORKERS = 4
"""Programs that run at the same time."""


def runs_programs(metrics: Sequence[str]) -> bool:
    """Tell whether a metric scores programs by running them."""
    return any(name in METRICS and METRICS[name].kind == "samples" for name in metrics)


def check_programs(metrics: Sequence[str], code: CodeSection) -> None:
    """Refuse to run what a model writes unless the recipe says so, and more tries than programs.

    Raises:
        MetricError: what to set.
    """
    for name in metrics:
        if not runs_programs([name]):
            continue
        if not code.allow:
            raise MetricError(
                f"metric {name!r}: it runs the programs that the model writes; where that is what you want, "
                "set evaluation.code.allow: true"
            )
        drawn = int(name.partition("@")[2])
        if code.samples < drawn:
            raise MetricError(
                f"metric {name!r}: needs {drawn} programs of each row, and evaluation.code.samples is "
                f"{code.samples}; set it to {drawn} or more"
            )


def add_program_runs(
    records: Sequence[Mapping[str, Any]],
    checkpoint: Checkpoint,
    task: Task,
    split: Split,
    evaluation: EvaluationSection,
    *,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Let a model write programs for the rows of its records, and run each with its row's tests.

    Under a launcher every process takes its share, and all of them get all the results.

    Args:
        records: of the split, one a row, with the model's answer as `text`, which is the one program where
            one is asked for.
        checkpoint: the model, on its device, with its tokenizer.
        task: knows how a row becomes a prompt.
        split: the rows, with their tests.
        evaluation: how many programs, how they are written, and their limits.
        seed: of the programs that are drawn.

    Returns:
        The records, each with `num_passed`, `num_samples` and `outcomes`, how each program ended.

    Raises:
        DataError: rows without tests.
    """
    code = evaluation.code
    tests = _read_tests([record["row"] for record in records], split, code.column)
    world_size, rank = read_processes()
    places = list(range(rank, len(records), world_size))
    chosen = [records[place] for place in places]
    programs = _write_programs(chosen, checkpoint, task, split, evaluation, seed)
    jobs = [(program, tests[place]) for place, some in zip(places, programs, strict=True) for program in some]
    with ThreadPoolExecutor(NUM_WORKERS) as pool:
        outcomes = list(pool.map(lambda job: run_with_tests(job[0], job[1], code), jobs))
    ended = [
        [outcome.kind for outcome in outcomes[start : start + code.samples]]
        for start in range(0, len(outcomes), code.samples)
    ]
    found = dict(gather_records(list(zip(places, ended, strict=True)), world_size))
    return [
        {
            **record,
            "num_passed": found[place].count("passed"),
            "num_samples": code.samples,
            "outcomes": found[place],
        }
        for place, record in enumerate(records)
    ]


def _read_tests(indices: Sequence[int], split: Split, column: str) -> list[str]:
    rows = [split.rows[index] for index in indices]
    problems = [
        RowProblem(index, f"column {column!r} has no unit tests; found {row.get(column)!r}")
        for index, row in zip(indices, rows, strict=True)
        if not isinstance(row.get(column), str) or not row[column].strip()
    ]
    remedy = "Give each row its tests, or name their column: evaluation.code.column"
    raise_row_problems(split.rows, problems, remedy=remedy)
    return [row[column] for row in rows]


def _write_programs(
    records: Sequence[Mapping[str, Any]],
    checkpoint: Checkpoint,
    task: Task,
    split: Split,
    evaluation: EvaluationSection,
    seed: int,
) -> list[list[str]]:
    """Return the programs of each record: its text, or as many drawn ones as are asked for."""
    number = evaluation.code.samples
    if number == 1:
        return [[record["text"]] for record in records]
    rows = [split.rows[record["row"]] for record in records]
    prompts = []
    for row in rows:
        asked, _ = task.split_answer(row, checkpoint.tokenizer, split.encoding)
        prompts.append(task.make_prompt(asked, checkpoint.tokenizer, split.encoding))
    options = replace(
        GenerationOptions(**evaluation.generation.model_dump()),
        num_beams=1,
        temperature=evaluation.code.temperature,
    )
    written: list[list[str]] = [[] for _ in records]
    with evaluating(checkpoint.model), autocast(checkpoint.model.device, checkpoint.precision.compute):
        for draw in range(number):
            some = generate_many(
                checkpoint.model, checkpoint.tokenizer, prompts, replace(options, seed=seed + draw)
            )
            for programs, one in zip(written, some, strict=True):
                programs.append(one.text)
    return written


def run_with_tests(text: str, tests: str, code: CodeSection) -> Outcome:
    """Run the program in what a model wrote, with unit tests behind it."""
    return run_program(
        f"{extract_program(text)}\n\n{tests}\n",
        time_limit_seconds=code.time_limit_seconds,
        memory_limit_mb=code.memory_limit_mb,
    )


def extract_program(text: str) -> str:
    """Take the program out of a text: its fenced blocks of Markdown, or all of it without any."""
    blocks = _FENCED.findall(text)
    return "\n\n".join(blocks) if blocks else text


def describe_runs(
    records: Mapping[str, Sequence[Mapping[str, Any]]], code: CodeSection
) -> dict[str, CodeRuns]:
    """Say how programs were held and how they ended, as `code` of the report; nothing where none ran."""
    if not all("outcomes" in record for some in records.values() for record in some):
        return {}
    counts = {
        who: dict(Counter(kind for record in some for kind in record["outcomes"]))
        for who, some in records.items()
    }
    return {
        "code": {
            "isolation": find_isolation(),
            "time_limit_seconds": code.time_limit_seconds,
            "memory_limit_mb": code.memory_limit_mb,
            "num_samples": code.samples,
            "outcomes": counts,
        }
    }
