"""The story of `ftkit doctor`: what is here, and a training of two steps to see that it works."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftkit.checks.findings import Check, Finding
from ftkit.checks.machine import check_devices, check_folders, check_libraries, check_network

WORDS = ("free", "money", "now", "win", "hello", "the", "cat", "sat", "on", "mat")


def doctor() -> Check:
    """Look at libraries, devices, folders and network, and train a tiny model for two steps.

    Returns:
        What was found; its verdict is `will not do` where nothing can be trained here.
    """
    findings = [
        *check_libraries(),
        *check_devices(),
        *check_folders(Path.cwd()),
        *check_network(),
        *try_training(),
    ]
    return Check("this machine", tuple(findings))


def try_training() -> Iterator[Finding]:
    """Build a model of some thousand weights on the spot, and train it for two steps."""
    from ftkit.pipeline.finetuning import finetune

    rows = [{"text": " ".join(WORDS[place % 4 : place % 4 + 5]), "label": place % 2} for place in range(8)]
    config = {
        "model_type": "bert",
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="ftkit-doctor-") as folder, _aside(folder):
        try:
            run = finetune(
                task="text-classification",
                model={"config": config, "tokenizer": str(_save_tokenizer(Path(folder) / "tokenizer"))},
                data={"train": rows, "validation": None, "test": rows},
                training={"max_steps": 2, "batch_size": 4, "learning_rate": 1e-3},
                output_dir=str(Path(folder) / "run"),
            )
        except Exception as error:  # noqa: BLE001 - whatever goes wrong here is what is looked for
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            message = f"two steps of a tiny model failed: {type(error).__name__}: {reason}"
            yield Finding("training", "error", message)
            return
        steps, device = run.report["training"]["num_steps"], run.info["device"]
    seconds = time.perf_counter() - started
    yield Finding(
        "training", "note", f"{steps} steps of a tiny model on {device}, with scores, in {seconds:.1f} s"
    )


@contextmanager
def _aside(folder: str) -> Iterator[None]:
    """Keep the cache of the user and the screen out of a trial."""
    before, logger = os.environ.get("FTKIT_CACHE"), logging.getLogger("ftkit")
    level = logger.level
    os.environ["FTKIT_CACHE"] = str(Path(folder) / "cache")
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
        if before is None:
            del os.environ["FTKIT_CACHE"]
        else:
            os.environ["FTKIT_CACHE"] = before


def _save_tokenizer(folder: Path) -> Path:
    """Save a tokenizer that knows a few words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words = {word: number for number, word in enumerate((*special, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = ("pad_token", "unk_token", "cls_token", "sep_token")
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=64, **dict(zip(names, special, strict=True))
    )
    fast.save_pretrained(folder)
    return folder
