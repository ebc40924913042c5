"""Text from a generative model: greedy, sampled, with beams, in batches, streamed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ftkit.errors import RecipeError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

logger = logging.getLogger(__name__)

BATCH_TOKENS = 32_768
"""Tokens of one batch, prompts and texts and beams together, on an accelerator."""
CPU_BATCH_TOKENS = 8_192


@dataclass(frozen=True)
class GenerationOptions:
    """How text is generated; greedy unless something else is asked for."""

    max_new_tokens: int = 256
    temperature: float | None = None
    """Above 0: sample, the flatter the higher."""
    top_p: float | None = None
    top_k: int | None = None
    num_beams: int = 1
    length_penalty: float = 1.0
    """With beams: above 0 favours longer texts, below 0 shorter ones."""
    no_repeat_ngram_size: int = 0
    """No sequence of this many tokens is written twice; 0: no such rule."""
    repetition_penalty: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no model could follow, before one is loaded.

        Raises:
            RecipeError: lists every mistake.
        """
        problems = [
            f"{name}: must be 1 or more; found {value}"
            for name, value in vars(self).items()
            if name in ("max_new_tokens", "num_beams", "top_k") and value is not None and value < 1
        ]
        if self.temperature is not None and not self.temperature > 0:
            problems.append(
                f"temperature: must be above 0; found {self.temperature}. Leave it out for greedy"
            )
        if self.top_p is not None and not 0 < self.top_p <= 1:
            problems.append(f"top_p: must be above 0 and at most 1; found {self.top_p}")
        if self.repetition_penalty is not None and not self.repetition_penalty > 0:
            problems.append(f"repetition_penalty: must be above 0; found {self.repetition_penalty}")
        if problems:
            raise RecipeError("\n".join(problems))

    def as_arguments(self) -> dict[str, Any]:
        """Return the arguments of `model.generate`."""
        samples = any(value is not None for value in (self.temperature, self.top_p, self.top_k))
        # A checkpoint's own settings (sampling, the least length of some news corpus) would otherwise
        # come back in where nothing is said.
        arguments: dict[str, Any] = {
            "max_new_tokens": self.max_new_tokens,
            "min_length": 0,
            "num_beams": self.num_beams,
            "no_repeat_ngram_size": self.no_repeat_ngram_size,
            "do_sample": samples,
            "temperature": self.temperature if samples else None,
            "top_p": self.top_p,
            "top_k": self.top_k,
        }
        if self.num_beams > 1:
            arguments["length_penalty"] = self.length_penalty
        if self.repetition_penalty is not None:
            arguments["repetition_penalty"] = self.repetition_penalty
        if samples and self.temperature is None:
            arguments["temperature"] = 1.0
        return arguments


@dataclass(frozen=True)
class Written:
    """What a model wrote."""

    text: str
    """Without the prompt and special tokens."""
    finished: bool
    """Whether the model ended it; False when it was cut off at the longest length."""


