"""Text from a generative model: greedy, sampled, with beams, streamed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.errors import RecipeError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class GenerationOptions:
    """How text is generated; greedy unless something else is asked for."""

    max_new_tokens: int = 256
    temperature: float | None = None
    """Above 0: sample, the flatter the higher."""
    top_p: float | None = None
    top_k: int | None = None
    num_beams: int = 1
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
        arguments: dict[str, Any] = {
            "max_new_tokens": self.max_new_tokens,
            "num_beams": self.num_beams,
            "do_sample": samples,
            # A checkpoint's own sampling settings would otherwise come back in.
            "temperature": self.temperature if samples else None,
            "top_p": self.top_p,
            "top_k": self.top_k,
        }
        if self.repetition_penalty is not None:
            arguments["repetition_penalty"] = self.repetition_penalty
        if samples and self.temperature is None:
            arguments["temperature"] = 1.0
        return arguments


def generate_texts(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    options: GenerationOptions,
) -> list[str]:
    """Continue several prompts as one batch.

    Args:
        model: a causal language model.
        tokenizer: its tokenizer.
        prompts: token ids of each, shape (tokens,).
        options: how.

    Returns:
        What the model wrote behind each prompt, without special tokens.
    """
    import torch

    from ftkit.tasks.padding import pad_inputs

    _set_seed(options.seed)
    batch = pad_inputs([{"input_ids": ids} for ids in prompts], tokenizer, side="left")
    with torch.inference_mode():
        output = model.generate(
            **{name: tensor.to(model.device) for name, tensor in batch.items()},
            pad_token_id=tokenizer.pad_token_id,
            **options.as_arguments(),
        )
    written = output[:, batch["input_ids"].shape[1] :]
    texts: list[str] = tokenizer.batch_decode(written, skip_special_tokens=True)
    return texts


def stream_text(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Sequence[int],
    options: GenerationOptions,
) -> Iterator[str]:
    """Continue one prompt and yield the text as it comes; beams cannot be streamed."""
    import torch
    from transformers import TextIteratorStreamer

    if options.num_beams > 1:
        raise RecipeError(
            "num_beams: beams are known only at the end and cannot be streamed; turn streaming off"
        )
    _set_seed(options.seed)
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    failure: list[BaseException] = []

    def work() -> None:
        try:
            with torch.inference_mode():
                ids = torch.tensor([list(prompt)], device=model.device)
                model.generate(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    pad_token_id=tokenizer.pad_token_id,
                    streamer=streamer,
                    **options.as_arguments(),
                )
        except BaseException as error:  # noqa: BLE001 - handed to the reader below
            failure.append(error)
            streamer.end()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield from (text for text in streamer if text)
    thread.join()
    if failure:
        raise failure[0]


def _set_seed(seed: int | None) -> None:
    if seed is not None:
        import torch

        torch.manual_seed(seed)
