"""Steps of a stream: shuffled in a buffer, in whole passes, continued exactly."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data.row_streams import Place
from ftkit.errors import DataError, RunError
from ftkit.tasks.example_streams import EncodedChunk
from ftkit.training.streamed_steps import StreamedSteps, StreamSampler, read_snapshot


class Numbers:
    """A stream whose examples are numbers; of every seventh row there is none."""

    def __init__(self, num_rows, at_once=5, buffer_size=0, max_rejected=None):
        self.num_rows, self.at_once = num_rows, at_once
        self.buffer_size, self.max_rejected = buffer_size, max_rejected

    def read(self, start, *, num_read, num_kept):
        assert num_read == num_kept == start.row
        for begin in range(start.row, self.num_rows, self.at_once):
            rows = range(begin, min(begin + self.at_once, self.num_rows))
            yield EncodedChunk(
                [
                    {"row": row, "input_ids": [row] * (row % 3 + 1), "labels": row}
                    for row in rows
                    if row % 7 != 3
                ],
                [f"月.jsonl:{row + 1}" for row in rows if row % 7 != 3],
                [
                    {"source": f"月.jsonl:{row + 1}", "rule": "too_long:drop", "action": "dropped"}
                    for row in rows
                    if row % 7 == 3
                ],
                len(rows),
                len(rows),
                Place(0, rows.stop),
            )


@pytest.fixture(scope="module")
def make_folder(tmp_path_factory):
    return lambda: tmp_path_factory.mktemp("stream")


def open_steps(folder, stream, *, name="rejected.jsonl", **options):
    return StreamedSteps(
        stream, **{"num_steps": 100, "batch_size": 4, "seed": 1, "rejected": folder / name, **options}
    )


def take(steps, number):
    return [[example["row"] for example in steps.__getitems__([steps.next_step])] for _ in range(number)]


def count_steps(num_rows, batch_size=4):
    return -(-sum(row % 7 != 3 for row in range(num_rows)) // batch_size)


def test_without_a_buffer_each_pass_has_the_order_of_the_source_and_ends_with_what_is_left(tmp_path):
    steps = open_steps(tmp_path, Numbers(10))
    assert take(steps, 6) == [[0, 1, 2, 4], [5, 6, 7, 8], [9], [0, 1, 2, 4], [5, 6, 7, 8], [9]]
    assert steps.epoch == 1
    assert steps.where(9) == "月.jsonl:10"
    assert steps[9]["labels"] == 9


@given(st.integers(4, 30), st.integers(0, 40), st.integers(1, 6), st.integers(0, 3))
def test_each_pass_has_every_example_once_in_an_order_of_its_own(
    tmp_path_factory, rows, buffer, at_once, seed
):
    folder = tmp_path_factory.mktemp("stream")
    steps = open_steps(folder, Numbers(rows, at_once, buffer), seed=seed)
    passes = [sum(take(steps, count_steps(rows)), []) for _ in range(2)]
    for each in passes:
        assert sorted(each) == [row for row in range(rows) if row % 7 != 3]
    if rows > 20 and buffer > 5:
        assert passes[0] != passes[1] != sorted(passes[1])
    again = open_steps(folder, Numbers(rows, at_once, buffer), seed=seed, name="again.jsonl")
    assert sum(take(again, count_steps(rows)), []) == passes[0]
    largest_step = max(passes[0][place] - place for place in range(len(passes[0])))
    assert largest_step <= buffer + rows // 7 + 1  # nothing comes earlier than the buffer reaches


@given(st.data(), st.integers(4, 30), st.integers(0, 12), st.integers(1, 6))
def test_a_stream_continued_after_any_step_is_the_one_that_went_on(
    tmp_path_factory, data, rows, buffer, at_once
):
    folder = tmp_path_factory.mktemp("stream")
    number = 2 * count_steps(rows) + 1
    stream = Numbers(rows, at_once, buffer)
    whole = open_steps(folder, stream, name="whole.jsonl")
    expected = take(whole, number)
    stopped, behind = sorted(data.draw(st.lists(st.integers(1, number), min_size=2, max_size=2)))
    first = open_steps(folder, stream)
    take(first, stopped)
    first.save(folder, stopped)
    take(first, behind - stopped)  # killed later, behind the checkpoint
    second = open_steps(folder, stream)
    second.restore(folder)
    assert take(second, number - stopped) == expected[stopped:]
    assert (folder / "rejected.jsonl").read_text() == (folder / "whole.jsonl").read_text()
    assert second.describe() == whole.describe()


def test_a_checkpoint_is_of_its_step_though_later_ones_were_loaded(tmp_path):
    steps = open_steps(tmp_path, Numbers(20, buffer_size=3))
    taken = take(steps, 5)
    steps.save(tmp_path, 3)
    assert read_snapshot(tmp_path).step == 3
    steps.restore(tmp_path)
    assert take(steps, 2) == taken[3:]


@given(st.integers(4, 30), st.integers(2, 5), st.integers(0, 6))
def test_processes_share_each_step_and_none_has_a_row_of_another(make_folder, rows, world_size, buffer):
    folder = make_folder()
    number = count_steps(rows) + 1
    expected = take(open_steps(folder, Numbers(rows, buffer_size=buffer)), number)
    shares = []
    for rank in range(world_size):
        steps = open_steps(folder, Numbers(rows, buffer_size=buffer), rank=rank, world_size=world_size)
        shares.append(
            [
                [example["row"] for example in steps.__getitems__([step]) if example["labels"] != -100]
                for step in range(number)
            ]
        )
    for step, whole in enumerate(expected):
        together = [row for share in shares for row in share[step]]
        assert sorted(together) == sorted(whole)


def test_rows_that_are_left_out_are_written_once_and_behind_what_is_there(tmp_path):
    rejected = tmp_path / "data" / "rejected.jsonl"
    rejected.parent.mkdir()
    rejected.write_text('{"split": "test"}\n')
    steps = open_steps(tmp_path, Numbers(20), rejected=rejected)
    take(steps, 3 * count_steps(20))
    lines = [json.loads(line) for line in rejected.read_text(encoding="utf-8").splitlines()]
    assert [line.get("source") for line in lines] == [None, "月.jsonl:4", "月.jsonl:11", "月.jsonl:18"]
    assert steps.describe() == {
        "read": 20,
        "number": 20,
        "examples": 17,
        "passes": 3,
        "changes": [{"split": "train", "rule": "too_long:drop", "action": "dropped", "rows": 3}],
    }


def test_too_many_rows_left_out_stop_the_run(tmp_path):
    steps = open_steps(tmp_path, Numbers(40, max_rejected=0.1))
    message = (
        r"data.max_rejected: 1 of 5 rows \(20.0%\) are left out, more than 10.0%; by rule: too_long:drop: 1"
    )
    with pytest.raises(DataError, match=message):
        take(steps, 1)


def test_a_stream_without_examples_is_an_error(tmp_path):
    stream = Numbers(1)
    stream.read = lambda start, **counts: iter([EncodedChunk([], [], [], 3, 0, Place(0, 3))])
    with pytest.raises(DataError, match="no examples are left of 3 rows"):
        take(open_steps(tmp_path, stream), 1)


def test_a_checkpoint_without_a_stream_says_so(tmp_path):
    with pytest.raises(RunError, match="has no place in a stream"):
        open_steps(tmp_path, Numbers(5)).restore(tmp_path)


def test_the_sampler_numbers_the_steps_of_the_run_and_knows_the_pass(tmp_path):
    steps = open_steps(tmp_path, Numbers(3), num_steps=4)
    sampler = StreamSampler(steps)
    sampler.set_epoch(7)
    assert list(sampler.batch_sampler) == [[0], [1], [2], [3]]
    take(steps, 2)
    assert (len(sampler), sampler.epoch, sampler.seed) == (4, 1, 1)
