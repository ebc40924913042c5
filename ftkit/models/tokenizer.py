"""Load a tokenizer, and make sure that it is one and can pad."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import MissingDependencyError, ModelError
from ftkit.models.architectures import count_vocabulary
from ftkit.models.checkpoint_files import fetch_tokenizer_files
from ftkit.models.quiet import quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from ftkit.recipe import ModelSection

logger = logging.getLogger(__name__)

_VOCABULARY_FILE = re.compile(
    r"tokenizer\.(json|model)|.*\.(model|spm|tiktoken)|vocab\.(txt|json|bpe)|tekken\.json|.*\.py"
)
_WITHOUT_VOCABULARY = ("ByT5Tokenizer", "CanineTokenizer", "PerceiverTokenizer")  # they read bytes
_PAD_TOKENS = (
    "<pad>",
    "[PAD]",
    "<|pad|>",
    "<PAD>",
    "<|padding|>",
    "<|finetune_right_pad_id|>",
    "<|PAD_TOKEN|>",
)
_SPARE_TOKEN = re.compile(
    r"<\|?(reserved_special_token_|reserved_|unused_?|dummy_|extra_id_)\d+\|?>|\[unused\d+\]"
)


def load_tokenizer(section: ModelSection, *, base_folder: Path | None = None) -> PreTrainedTokenizerBase:
    """Load the tokenizer that the recipe names, or the base's.

    One without a padding token gets one that it already has: see `choose_pad_token`.

    Args:
        section: where it comes from.
        base_folder: of the base, when that is on this disk already.

    Raises:
        SourceError: it is not there or cannot be reached.
        ModelError: there is no tokenizer, or one that cannot be loaded.
        MissingDependencyError: it needs a library that is not installed.
    """
    where = section.tokenizer or section.base
    if where is None:
        raise ModelError(
            "model.tokenizer: missing; a model with random weights needs one: set model.tokenizer"
        )
    is_here = base_folder is not None and section.tokenizer in (None, section.base)
    folder = base_folder if base_folder and is_here else fetch_tokenizer_files(section)
    tokenizer = read_tokenizer(where, folder, trusts_code=section.trust_remote_code)
    if section.chat_template is not None:
        tokenizer.chat_template = section.chat_template
    if tokenizer.pad_token is None:
        tokenizer.pad_token = choose_pad_token(tokenizer, where)
        logger.info("%s: the tokenizer has no padding token; padding with %s", where, tokenizer.pad_token)
    return tokenizer


def read_tokenizer(where: str, folder: Path, *, trusts_code: bool = False) -> PreTrainedTokenizerBase:
    """Load a tokenizer from a folder as it is.

    Args:
        where: what the user wrote, for errors.
        folder: has its files.
        trusts_code: whether Python code in the folder may be run.
    """
    from transformers import AutoTokenizer

    _check_files(where, folder)
    try:
        with quiet_transformers():
            return AutoTokenizer.from_pretrained(folder, trust_remote_code=trusts_code, local_files_only=True)
    except ImportError as error:
        raise MissingDependencyError(
            f"{where}: the tokenizer needs a library; {_first_line(error)}"
        ) from error
    except Exception as error:  # the Rust library raises bare Exceptions
        if "trust_remote_code" in str(error):
            raise ModelError(
                f"{where}: the tokenizer needs Python code of its own to be run; read that code and, if you "
                "trust it, set model.trust_remote_code: true"
            ) from error
        raise ModelError(
            f"{where}: the tokenizer cannot be loaded; {_first_line(error)}; fetch it again, or set "
            "model.tokenizer to another"
        ) from error


def choose_pad_token(tokenizer: PreTrainedTokenizerBase, where: str) -> str:
    """Choose a padding token among those there are, so that no embedding has to be added.

    In this order: a token that is named like one, a spare special token, the end-of-text token.

    Raises:
        ModelError: there is none of these.
    """
    special = [str(token.content) for _, token in sorted(tokenizer.added_tokens_decoder.items())]
    vocabulary = tokenizer.get_vocab()
    for token in (*_PAD_TOKENS, *(token for token in special if _SPARE_TOKEN.fullmatch(token))):
        if token in vocabulary:
            return token
    if tokenizer.eos_token is None:
        raise ModelError(
            f"{where}: the tokenizer has neither a padding nor an end token; add one to its "
            "tokenizer_config.json, or set model.tokenizer to another"
        )
    return str(tokenizer.eos_token)


def check_vocabulary(where: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Check that the model has an embedding for every token.

    Raises:
        ModelError: gives both numbers.
    """
    num_tokens, num_rows = count_vocabulary(tokenizer), model.get_input_embeddings().weight.shape[0]
    if num_tokens > num_rows:
        raise ModelError(
            f"{where}: the tokenizer has {num_tokens} tokens, but the model has embeddings for {num_rows}; "
            "set model.tokenizer to the one that belongs to the model"
        )


def fingerprint_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """Compute what changes whenever the tokenizer would turn some text into other tokens.

    Returns:
        16 hexadecimal digits over vocabulary, rules, special tokens and chat template.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules: Any = json.loads(backend.to_str()) if backend is not None else tokenizer.get_vocab()
    if isinstance(rules, dict):
        # Set by whoever encoded last; not part of what the tokenizer is.
        rules = {key: value for key, value in rules.items() if key not in ("truncation", "padding")}
    kept = [type(tokenizer).__name__, rules, dict(tokenizer.special_tokens_map), tokenizer.chat_template]
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_files(where: str, folder: Path) -> None:
    """Check that there is a vocabulary: without one, transformers makes an empty tokenizer."""
    names = [path.name for path in folder.iterdir() if path.is_file()]
    if any(_VOCABULARY_FILE.fullmatch(name) for name in names):
        return
    config = folder / "tokenizer_config.json"
    if config.is_file() and any(name in config.read_text(encoding="utf-8") for name in _WITHOUT_VOCABULARY):
        return
    found = ", ".join(sorted(names)[:8]) or "nothing"
    raise ModelError(
        f"{where}: no tokenizer: neither tokenizer.json nor another vocabulary; found {found}; "
        "set model.tokenizer to the folder or hub id that has it"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
