"""What carries loss is counted off the batches that are trained, whatever task made them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.checks.supervision import (
    SAMPLE_SIZE,
    Trained,
    _list_runs,
    choose_sample,
    count_unknown,
    describe_supervision,
    find_ends,
    judge_supervision,
    measure_supervision,
    read_trained,
    show_examples,
    starts_twice,
)
from ftkit.recipe import ChecksSection
from ftkit.tasks.padding import IGNORED
from ftkit.training.steps import plan_epoch


def encode(tokenizer, prompt, answer, *, end=True):
    """An example of a chat: the prompt without loss, the answer with it."""
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    after = tokenizer(answer + "<|im_end|>" * end, add_special_tokens=False)["input_ids"]
    return {"input_ids": before + after, "labels": [IGNORED] * len(before) + after}


def measure(task, tokenizer, split):
    places = choose_sample(split)
    return measure_supervision(task, tokenizer, split, list(read_trained(task, tokenizer, split, places, 1)))


def number_rows(examples):
    return [{"row": row, **example} for row, example in enumerate(examples)]


def test_tokens_answers_and_ends_are_counted(chat, chat_tokenizer, make_split):
    good = encode(chat_tokenizer, "the cat?", "明月光")
    endless = encode(chat_tokenizer, "the dog?", "hello", end=False)
    nothing = {**good, "labels": [IGNORED] * len(good["labels"])}
    found = measure(chat, chat_tokenizer, make_split(number_rows([good, good, endless, nothing])))
    assert found.num_examples == found.num_looked_at == 4
    assert found.num_tokens == sum(len(one["input_ids"]) for one in (good, good, endless, nothing))
    with_loss = [label for one in (good, good, endless) for label in one["labels"] if label != IGNORED]
    assert found.num_tokens_with_loss == len(with_loss)
    assert found.num_without_loss == 1
    assert (found.num_answers, found.num_answers_without_stop) == (3, 1)
    assert found.last_tokens[0] == "<|im_end|>"


def test_a_conversation_has_an_end_for_each_answer(chat, chat_tokenizer, make_split):
    first, second = (encode(chat_tokenizer, "a?", answer) for answer in ("one", "two"))
    joined = {key: first[key] + second[key] for key in first}
    cut = {key: values[:-1] for key, values in joined.items()}
    found = measure(chat, chat_tokenizer, make_split(number_rows([joined, cut])))
    assert (found.num_answers, found.num_answers_without_stop) == (4, 1)


def test_loss_on_everything_counts_a_conversation_as_one_answer(chat, chat_tokenizer, make_split):
    ids = chat_tokenizer("<|im_start|>user\na<|im_end|>\n", add_special_tokens=False)["input_ids"]
    whole = {"input_ids": ids, "labels": ids}
    found = measure(chat, chat_tokenizer, make_split(number_rows([whole]), train_on="all"))
    assert (found.num_answers, found.num_answers_without_stop, found.num_wholly_supervised) == (1, 0, 0)
    only_answers = measure(chat, chat_tokenizer, make_split(number_rows([whole])))
    assert only_answers.num_wholly_supervised == 1


@given(st.lists(st.booleans(), max_size=30))
def test_runs_are_what_lies_between_the_gaps(has_loss):
    targets = [7 if each else IGNORED for each in has_loss]
    runs = _list_runs(targets)
    covered = [place for start, end in runs for place in range(start, end)]
    assert covered == [place for place, each in enumerate(has_loss) if each]
    assert all(end < start for (_, end), (start, _) in zip(runs, runs[1:], strict=False))
    slow = "".join("x" if each else " " for each in has_loss).split()
    assert [end - start for start, end in runs] == [len(run) for run in slow]


def test_an_end_may_have_a_line_break_behind_it(chat_tokenizer, make_split):
    ids = chat_tokenizer("hello<|im_end|>\n", add_special_tokens=False)["input_ids"]
    assert find_ends(Trained(0, 0, ids, ids, 1.0, False), chat_tokenizer, make_split([{"row": 0}])) == [True]


def test_a_token_that_begins_a_text_is_counted_where_it_stands_twice(chat_tokenizer):
    chat_tokenizer.bos_token = "<|im_start|>"
    begin = chat_tokenizer.bos_token_id
    try:
        assert starts_twice([begin, begin, 9], chat_tokenizer)
        assert not starts_twice([begin, 9, begin, begin], chat_tokenizer)
    finally:
        chat_tokenizer.bos_token = None
    assert not starts_twice([begin, begin, 9], chat_tokenizer)


def test_unknown_tokens_are_not_those_that_end_a_text(tiny_bert, tiny_gpt2):
    from transformers import AutoTokenizer

    bert = AutoTokenizer.from_pretrained(tiny_bert)
    ids = bert("cat 繁 dog 體")["input_ids"]
    assert count_unknown(Trained(0, 0, ids, [], 1.0, False), bert) == 2
    gpt2 = AutoTokenizer.from_pretrained(tiny_gpt2)
    assert count_unknown(Trained(0, 0, [gpt2.unk_token_id] * 3, [], 1.0, False), gpt2) == 0


def test_of_an_encoder_decoder_both_sides_count(tiny_bert):
    from transformers import AutoTokenizer

    bert = AutoTokenizer.from_pretrained(tiny_bert)
    unknown = bert.unk_token_id
    apart = Trained(0, 0, [5, unknown], [unknown, unknown, 6], 3.0, True)
    assert (apart.num_tokens, count_unknown(apart, bert)) == (5, 3)


def test_a_small_split_is_looked_at_whole_and_a_large_one_in_part(make_split):
    small = make_split([{"row": 0}] * SAMPLE_SIZE)
    assert choose_sample(small, [7]) == list(range(SAMPLE_SIZE))
    number = 10 * SAMPLE_SIZE
    large = make_split([{"row": 0}] * number)
    order = [place for step in plan_epoch(number, 8, seed=3, epoch=0) for place in step]
    chosen = choose_sample(large, order)
    assert len(chosen) <= SAMPLE_SIZE + 1
    assert {*plan_epoch(number, 8, seed=3, epoch=0)[0]} <= {*chosen}  # the very first step
    assert max(right - left for left, right in zip(chosen, chosen[1:], strict=False)) <= number // 200
    held_out = make_split([{"row": 0}] * number, name="test")
    assert len(choose_sample(held_out)) >= SAMPLE_SIZE // 2


def test_thresholds_of_the_recipe_decide(chat, chat_tokenizer, make_split):
    good, endless = encode(chat_tokenizer, "a?", "b"), encode(chat_tokenizer, "a?", "b", end=False)
    split = make_split(number_rows([good] * 49 + [endless]))
    found = measure(chat, chat_tokenizer, split)

    def judge(**settings):
        return [each.severity for each in judge_supervision(found, split, ChecksSection(**settings), {})]

    assert judge() == ["error"]
    assert judge(answers_without_stop=0.05) == ["warning"]
    assert judge(answers_without_stop=0.5) == []


@pytest.mark.parametrize(
    ("rejected", "setting"),
    [
        ({"too_long:drop": 30}, "rows_left_out"),
        ({"weight:drop": 20, "too_short:drop": 10}, "rows_left_out"),
        ({"target_too_long:truncate": 30}, "answers_cut"),
        ({"answer:in_no_window": 30}, "answers_cut"),
        ({"too_long:truncate": 50, "too_long:windows": 50}, None),
    ],
)
def test_rows_that_were_changed_count_by_what_was_lost(chat, chat_tokenizer, make_split, rejected, setting):
    split = make_split(number_rows([encode(chat_tokenizer, "a?", "b")] * 50))
    found = judge_supervision(measure(chat, chat_tokenizer, split), split, ChecksSection(), rejected)
    assert [f"checks.{setting}" in each.message for each in found] == [True] * (setting is not None)


def test_a_sample_is_said_to_be_one(chat, chat_tokenizer, make_split):
    from dataclasses import replace

    split = make_split(number_rows([encode(chat_tokenizer, "a?", "b")] * 2))
    found = measure(chat, chat_tokenizer, split)
    assert "of 2 examples;" in describe_supervision(found).message
    assert "of 2 examples looked at;" in describe_supervision(replace(found, num_examples=9)).message


def test_three_examples_are_shown_as_they_are_trained(chat, chat_tokenizer, make_split):
    split = make_split(number_rows([encode(chat_tokenizer, f"{number}?", "明月") for number in range(9)]))
    trained = list(read_trained(chat, chat_tokenizer, split, range(9), 1))
    shown = show_examples(chat, chat_tokenizer, split, trained)
    assert [[(piece.text, piece.has_loss) for piece in one.pieces] for one in shown] == [
        [(f"{number}?", False), ("明月<|im_end|>", True)] for number in (0, 3, 6)
    ]