def generate_many(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    options: GenerationOptions,
    *,
    advance: Callable[[int], Any] | None = None,
) -> list[Written]:
    """Answer any number of prompts, in batches of similar length.

    Args:
        model: a causal language model, which continues the prompts, or an encoder-decoder, which reads
            them and writes; on its device.
        tokenizer: its tokenizer.
        prompts: token ids of each, shape (tokens,).
        options: how.
        advance: is told after each batch how many prompts were answered.

    Returns:
        One text per prompt, in their order.
    """
    if not prompts:
        return []
    options = fit_length(model, max(len(prompt) for prompt in prompts), options)
    budget = CPU_BATCH_TOKENS if model.device.type == "cpu" else BATCH_TOKENS
    order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
    written: dict[int, Written] = {}
    while order:
        tokens = (len(prompts[order[0]]) + options.max_new_tokens) * options.num_beams
        chosen, order = order[: max(1, budget // tokens)], order[max(1, budget // tokens) :]
        found = generate_batch(model, tokenizer, [prompts[index] for index in chosen], options)
        written |= zip(chosen, found, strict=True)
        if advance is not None:
            advance(len(chosen))
    return [written[index] for index in range(len(prompts))]


def generate_batch(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    options: GenerationOptions,
) -> list[Written]:
    """Answer several prompts as one batch; see `generate_many`."""
    import torch

    _set_seed(options.seed)
    encodes = bool(model.config.is_encoder_decoder)
    inputs = _pad(prompts, int(tokenizer.pad_token_id or 0), side="right" if encodes else "left")
    stops = list_stop_ids(model, tokenizer)
    with torch.no_grad():  # inference tensors could not take part in the training that goes on afterwards
        output = model.generate(
            **{name: tensor.to(model.device) for name, tensor in inputs.items()},
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=sorted(stops) or None,
            **options.as_arguments(),
        )
    # An encoder-decoder's output begins with its start token, whatever that is.
    rows = output[:, 1 if encodes else inputs["input_ids"].shape[1] :].tolist()
    texts = tokenizer.batch_decode(rows, skip_special_tokens=True)
    return [Written(text, finished=not stops.isdisjoint(row)) for text, row in zip(texts, rows, strict=True)]


def stream_text(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Sequence[int],
    options: GenerationOptions,
) -> Iterator[str]:
    """Answer one prompt and yield the text as it comes; beams cannot be streamed.

    The model stops writing when the reader closes the iterator.
    """
    import torch
    from transformers import StoppingCriteriaList, TextIteratorStreamer

    if options.num_beams > 1:
        raise RecipeError(
            "num_beams: beams are known only at the end and cannot be streamed; turn streaming off"
        )
    options = fit_length(model, len(prompt), options)
    _set_seed(options.seed)
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    failure: list[BaseException] = []
    left = threading.Event()

    def has_left(input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        return torch.full((input_ids.shape[0],), left.is_set(), device=input_ids.device)

    def work() -> None:
        try:
            with torch.inference_mode():
                ids = torch.tensor([list(prompt)], device=model.device)
                model.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    pad_token_id=tokenizer.pad_token_id,
                    eos_token_id=sorted(list_stop_ids(model, tokenizer)) or None,
                    stopping_criteria=StoppingCriteriaList([has_left]),
                    streamer=streamer,
                    **options.as_arguments(),
                )
        except BaseException as error:  # noqa: BLE001 - handed to the reader below
            failure.append(error)
            streamer.end()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield from (text for text in streamer if text)
    finally:
        left.set()
        thread.join()
    if failure:
        raise failure[0]


def list_stop_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Return the tokens that end a text: the model's own and the tokenizer's end token."""
    config = getattr(model, "generation_config", None)
    named = getattr(config, "eos_token_id", None)
    stops = set(named if isinstance(named, (list, tuple)) else [named])
    return (stops | {tokenizer.eos_token_id}) - {None}


def fit_length(model: PreTrainedModel, longest: int, options: GenerationOptions) -> GenerationOptions:
    """Shorten what is to be written where the model's positions end, and say so.

    Args:
        model: a causal language model or an encoder-decoder.
        longest: tokens of the longest prompt.
        options: with `max_new_tokens` as asked for.

    Raises:
        RecipeError: the prompt alone takes all positions.
    """
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if not isinstance(limit, int):
        return options
    room = limit - (1 if model.config.is_encoder_decoder else longest)
    if room < 1:
        raise RecipeError(
            f"the prompt has {longest} tokens, and the model reads at most {limit} in all; shorten it"
        )
    if options.max_new_tokens <= room:
        return options
    logger.warning("writing at most %d tokens a text: the model reads %d in all", room, limit)
    return replace(options, max_new_tokens=room)


def _pad(prompts: Sequence[Sequence[int]], pad_id: int, *, side: str) -> dict[str, torch.Tensor]:
    """Stack prompts, shape (prompts, longest); a decoder's end on the right, where it goes on writing."""
    import torch

    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), width), pad_id)
    mask = torch.zeros_like(ids)
    for index, prompt in enumerate(prompts):
        place = slice(0, len(prompt)) if side == "right" else slice(width - len(prompt), width)
        ids[index, place] = torch.as_tensor(prompt)
        mask[index, place] = 1
    return {"input_ids": ids, "attention_mask": mask}


def _set_seed(seed: int | None) -> None:
    if seed is not None:
        import torch

        torch.manual_seed(seed)
