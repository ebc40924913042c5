"""Add tokens to a tokenizer, and embeddings for them to its model."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftkit.metrics.scripts import is_unspaced
from ftkit.models.architectures import count_vocabulary
from ftkit.models.quiet import quiet_transformers

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)


def add_new_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str]
) -> tuple[int, ...]:
    """Make each text one token, with the mean of all embeddings to begin with.

    A mean is no word in particular, and the logits of the old tokens stay as they were (Hewitt 2021,
    "Initializing new word embeddings for pretrained language models"). Words only match whole ones; what
    is in the vocabulary already is said and left as it is.

    Args:
        model: its embeddings grow where they have to, in place.
        tokenizer: changed in place.
        tokens: what the recipe names.

    Returns:
        The ids of the tokens that are new.
    """
    from tokenizers import AddedToken

    vocabulary = tokenizer.get_vocab()
    known = [token for token in tokens if token in vocabulary]
    if known:
        logger.warning("model.new_tokens: in the vocabulary already: %s", ", ".join(known))
    new = [token for token in dict.fromkeys(tokens) if token not in vocabulary]
    tokenizer.add_tokens([AddedToken(token, single_word=_is_word(token)) for token in new])
    ids = tuple(int(tokenizer.convert_tokens_to_ids(token)) for token in new)
    if not ids:
        return ()
    if count_vocabulary(tokenizer) > model.get_input_embeddings().weight.shape[0]:
        with quiet_transformers():
            model.resize_token_embeddings(count_vocabulary(tokenizer), mean_resizing=False)
    old = sorted(set(vocabulary.values()))
    for weights in _list_rows(model):
        weights.data[list(ids)] = weights.data[old].float().mean(0).to(weights.dtype)
    logger.info("model.new_tokens: %d added, each begins as the mean of all embeddings", len(ids))
    return ids


def find_token_modules(model: PreTrainedModel) -> list[str]:
    """Name the modules that have weights of their own for each token: embeddings, and an untied head."""
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    modules: list[nn.Module] = [inputs]
    if outputs is not None and outputs.weight is not inputs.weight:
        modules.append(outputs)
    names = {id(module): name for name, module in model.named_modules()}
    return [names[id(module)] for module in modules]


def _list_rows(model: PreTrainedModel) -> list[torch.Tensor]:
    """List the parameters that have a row, or a number, for each token."""
    outputs = model.get_output_embeddings()
    found = [model.get_input_embeddings().weight]
    if outputs is not None:
        found += [outputs.weight, *([outputs.bias] if getattr(outputs, "bias", None) is not None else [])]
    return list({id(weights): weights for weights in found}.values())


def _is_word(token: str) -> bool:
    """Tell whether a token must not match within a longer word; Chinese words have no edges to see."""
    return re.fullmatch(r"\w+", token) is not None and not is_unspaced(token)
