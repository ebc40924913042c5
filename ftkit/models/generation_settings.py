"""Settings of text generation that come with a checkpoint, made such that they can be saved again."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedModel

logger = logging.getLogger(__name__)

_NAMED_SETTING = re.compile(r"^- `(\w+)`", re.MULTILINE)


def repair_generation_config(model: PreTrainedModel, where: str) -> None:
    """Drop generation settings that contradict each other, since transformers refuses to save them.

    Many published checkpoints set a temperature without sampling, which has no effect when text is
    generated and stops the saving of the tuned model, after hours of training.

    Args:
        model: changed in place.
        where: names the checkpoint in the log.
    """
    config = getattr(model, "generation_config", None)
    if config is None:
        return
    if not (complaint := _find_complaint(config)):
        return
    names = [name for name in _NAMED_SETTING.findall(complaint) if hasattr(config, name)]
    dropped = {name: getattr(config, name) for name in names}
    for name in names:
        setattr(config, name, None)
    if _find_complaint(config):
        from transformers import GenerationConfig

        model.generation_config = GenerationConfig.from_model_config(model.config)
        logger.warning("%s: dropped its generation settings; %s", where, complaint.splitlines()[0])
    else:
        logger.warning("%s: dropped generation settings that have no effect: %s", where, dropped)


def _find_complaint(config: GenerationConfig) -> str:
    """Ask the library what makes it refuse to save these settings; empty when nothing does."""
    try:
        config.validate(strict=True)
    except ValueError as error:
        return str(error)
    return ""
