"""GGUF files, converted once to a folder like any other.

transformers loads a GGUF file with its weights packed, or unpacks them each time it is loaded; a
packed model can neither be trained nor saved. A converted folder loads in a tenth of the time.
"""

from __future__ import annotations

import logging
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.errors import ModelError
from ftkit.models.quiet import quiet_transformers
from ftkit.sources import cache_folder, hash_file, hold_lock, write_aside

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

_CONVERSION = 1
"""Raised whenever the same file converts to something else, so that no old folder is used."""

_DIGIT_BY_DIGIT = frozenset({"codeshell", "command-r", "exaone", "refact", "smollm", "starcoder"})
"""Pre-tokenizers that cut every digit off before GPT-2's rule, by the names that llama.cpp gives them
(`llama-vocab.cpp`). transformers reads these files with GPT-2's rule alone, which splits runs of spaces
before digits otherwise than the model was trained with."""


def convert_gguf(path: Path) -> Path:
    """Convert a GGUF file to a plain transformers folder in the cache, unless it is there already.

    The weights are stored in the float type of the file where it has one, which is exact, and in
    bfloat16 where they are quantised: its 8 significant bits are finer than any quantisation that
    GGUF files use, and models of today are trained in it.

    Returns:
        A folder with configuration, safetensors weights and tokenizer.

    Raises:
        ModelError: the file is broken, or of an architecture that transformers cannot read.
    """
    folder = cache_folder() / "checkpoints" / f"{hash_file(path)}-{_CONVERSION}"
    if folder.is_dir():
        return folder
    with hold_lock(folder.parent):
        if not folder.is_dir():
            logger.info("%s: unpacking the GGUF file, once", path.name)
            try:
                # The reader of GGUF draws a progress bar that cannot be switched off.
                with quiet_transformers(), redirect_stderr(StringIO()), write_aside(folder) as aside:
                    _write_folder(path, aside)
            except (ModelError, MemoryError):
                raise
            except Exception as error:
                raise ModelError(_explain(error, path)) from error
    return folder


def _write_folder(path: Path, folder: Path) -> None:
    from gguf import GGUFReader
    from transformers import AutoConfig, AutoTokenizer, GgufConfig

    reader = GGUFReader(path)
    where: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True}
    config = AutoConfig.from_pretrained(path.parent, **where)
    model = _choose_class(config).from_pretrained(
        path.parent,
        config=config,
        quantization_config=GgufConfig(dequantize=True),
        dtype=choose_stored_dtype({tensor.tensor_type.name for tensor in reader.tensors}),
        **where,
    )
    tokenizer = AutoTokenizer.from_pretrained(path.parent, **where)
    fix_pre_tokenizer(tokenizer, _read_text(reader, "tokenizer.ggml.pre"), path.name)
    for argument in ("is_local", "local_files_only", "vocab_file"):  # of loading; not about the tokenizer
        tokenizer.init_kwargs.pop(argument, None)
    vars(model.config).pop("_model_name_or_path", None)  # the file's title, which is no path
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def choose_stored_dtype(tensor_types: set[str]) -> str:
    """Choose the float type to store from the names of GGUF's tensor types, such as `Q4_1`."""
    if not tensor_types <= {"F32", "F16", "BF16"} or "BF16" in tensor_types:
        return "bfloat16"
    return "float16" if "F16" in tensor_types else "float32"


def fix_pre_tokenizer(tokenizer: PreTrainedTokenizerBase, name: str | None, where: str) -> None:
    """Cut text before tokenising as the file says, where transformers does not.

    Args:
        tokenizer: changed in place.
        name: the file's `tokenizer.ggml.pre`.
        where: names the file in the log.
    """
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    if name in _DIGIT_BY_DIGIT:
        steps = [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence(steps)
    elif name not in {None, "default", "gpt-2", *_list_known_pre_tokenizers()}:
        logger.warning(
            "%s: the file cuts text by the rule '%s', which transformers does not know; tokens may differ "
            "from the original's; set model.tokenizer to the original model to be sure",
            where,
            name,
        )


def _list_known_pre_tokenizers() -> set[str]:
    try:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
    except ImportError:
        return set()
    return set(GGUF_PRE_TOKENIZER_SPLITS)


def _choose_class(config: PreTrainedConfig) -> Any:
    """Choose the class that keeps all of the file's weights."""
    import transformers

    for name in ("AutoModelForCausalLM", "AutoModelForSeq2SeqLM"):
        auto_class = getattr(transformers, name)
        if type(config) in auto_class._model_mapping:
            return auto_class
    return transformers.AutoModel


def _read_text(reader: Any, key: str) -> str | None:
    field = reader.get_field(key)
    return None if field is None else str(field.contents())


def _explain(error: Exception, path: Path) -> str:
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            return f"{path}: not a GGUF file, whatever its name says; fetch it again"
    if "not supported" in first_line or "Unknown gguf model_type" in first_line:
        return (
            f"{path}: {first_line}; transformers cannot read this architecture from GGUF; "
            "use the model's original checkpoint (a folder or hub id with config.json)"
        )
    return f"{path}: the GGUF file cannot be converted; {type(error).__name__}: {first_line}; fetch it again"
