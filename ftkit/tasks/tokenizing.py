"""Texts to token ids as fast as the tokenizer's library: whole batches, on all cores, one batch ahead."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Batch = TypeVar("Batch")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Tokens:
    """The tokens of a batch of texts, or of pairs of texts."""

    ids: list[list[int]]
    """Token ids, a list of shape (tokens,) for each text."""
    types: list[list[int]] = field(default_factory=list)
    """Which of the two texts each token is of; no lists where the tokenizer does not say."""
    offsets: list[list[tuple[int, int]]] = field(default_factory=list)
    """Where each token lies in its text, (begin, end) in characters; no lists where not asked for."""


def tokenize(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    pairs: Sequence[str] | None = None,
    *,
    add_special_tokens: bool = True,
    with_offsets: bool = False,
) -> Tokens:
    """Turn texts into tokens, whole, exactly as calling the tokenizer does.

    The tokenizer's library is called directly where that is all that its class does: offsets, which cost
    a quarter of the time, are then computed only where they are asked for.

    Args:
        tokenizer: of a model.
        texts: any number of them.
        pairs: a second text for each, or None.
        add_special_tokens: whether the tokens that frame a text or a pair are added.
        with_offsets: whether to say where each token lies; only fast tokenizers can.
    """
    if not texts:
        return Tokens([])
    has_types = pairs is not None and "token_type_ids" in tokenizer.model_input_names
    if not _is_plain(tokenizer):
        options = {"return_offsets_mapping": True} if with_offsets else {}
        second = [] if pairs is None else [list(pairs)]
        encoded = tokenizer(
            list(texts),
            *second,
            add_special_tokens=add_special_tokens,
            return_attention_mask=False,
            verbose=False,
            **options,
        )
        types = encoded.get("token_type_ids", []) if has_types else []
        return Tokens(encoded["input_ids"], types, encoded.get("offset_mapping", []))
    encode = _prepare_library(tokenizer, with_offsets=with_offsets)
    given = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
    encodings = encode(given, add_special_tokens=add_special_tokens)
    return Tokens(
        [each.ids for each in encodings],
        [each.type_ids for each in encodings] if has_types else [],
        [each.offsets for each in encodings] if with_offsets else [],
    )


def _is_plain(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether a call of the tokenizer is nothing but a call of its library."""
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

    kind = type(tokenizer)
    return (
        isinstance(tokenizer, PreTrainedTokenizerFast)
        and kind._encode_plus is PreTrainedTokenizerFast._encode_plus  # noqa: SLF001 - is it overridden?
        and kind.__call__ is PreTrainedTokenizerBase.__call__
        and not hasattr(tokenizer, "_switch_to_input_mode")
    )


def _prepare_library(tokenizer: Any, *, with_offsets: bool) -> Callable[..., list[Any]]:
    """Bring the library into the state that transformers gives it before each call, and return its function.

    An earlier call may have left it cutting or padding.
    """
    library = tokenizer.backend_tokenizer
    if library.truncation is not None:
        library.no_truncation()
    if library.padding is not None:
        library.no_padding()
    if library.encode_special_tokens != tokenizer.split_special_tokens:
        library.encode_special_tokens = tokenizer.split_special_tokens
    encode: Callable[..., list[Any]] = library.encode_batch if with_offsets else library.encode_batch_fast
    return encode


def tokenize_ahead(
    batches: Iterable[Batch], tokenize_batch: Callable[[Batch], Result]
) -> Iterator[tuple[Batch, Result]]:
    """Tokenize the next batch in a thread while the current one is worked on.

    The library works without Python's lock, so that reading rows and making examples cost no time of
    their own. Who uses a batch may call the tokenizer too, but must not have it cut or pad.

    Args:
        batches: of rows, read one ahead.
        tokenize_batch: is called with one batch after another, never with two at a time.

    Yields:
        Each batch, and what `tokenize_batch` made of it.
    """
    with _open_thread() as thread:
        waiting = None
        for batch in batches:
            begun = thread.submit(tokenize_batch, batch)
            if waiting is not None:
                yield waiting[0], waiting[1].result()
            waiting = batch, begun
        if waiting is not None:
            yield waiting[0], waiting[1].result()


@contextmanager
def _open_thread() -> Iterator[ThreadPoolExecutor]:
    """Give one thread, and do not begin what is still waiting for it when the body ends early."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="ftkit-tokenizer")
    try:
        yield thread
    finally:
        thread.shutdown(wait=True, cancel_futures=True)
