import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data.mixing import MixedSource, Mixture
from ftkit.training.steps import MicroBatchLimit, StepSampler, count_steps, plan_epoch, share_step, split_step

LENGTHS = st.lists(st.integers(1, 600), min_size=1, max_size=80)


@given(
    num_examples=st.integers(1, 300),
    batch_size=st.integers(1, 40),
    seed=st.integers(0, 9),
    epoch=st.integers(0, 3),
)
def test_an_epoch_has_every_example_once_in_steps_of_the_batch_size(num_examples, batch_size, seed, epoch):
    steps = plan_epoch(num_examples, batch_size, seed=seed, epoch=epoch)
    assert sorted(index for step in steps for index in step) == list(range(num_examples))
    assert [len(step) for step in steps[:-1]] == [batch_size] * (len(steps) - 1)
    assert len(steps) == count_steps(num_examples, batch_size)


def test_the_order_depends_on_seed_and_epoch_and_nothing_else():
    first = plan_epoch(100, 10, seed=1, epoch=0)
    assert first == plan_epoch(100, 10, seed=1, epoch=0)
    assert first != plan_epoch(100, 10, seed=1, epoch=1)
    assert first != plan_epoch(100, 10, seed=2, epoch=0)


@given(world_size=st.integers(1, 3), epoch=st.integers(0, 3))
def test_steps_of_a_mixture_have_its_examples_and_processes_share_them(world_size, epoch):
    mixture = Mixture((MixedSource("a", np.arange(30), 10), MixedSource("b", np.arange(30, 34), 13)))
    samplers = [
        StepSampler([1] * 34, 5, seed=1, rank=rank, world_size=world_size, mixture=mixture)
        for rank in range(world_size)
    ]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    shares = list(zip(*samplers, strict=True))
    assert len(shares) == len(samplers[0]) == 5  # 23 examples
    taken = [index for step in shares for share in step for index in share if index >= 0]
    assert sorted(taken) == sorted(mixture.order_epoch(1, epoch))
    assert sum(index < 30 for index in taken) == 10


@given(lengths=LENGTHS, world_size=st.integers(1, 5))
def test_processes_share_a_step_without_loss_or_overlap(lengths, world_size):
    step = list(range(len(lengths)))
    shares = [share_step(step, lengths, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert sorted(index for share in shares for index in share) == step


def test_processes_get_about_the_same_number_of_tokens():
    lengths = [(17 * index) % 500 + 1 for index in range(64)]
    shares = [share_step(range(64), lengths, rank=rank, world_size=4) for rank in range(4)]
    tokens = [sum(lengths[index] for index in share) for share in shares]
    assert max(tokens) / min(tokens) < 1.05


@given(lengths=LENGTHS, num_tokens=st.integers(1, 2000))
def test_micro_batches_keep_to_the_tokens_and_hold_everything_once(lengths, num_tokens):
    groups = split_step(lengths, MicroBatchLimit(num_tokens=num_tokens))
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    for group in groups:
        padded = len(group) * max(lengths[place] for place in group)
        assert padded <= num_tokens or len(group) == 1


@given(lengths=LENGTHS, num_tokens=st.integers(1, 2000))
def test_without_padding_micro_batches_are_filled_evenly(lengths, num_tokens):
    groups = split_step(lengths, MicroBatchLimit(num_tokens=num_tokens, counts_padding=False))
    assert sorted(place for group in groups for place in group) == list(range(len(lengths)))
    tokens = [sum(lengths[place] for place in group) for group in groups]
    assert all(number <= num_tokens or len(group) == 1 for number, group in zip(tokens, groups, strict=True))
    # Where dealing fails, every group is more than half full.
    assert len(groups) <= 2 * sum(min(length, num_tokens) for length in lengths) / num_tokens + 1


def test_as_few_micro_batches_as_hold_the_tokens_get_about_the_same():
    lengths = [(17 * index) % 200 + 1 for index in range(64)]
    groups = split_step(lengths, MicroBatchLimit(num_tokens=1200, counts_padding=False))
    tokens = [sum(lengths[place] for place in group) for group in groups]
    assert len(groups) == -(-sum(lengths) // 1200)
    assert max(tokens) / min(tokens) < 1.05


def test_where_padding_is_computed_a_long_row_does_not_make_short_ones_long():
    lengths = [1000, *(20 + (37 * index) % 100 for index in range(63))]
    limit = MicroBatchLimit(num_tokens=8192)
    groups = split_step(lengths, limit)
    assert len(groups[0]) == 2  # 1,000 tokens are not quite enough; then it is
    padded = sum(len(group) * max(lengths[place] for place in group) for group in groups)
    assert sum(lengths) / padded > 0.75
    assert sum(lengths) / (64 * 1000) < 0.1  # as one batch
    small = [max(lengths[place] for place in group) * len(group) for group in groups]
    assert min(small[:-1]) >= 512  # and none is cut off that would leave the device idle


@given(lengths=LENGTHS, num_examples=st.integers(1, 20))
def test_micro_batches_keep_to_the_number_of_examples(lengths, num_examples):
    groups = split_step(lengths, MicroBatchLimit(num_examples=num_examples))
    assert max(len(group) for group in groups) <= num_examples
    assert len(groups) == count_steps(len(lengths), num_examples)


def test_the_longest_examples_come_first_so_that_too_much_memory_shows_at_once():
    groups = split_step([5, 100, 50], MicroBatchLimit(num_tokens=100))
    assert groups[0] == [1]


def test_a_process_without_an_example_gets_a_muted_one():
    samplers = [StepSampler([3], 4, seed=0, rank=rank, world_size=2) for rank in range(2)]
    assert [list(sampler) for sampler in samplers] == [[[0]], [[~0]]]


def test_the_sampler_follows_the_epoch_it_is_told():
    sampler = StepSampler([1] * 50, 8, seed=3)
    first = list(sampler)
    sampler.batch_sampler.set_epoch(1)
    assert list(sampler) != first
    assert len(sampler) == 7
