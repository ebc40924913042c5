"""Starter recipes: commented, and with sample rows, so that they run as they are."""

import json
from dataclasses import dataclass
from pathlib import Path

from ftkit.errors import RecipeError
from ftkit.recipe.known_names import suggest_value
from ftkit.recipe.names import TASKS
from ftkit.recipe.schema import make_json_schema
from ftkit.recipe.values import show

_FOLDER = Path(__file__).parent / "starters"
_SAMPLE_NAMES = {
    "text-classification": "feedback.jsonl",
    "causal-lm": "texts.jsonl",
    "masked-lm": "texts.jsonl",
    "chat": "conversations.jsonl",
    "seq2seq": "translations.jsonl",
    "token-classification": "places.jsonl",
    "question-answering": "questions.jsonl",
    "multiple-choice": "quiz.jsonl",
}
_SAMPLES = {"masked-lm": "causal-lm"}
"""Tasks that train on the sample rows of another one."""
SCHEMA_NAME = "schema.json"
"""The file beside a recipe that its first line names, for editors."""


@dataclass(frozen=True)
class Starter:
    """A recipe to begin with.

    Attributes:
        recipe: the text of the recipe, with comments.
        sample_name: the file beside it that it trains on.
        sample: what that file holds, JSON lines.
    """

    recipe: str
    sample_name: str
    sample: str


def make_starter(task: str) -> Starter:
    """Make the starter recipe of one of ftkit's tasks, with its sample rows.

    Raises:
        RecipeError: ftkit has no such task.
    """
    if task not in TASKS:
        advice = suggest_value(task, TASKS) or f"ftkit has {', '.join(TASKS)}"
        raise RecipeError(f"task: there is no starter for it; found {show(task)}; {advice}")
    recipe = (_FOLDER / f"{task}.yaml").read_text(encoding="utf-8")
    sample = (_FOLDER / f"{_SAMPLES.get(task, task)}.jsonl").read_text(encoding="utf-8")
    return Starter(recipe, _SAMPLE_NAMES[task], sample)


def write_starter(task: str, folder: Path) -> list[Path]:
    """Write a starter recipe, its sample rows and the schema for editors into a folder.

    Args:
        task: one of ftkit's tasks.
        folder: where to; made if need be.

    Returns:
        The files that were written, the recipe first.

    Raises:
        RecipeError: ftkit has no such task, a file is there already, or the folder cannot be written to.
    """
    starter = make_starter(task)
    schema = json.dumps(make_json_schema(), ensure_ascii=False, indent=2) + "\n"
    texts = {f"{task}.yaml": starter.recipe, starter.sample_name: starter.sample, SCHEMA_NAME: schema}
    taken = [name for name in texts if name != SCHEMA_NAME and (folder / name).exists()]
    if taken:
        problem = f"{' and '.join(taken)} would be overwritten; remove what is there, or name another folder"
        raise RecipeError(f"{folder}: {problem}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise RecipeError(
            f"{folder}: cannot write a recipe here: {error.strerror}; name another folder"
        ) from error
    return [folder / name for name in texts]
