"""Which tokens of a block are hidden, and what stands in their place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ftkit.errors import ModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

MASKED, RANDOM = 0.8, 0.1
"""Shares of the chosen tokens that become the mask token and a random one; the rest stays as it is.

So in BERT (Devlin et al. 2019, appendix A.1): a model that only ever predicts at mask tokens would
make nothing of the other positions, and text without mask tokens is what it is used on."""


@dataclass(frozen=True)
class Vocabulary:
    """What of a tokenizer's vocabulary masking needs."""

    mask: int
    """Id of the mask token."""
    ordinary: NDArray[np.int64]
    """Ids of the tokens that are not special, from which random ones are drawn."""
    special: frozenset[int]
    """Ids of the special tokens, the unknown one among them, which are never hidden."""


def read_vocabulary(tokenizer: PreTrainedTokenizerBase) -> Vocabulary:
    """Read off a tokenizer what masking needs.

    Raises:
        ModelError: it has no mask token.
    """
    if tokenizer.mask_token_id is None:
        raise ModelError(
            "the tokenizer has no mask token (mask_token), so nothing can be hidden; take an encoder such "
            "as BERT, or train a tokenizer: ftkit tokenizer train"
        )
    special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    special |= set(tokenizer.all_special_ids)
    ordinary = np.array(sorted(set(tokenizer.get_vocab().values()) - special), dtype=np.int64)
    return Vocabulary(int(tokenizer.mask_token_id), ordinary, frozenset(special))


def choose_hidden(
    units: Sequence[int], probability: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Choose the tokens that are to be predicted, each unit as a whole and independently.

    Args:
        units: of each token 1 where a unit begins with it, 0 where it goes on with one, and -1 where it
            is never hidden, shape (tokens,).
        probability: of each unit.
        generator: of the random numbers.

    Returns:
        Shape (tokens,); at least one unit, where there is any: a short text would often have none.
    """
    kinds = np.asarray(units)
    can_hide = kinds >= 0
    # A block may begin within a word, and a special token ends one: what goes on there is a new unit.
    begins = can_hide & ((kinds == 1) | ~np.concatenate([[False], can_hide[:-1]]))
    num_units = int(begins.sum())
    if num_units == 0:
        return np.zeros(len(kinds), dtype=bool)
    draws = generator.random(num_units)
    chosen = draws < probability
    chosen[np.argmin(draws)] = True
    hidden: NDArray[np.bool_] = can_hide & chosen[np.cumsum(begins).clip(1) - 1]
    return hidden


def replace_hidden(
    ids: Sequence[int], hidden: NDArray[np.bool_], vocabulary: Vocabulary, generator: np.random.Generator
) -> list[int]:
    """Put the mask token in the place of most hidden tokens and random ones in the place of some.

    Args:
        ids: of the text, shape (tokens,).
        hidden: of `choose_hidden`, shape (tokens,).
        vocabulary: of `read_vocabulary`.
        generator: of the random numbers.
    """
    found = np.array(ids, dtype=np.int64)
    draws = generator.random(len(found))
    others = generator.choice(vocabulary.ordinary, len(found))
    found = np.where(hidden & (draws < MASKED), vocabulary.mask, found)
    found = np.where(hidden & (draws >= MASKED) & (draws < MASKED + RANDOM), others, found)
    replaced: list[int] = found.tolist()
    return replaced
