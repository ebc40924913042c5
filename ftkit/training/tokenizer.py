"""Train a tokenizer on a recipe's own rows, for a model from scratch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.data import Column, check_columns, prepare_rows
from ftkit.data.texts import find_text_columns, list_texts
from ftkit.errors import RunError
from ftkit.models.quiet import quiet_transformers
from ftkit.models.tokenizer_training import Frame, learn_tokenizer
from ftkit.recipe import Recipe, load_recipe
from ftkit.sources import write_aside
from ftkit.tasks import Task, get_task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerFast

_FRAMES: dict[str, Frame] = {
    "AutoModelForCausalLM": "decoder",
    "AutoModelForSeq2SeqLM": "encoder-decoder",
}


def train_tokenizer(
    recipe: Recipe | str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    algorithm: str = "byte-level-bpe",
    vocab_size: int = 8000,
    special_tokens: Sequence[str] = (),
    normalizer: str = "auto",
) -> PreTrainedTokenizerFast:
    """Train a tokenizer on the training rows of a recipe and save it, for `model.tokenizer` to name.

    Only the rows that the recipe trains on are read: what is held back stays unseen.

    Args:
        recipe: a recipe or its file; its task says which columns are text, and which special tokens
            stand around one. What `model.tokenizer` names need not be there yet.
        output: the folder for the tokenizer.
        algorithm: byte-level-bpe, bpe, wordpiece or unigram.
        vocab_size: tokens at most, special ones included.
        special_tokens: further ones than those of the algorithm.
        normalizer: auto, none, nfc, nfkc, nfkc-lowercase, bert or bert-cased.

    Returns:
        The tokenizer, as `AutoTokenizer.from_pretrained(output)` gives it.

    Raises:
        RecipeError: a mistake in the recipe or in the settings here.
        DataError: rows that cannot be read, or without text.
        RunError: the folder holds something already.
    """
    folder = Path(output).absolute()
    if folder.exists() and (folder.is_file() or any(folder.iterdir())):
        raise RunError(f"{folder}: there is something already; name another folder for the tokenizer")
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(os.fspath(recipe))
    task = get_task(recipe.task)
    rows = prepare_rows(recipe.data, seed=recipe.training.seed, columns=task.COLUMNS).splits["train"]
    check_columns(rows, task.COLUMNS)
    tokenizer = learn_tokenizer(
        iterate_texts(rows, task.COLUMNS),
        algorithm=algorithm,
        vocab_size=vocab_size,
        special_tokens=special_tokens,
        normalizer=normalizer,
        frame=choose_frame(task),
    )
    with quiet_transformers(), write_aside(folder) as aside:
        tokenizer.save_pretrained(aside)
    return tokenizer


def choose_frame(task: Task) -> Frame:
    """Choose the special tokens around a text by the kind of model that a task trains."""
    return _FRAMES.get(task.MODEL_CLASS, "encoder")


def iterate_texts(rows: Iterable[Mapping[str, Any]], columns: Iterable[Column]) -> Iterator[str]:
    """Yield every text in the columns of a task, labels left out, also those in lists and messages."""
    names = find_text_columns(columns)
    for row in rows:
        for name in names:
            yield from list_texts(row.get(name))
