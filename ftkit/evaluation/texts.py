"""Texts written to be scored: one per row, the answer and not the prompt."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ftkit.data import RowProblem, raise_row_problems
from ftkit.errors import FtkitError
from ftkit.evaluation.predictions import autocast, evaluating, gather_records
from ftkit.metrics import METRICS
from ftkit.models.generation import GenerationOptions, generate_many
from ftkit.training.loop import read_processes

if TYPE_CHECKING:
    from ftkit.models import Checkpoint
    from ftkit.recipe import GenerationSection
    from ftkit.tasks import Row, Task
    from ftkit.tasks.encoding import Split

logger = logging.getLogger(__name__)


def needs_texts(metrics: Sequence[str]) -> bool:
    """Tell whether a metric scores what the model writes."""
    return any(name in METRICS and METRICS[name].needs_generation for name in metrics)


def add_texts(
    records: Sequence[Mapping[str, Any]],
    checkpoint: Checkpoint,
    task: Task,
    split: Split,
    generation: GenerationSection,
) -> list[dict[str, Any]]:
    """Let a model answer the rows of its records.

    Under a launcher every process answers its share, and all of them get all the texts.

    Args:
        records: of the split, one a row.
        checkpoint: the model, on its device, with its tokenizer.
        task: knows which part of a row is the answer.
        split: the rows.
        generation: how the texts are written.

    Returns:
        The records, each with `text`, `reference`, and `finished`: whether the model came to an end.
    """
    pairs = _split_answers([record["row"] for record in records], checkpoint, task, split)
    world_size, rank = read_processes()
    places = range(rank, len(pairs), world_size)
    prompts = [task.make_prompt(pairs[place][0], checkpoint.tokenizer, split.encoding) for place in places]
    options = GenerationOptions(**generation.model_dump())
    with evaluating(checkpoint.model), autocast(checkpoint.model.device, checkpoint.precision.compute):
        written = generate_many(checkpoint.model, checkpoint.tokenizer, prompts, options)
    found = dict(gather_records(list(zip(places, written, strict=True)), world_size))
    num_cut = sum(not one.finished for one in found.values())
    if num_cut:
        limit = options.max_new_tokens
        logger.warning("%d of %d texts did not end within %d tokens", num_cut, len(found), limit)
    return [
        {**record, "text": found[place].text, "reference": answer, "finished": found[place].finished}
        for place, (record, (_, answer)) in enumerate(zip(records, pairs, strict=True))
    ]


def _split_answers(
    indices: Sequence[int], checkpoint: Checkpoint, task: Task, split: Split
) -> list[tuple[Row, str]]:
    """Return each row without its answer, and the answer."""
    pairs, problems = [], []
    for index in indices:
        try:
            pairs.append(task.split_answer(split.rows[index], checkpoint.tokenizer, split.encoding))
        except FtkitError:
            raise
        except ValueError as error:
            problems.append(RowProblem(index, str(error)))
    raise_row_problems(split.rows, problems)
    return pairs
