"""Write a model as a plain folder that transformers loads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.errors import ModelError, RunError
from ftkit.models.generation_settings import repair_generation_config
from ftkit.models.quiet import quiet_transformers
from ftkit.sources import write_aside

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Save a model and its tokenizer so that the Auto classes' `from_pretrained(folder)` loads them.

    The folder appears whole or not at all; an older model in it is replaced.

    Args:
        model: a plain one; merge an adapter first.
        tokenizer: saved beside it, with its chat template.
        folder: made with its parents.

    Raises:
        ModelError: the model still has an adapter.
        RunError: the folder holds something else, or cannot be written to.
    """
    from safetensors import SafetensorError
    from transformers import PreTrainedModel

    folder = Path(folder).absolute()
    if not isinstance(model, PreTrainedModel) or hasattr(model, "peft_config"):
        raise ModelError(f"{folder}: a {type(model).__name__} is not saved whole; merge the adapter first")
    _check_replaceable(folder)
    repair_generation_config(model, str(folder))
    try:
        with quiet_transformers(), write_aside(folder) as aside:
            model.save_pretrained(aside)
            tokenizer.save_pretrained(aside)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"{folder}: the model cannot be saved; {error}; free space or fix the rights"
        ) from error


def save_adapter(model: PeftModel, tokenizer: PreTrainedTokenizerBase, folder: str | Path) -> None:
    """Save an adapter by itself, with the tokenizer that it was trained with.

    To use it, load the base, grow its embeddings to the tokenizer's size where tokens were added, and
    give both to `peft.PeftModel.from_pretrained`. The rows of new tokens are in the adapter.

    Args:
        model: with the adapter.
        tokenizer: saved beside it.
        folder: made with its parents.
    """
    with quiet_transformers():
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    is_model = folder.is_dir() and (folder / "config.json").is_file()
    if not is_model and (folder.is_file() or any(folder.iterdir())):
        raise RunError(f"{folder}: there is something else than a model; save to another folder")
