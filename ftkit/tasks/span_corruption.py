"""Span corruption: spans of a text are taken out, and the model writes what was there.

The pretraining of T5 (Raffel et al. 2020, arXiv:1910.10683, section 3.1.4), with as many tokens and spans
as its authors' code draws (`random_spans_noise_mask`). There the last span is always the end of the text;
here spans lie anywhere, because short texts have one span only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ftkit.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerBase

NOISE_SHARE = 0.15
"""Share of the tokens that is taken out."""
MEAN_SPAN_TOKENS = 3


def count_noise(num_tokens: int) -> tuple[int, int]:
    """Return how many tokens are taken out of a text of at least two, and in how many spans."""
    num_noise = min(max(round(num_tokens * NOISE_SHARE), 1), num_tokens - 1)
    num_spans = max(round(num_noise / MEAN_SPAN_TOKENS), 1)
    return num_noise, min(num_spans, num_noise, num_tokens - num_noise)


def corrupt(
    tokens: Sequence[int], sentinels: Sequence[int], end: int, generator: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Take spans out of a text.

    Args:
        tokens: of the text, without an end token; at least two.
        sentinels: tokens that stand for the spans, in their order; at least as many as there are spans.
        end: the end token.
        generator: draws the spans.

    Returns:
        What the encoder reads, a sentinel for each span; and what the decoder writes, each sentinel and
        the span behind it. Both end with the end token.
    """
    num_noise, num_spans = count_noise(len(tokens))
    kept = _draw_lengths(len(tokens) - num_noise + 2, num_spans + 1, generator)
    kept[0], kept[-1] = kept[0] - 1, kept[-1] - 1  # nothing need be kept before the first and after the last
    taken = _draw_lengths(num_noise, num_spans, generator)
    source: list[int] = []
    target: list[int] = []
    place = 0
    for sentinel, num_kept, num_taken in zip(sentinels, kept, taken, strict=False):
        source += [*tokens[place : place + num_kept], sentinel]
        place += num_kept
        target += [sentinel, *tokens[place : place + num_taken]]
        place += num_taken
    return [*source, *tokens[place:], end], [*target, end]


def choose_length(max_tokens: int, max_target_tokens: int, num_sentinels: int) -> int:
    """Return the longest text whose corrupted form and target fit, in tokens; at least 2."""
    length = 2
    while True:
        num_noise, num_spans = count_noise(length + 1)
        fits = length + 1 - num_noise + num_spans + 1 <= max_tokens
        if not fits or num_noise + num_spans + 1 > max_target_tokens or num_spans > num_sentinels:
            return length
        length += 1


def find_sentinels(tokenizer: PreTrainedTokenizerBase, most: int) -> list[int]:
    """Return the ids of the tokens `<extra_id_0>`, `<extra_id_1>`, ..., as far as there are any.

    Raises:
        ModelError: there are none.
    """
    names = [f"<extra_id_{number}>" for number in range(most)]
    ids = tokenizer.convert_tokens_to_ids(names)
    found = [
        token_id
        for name, token_id in zip(names, ids, strict=True)
        if token_id is not None and tokenizer.convert_ids_to_tokens(token_id) == name
    ]
    if not found:
        raise ModelError(
            "data.objective: span-corruption needs a tokenizer with the sentinels <extra_id_0>, "
            "<extra_id_1>, ...; this one has none. Take T5's, or add them: model.new_tokens"
        )
    return found


def _draw_lengths(total: int, number: int, generator: np.random.Generator) -> list[int]:
    """Cut a total into a number of lengths, each at least 1 and every cut as likely."""
    cuts = sorted(generator.choice(total - 1, size=number - 1, replace=False) + 1) if number > 1 else []
    edges = [0, *map(int, cuts), total]
    return [after - before for before, after in zip(edges, edges[1:], strict=False)]
