"""Whether a chat model sees in training what it sees when it is used."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.checks.findings import Finding, judge_share
from ftkit.checks.supervision import Trained
from ftkit.checks.vocabulary import check_turn_marks
from ftkit.tasks.padding import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ftkit.recipe import ChecksSection
    from ftkit.tasks import Task
    from ftkit.tasks.encoding import Split

NUM_COMPARED = 50
"""Conversations whose prompt is rendered again as at inference."""


@dataclass(frozen=True)
class Prompt:
    """The prompt of a conversation's last answer, as it is at inference, beside the trained example."""

    served: list[int]
    """Token ids of `apply_chat_template(..., add_generation_prompt=True)`."""
    trained: list[int]
    """Token ids of the example before its last answer."""
    example: list[int]


def check_template_use(
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    split: Split,
    trained: Sequence[Trained],
    settings: ChecksSection,
) -> Iterator[Finding]:
    """Compare prompts in training with `apply_chat_template` of plain transformers, token by token."""
    step = max(1, len(trained) // NUM_COMPARED)
    prompts = [
        prompt
        for one in list(trained[::step])[:NUM_COMPARED]
        if (prompt := read_prompt(task, tokenizer, split, one)) is not None
    ]
    if trained:
        yield from check_turn_marks(tokenizer, tokenizer.decode(trained[0].ids))
    changed = [prompt for prompt in prompts if prompt.served != prompt.trained]
    if prompts and not changed:
        message = f"the same tokens in training and at inference in {len(prompts)} prompts compared"
        yield Finding("template", "note", message)
    merged = [prompt for prompt in changed if _same_text(prompt, tokenizer)]
    other = [prompt for prompt in changed if prompt not in merged]
    yield from judge_share(
        "template",
        len(other),
        len(prompts),
        settings.prompts_changed,
        "checks.prompts_changed",
        "prompts differ",
        _show_difference(other, tokenizer),
    )
    if merged:
        message = (
            f"{len(merged)} of {len(prompts)} prompts end in letters that training has in one token with the "
            "answer's first ones, so that the model begins otherwise when it is used; end the generation "
            "prompt of model.chat_template with a special token or a line break"
        )
        yield Finding("template", "warning", message)
    yield from _check_serving(tokenizer, prompts)


def read_prompt(task: Task, tokenizer: PreTrainedTokenizerBase, split: Split, one: Trained) -> Prompt | None:
    """Render what is asked before a conversation's last answer; None where that carries no loss."""
    try:
        before, _ = task.split_answer(split.rows[one.row], tokenizer, split.encoding)
    except ValueError:
        return None  # nothing stands before the answer
    served = tokenizer.apply_chat_template(
        [{key: value for key, value in turn.items() if key != "weight"} for turn in before["messages"]],
        tools=before.get("tools"),
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
    )["input_ids"]
    start = _find_last_answer(one, split, len(served))
    return None if start is None else Prompt(list(served), one.ids[:start], one.ids)


def _find_last_answer(one: Trained, split: Split, served: int) -> int | None:
    """Find where the last run of tokens with loss begins; with loss on all, where it should."""
    if split.encoding.train_on == "all":
        return served
    places = [place for place, target in enumerate(one.targets) if target != IGNORED]
    starts = [place for place in places if place == 0 or one.targets[place - 1] == IGNORED]
    return starts[-1] if starts else None


def _same_text(prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether prompts differ only in how their last letters are cut into tokens."""
    text: str = tokenizer.decode(prompt.example)
    return text.startswith(tokenizer.decode(prompt.served))


def _show_difference(changed: Sequence[Prompt], tokenizer: PreTrainedTokenizerBase) -> str:
    if not changed:
        return ""
    one = changed[0]
    pairs = zip(one.served, one.trained, strict=False)
    same = next(
        (place for place, (left, right) in enumerate(pairs) if left != right),
        min(len(one.served), len(one.trained)),
    )
    begin = max(0, same - 5)
    served, trained = (tokenizer.decode(ids[begin : same + 10]) for ids in (one.served, one.trained))
    return (
        f"at inference the template writes {served!r} where training has {trained!r}, so that the model is "
        "asked in a way that it never learned; mend model.chat_template"
    )


def _check_serving(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Prompt]) -> Iterator[Finding]:
    """Warn those who serve from text: a tokenizer that begins each text would begin it twice."""
    if not prompts or tokenizer.bos_token_id is None:
        return
    text: Any = tokenizer.decode(prompts[0].served)
    again = tokenizer(text)["input_ids"]
    if again[:2] == [tokenizer.bos_token_id] * 2:
        message = (
            f"the template writes {tokenizer.bos_token} itself: whoever serves from the rendered text must "
            "tokenize it with add_special_tokens=False, or it stands there twice"
        )
        yield Finding("template", "note", message)
