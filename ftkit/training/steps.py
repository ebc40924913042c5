"""Which examples make a step, and how a step is cut into micro-batches.

Everything here is a pure function of lengths, seed and epoch: the optimiser sees exactly
`batch_size` examples a step, in an order that does not depend on devices or micro-batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ftkit.data.mixing import Mixture

    Lengths: TypeAlias = Sequence[int] | NDArray[np.int64]
    """Tokens of each example."""


ENOUGH_TOKENS = 512
"""Tokens from which on a micro-batch keeps a CPU busy: a further one is then better than much padding."""


@dataclass(frozen=True)
class MicroBatchLimit:
    """How large one forward pass may be; exactly one of the two numbers is set.

    Attributes:
        num_examples: examples at most.
        num_tokens: tokens at most.
        counts_padding: whether padding is computed, and so counts among the tokens.
    """

    num_examples: int | None = None
    num_tokens: int | None = None
    counts_padding: bool = True


def count_steps(num_examples: int, batch_size: int) -> int:
    """Return the steps of one epoch; a last, smaller one counts."""
    return -(-num_examples // batch_size)


def plan_epoch(
    num_examples: int, batch_size: int, *, seed: int, epoch: int, mixture: Mixture | None = None
) -> list[list[int]]:
    """Shuffle the examples, each once or as the mixture says, and deal them into steps.

    Returns:
        One list of example indices a step: `batch_size` each, the last one what is left.
    """
    if mixture is not None:
        order = mixture.order_epoch(seed, epoch)
    else:
        order = np.random.default_rng((seed, epoch)).permutation(num_examples).tolist()
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def share_step(step: Sequence[int], lengths: Lengths, *, rank: int, world_size: int) -> list[int]:
    """Return the examples of a step that one of several processes takes.

    They are dealt from the longest to the shortest, back and forth, so that every process gets about
    the same number of tokens. A process may get none when there are fewer examples than processes.
    """
    if world_size == 1:
        return list(step)
    ordered = sorted(step, key=lambda index: -lengths[index])
    turns = range(len(ordered))
    place = [turn % (2 * world_size) for turn in turns]
    owner = [spot if spot < world_size else 2 * world_size - 1 - spot for spot in place]
    return [ordered[turn] for turn in turns if owner[turn] == rank]


def split_step(lengths: Lengths, limit: MicroBatchLimit) -> list[list[int]]:
    """Cut the examples of a step into micro-batches of similar length, the longest first.

    Args:
        lengths: tokens of each example, shape (examples,).
        limit: examples a micro-batch, or its tokens with padding. An example that alone has more
            tokens than the limit is a micro-batch of its own.

    Returns:
        Positions in `lengths`, a list a micro-batch; each position once.
    """
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    if limit.num_tokens is not None and not limit.counts_padding:
        return _fill_evenly(order, lengths, limit.num_tokens)
    groups: list[list[int]] = []
    for place in order:
        group = groups[-1] if groups else []
        longest = lengths[group[0]] if group else 0
        fits = group and _fits(len(group) + 1, longest, limit)
        if fits and not _wastes(len(group), longest, lengths[place], limit):
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _fits(num_examples: int, longest: int, limit: MicroBatchLimit) -> bool:
    if limit.num_tokens is not None:
        return num_examples * longest <= limit.num_tokens
    return num_examples <= (limit.num_examples or 1)


def _wastes(num_examples: int, longest: int, length: int, limit: MicroBatchLimit) -> bool:
    """Tell whether a micro-batch has enough to compute, and the next example would be padded by much."""
    if limit.num_tokens is None:
        return False
    is_enough = num_examples * longest >= max(ENOUGH_TOKENS, limit.num_tokens // 8)
    return is_enough and length < 0.75 * longest


def _fill_evenly(order: Sequence[int], lengths: Lengths, num_tokens: int) -> list[list[int]]:
    """Deal examples, the longest first, each to the emptiest of as few groups as hold them all."""
    total = sum(min(length, num_tokens) for length in lengths)
    num_groups = max(1, -(-total // num_tokens))
    while True:
        groups: list[list[int]] = [[] for _ in range(num_groups)]
        filled = [0] * num_groups
        for place in order:
            emptiest = filled.index(min(filled))
            groups[emptiest].append(place)
            filled[emptiest] += lengths[place]
        if all(number <= num_tokens or len(group) == 1 for number, group in zip(filled, groups, strict=True)):
            return [group for group in groups if group]
        num_groups += 1


def count_tokens(example: Mapping[str, Any]) -> int:
    """Return how many tokens the model computes for an example: `num_tokens` where it says so itself."""
    return int(example["num_tokens"]) if "num_tokens" in example else len(example["input_ids"])


class StepSampler:
    """The batch sampler of the training loader: one item is the share of one step.

    `Trainer` sets the epoch, and on resume skips the steps that were done, through the attributes
    that accelerate's samplers have; only lists of indices are skipped, never examples.
    """

    def __init__(
        self,
        lengths: Lengths,
        batch_size: int,
        *,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        mixture: Mixture | None = None,
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.mixture = mixture
        self.epoch = 0

    @property
    def batch_sampler(self) -> StepSampler:
        """Where `Trainer` looks for `set_epoch`, with or without accelerate's skipping around it."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration gives."""
        self.epoch = epoch

    def __len__(self) -> int:
        return count_steps(len(self.lengths if self.mixture is None else self.mixture), self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        steps = plan_epoch(
            len(self.lengths), self.batch_size, seed=self.seed, epoch=self.epoch, mixture=self.mixture
        )
        for step in steps:
            share = share_step(step, self.lengths, rank=self.rank, world_size=self.world_size)
            yield share or [~step[0]]  # see StepExamples: joins the gradients, without weight
