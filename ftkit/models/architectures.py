"""What a checkpoint's architecture can do, and architectures made to measure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ftkit.errors import ModelError
from ftkit.sources.nearest import find_nearest

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

TASKS_OF_CLASSES: Mapping[str, str] = {
    "AutoModelForCausalLM": "causal-lm, chat",
    "AutoModelForMaskedLM": "masked-lm",
    "AutoModelForSeq2SeqLM": "seq2seq",
    "AutoModelForSequenceClassification": "text-classification",
    "AutoModelForTokenClassification": "token-classification",
    "AutoModelForQuestionAnswering": "question-answering",
    "AutoModelForMultipleChoice": "multiple-choice",
}
_OLDER_KEYS = {"rope_parameters": ("rope_theta", "rope_scaling")}


def list_tasks(config: PreTrainedConfig) -> list[str]:
    """List the tasks that a checkpoint with this configuration can be tuned for."""
    return [
        task
        for auto_class, tasks in TASKS_OF_CLASSES.items()
        if supports(config, auto_class)
        for task in tasks.split(", ")
    ]


def supports(config: PreTrainedConfig, auto_class: str) -> bool:
    """Tell whether the architecture has a model of this Auto class that makes sense for it.

    An encoder such as BERT also exists as a causal language model, but one that sees the words it is
    to predict unless its config says `is_decoder`; that does not count.
    """
    import transformers

    mapping = getattr(transformers, auto_class)._model_mapping
    if type(config) not in mapping:
        return _has_own_class(config, auto_class)
    if auto_class != "AutoModelForCausalLM":
        return True
    is_encoder = type(config) in transformers.AutoModelForMaskedLM._model_mapping
    return not is_encoder or bool(getattr(config, "is_decoder", False))


def check_architecture(where: str, config: PreTrainedConfig, auto_class: str, task: str) -> None:
    """Check that the architecture fits the task.

    Raises:
        ModelError: says which tasks it fits.
    """
    if supports(config, auto_class):
        return
    possible = ", ".join(list_tasks(config)) or "none that ftkit has"
    raise ModelError(
        f"{where}: a '{config.model_type}' model cannot do {task}; it can do {possible}; "
        "change the task, or take another base"
    )


def make_config(sizes: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase) -> PreTrainedConfig:
    """Make the configuration of a model with random weights.

    Args:
        sizes: `model_type` and whatever differs from its defaults, in the words of transformers.
        tokenizer: gives the vocabulary size and special tokens that `sizes` does not name.

    Raises:
        ModelError: an unknown architecture or setting (names the nearest), or values that do not fit.
    """
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    wanted = dict(sizes)
    model_type = str(wanted.pop("model_type", "missing"))
    if model_type not in CONFIG_MAPPING_NAMES:
        nearest = ", ".join(find_nearest(model_type, CONFIG_MAPPING_NAMES, most=3))
        raise ModelError(f"model.config.model_type: unknown architecture '{model_type}'; nearest: {nearest}")
    known = _list_known_settings(AutoConfig.for_model(model_type))
    for name in wanted:
        if name not in known:
            nearest = ", ".join(find_nearest(name, known, most=3))
            raise ModelError(f"model.config.{name}: unknown setting of '{model_type}'; nearest: {nearest}")
    for name, value in _read_from_tokenizer(tokenizer).items():
        if name in known:
            wanted.setdefault(name, value)
    try:
        return AutoConfig.for_model(model_type, **wanted)
    except Exception as error:  # the library's checks of sizes raise their own kinds
        reason = re.sub(r"^\s*\w+Error: ", "", str(error).strip().splitlines()[-1]).rstrip(". ")
        raise ModelError(f"model.config: {reason}; correct the sizes of '{model_type}'") from error


def count_vocabulary(tokenizer: PreTrainedTokenizerBase) -> int:
    """Count the rows that embeddings need: the largest token id plus one."""
    return max(tokenizer.get_vocab().values(), default=-1) + 1


def _has_own_class(config: PreTrainedConfig, auto_class: str) -> bool:
    """Tell whether a checkpoint brings a class of its own, which a recipe must allow to run."""
    return auto_class in (getattr(config, "auto_map", None) or {})


def _list_known_settings(config: PreTrainedConfig) -> set[str]:
    known = {*config.to_dict(), *vars(config), *config.attribute_map, "is_decoder", "add_cross_attention"}
    for name, older in _OLDER_KEYS.items():
        known |= set(older) if name in known else set()
    return {name for name in known if not name.startswith("_")} - {"model_type", "transformers_version"}


def _read_from_tokenizer(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    begins = (tokenizer.bos_token_id, tokenizer.cls_token_id)
    ends = (tokenizer.eos_token_id, tokenizer.sep_token_id)
    return {
        "vocab_size": count_vocabulary(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": next((token_id for token_id in begins if token_id is not None), None),
        "eos_token_id": next((token_id for token_id in ends if token_id is not None), None),
    }
