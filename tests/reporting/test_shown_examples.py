import random

import pytest

from ftkit.data import load_rows
from ftkit.models import Precision, load_checkpoint
from ftkit.recipe import DataSection, ModelSection
from ftkit.reporting.examples import count_lengths, cut_pieces, sample_supervision
from ftkit.tasks import get_task
from ftkit.tasks.encoding import encode_splits

CHATS = [
    {"messages": [{"role": "user", "content": "你好 hello"}, {"role": "assistant", "content": word * 3}]}
    for word in ("月光", "the cat ", "🐈", "free ")
]
MAILS = [{"text": f"free money {number}", "label": ("ham", "spam")[number % 2]} for number in range(4)]


def encode(model, task_name, rows, **settings):
    task = get_task(task_name)
    checkpoint = load_checkpoint(
        ModelSection(base=str(model)), auto_class=task.MODEL_CLASS, labels=("ham", "spam"),
        precision=Precision("float32", None, "test"), task=task_name,
    )  # fmt: skip
    data = DataSection(train="rows", **settings)
    split = encode_splits(task_name, task, {"train": load_rows(rows)}, checkpoint, data)["train"]
    return split, task, checkpoint.tokenizer


def test_the_answer_of_a_chat_is_what_is_marked(tiny_llama):
    split, task, tokenizer = encode(tiny_llama, "chat", CHATS)
    samples = sample_supervision(split, task, tokenizer, 4)
    for sample, row in zip(samples, CHATS, strict=True):
        marked = "".join(piece["text"] for piece in sample["pieces"] if piece["supervised"])
        assert marked == f"{row['messages'][1]['content']}<|im_end|>"
        whole = "".join(piece["text"] for piece in sample["pieces"])
        assert whole == tokenizer.apply_chat_template(row["messages"], tokenize=False)
        assert 0 < sample["num_supervised"] < sample["num_tokens"]


def test_of_plain_text_every_token_but_the_first_is_learned(tiny_llama):
    split, task, tokenizer = encode(
        tiny_llama, "causal-lm", [{"text": "床前明月光 hello"}] * 3, documents="whole"
    )
    sample = sample_supervision(split, task, tokenizer, 1)[0]
    assert "床前明月光 hello" in "".join(piece["text"] for piece in sample["pieces"])
    assert sample["num_supervised"] >= sample["num_tokens"] - 1


def test_a_masked_model_learns_hidden_words_alone(tiny_bert):
    split, task, tokenizer = encode(tiny_bert, "masked-lm", [{"text": "the cat sat on the mat " * 5}])
    sample = sample_supervision(split, task, tokenizer, 1)[0]
    assert 0 < sample["num_supervised"] < sample["num_tokens"] / 2


def test_of_an_encoder_decoder_the_target_is_marked(tiny_t5):
    rows = [{"source": "the cat", "target": "good dog"}] * 2
    split, task, tokenizer = encode(tiny_t5, "seq2seq", rows)
    pieces = sample_supervision(split, task, tokenizer, 1)[0]["pieces"]
    assert [piece["supervised"] for piece in pieces] == [False, True]
    assert "good dog" in pieces[1]["text"]


def test_of_a_labelled_text_no_token_carries_the_loss(tiny_bert):
    split, task, tokenizer = encode(tiny_bert, "text-classification", MAILS)
    samples = sample_supervision(split, task, tokenizer)
    assert len(samples) == 3
    assert all(sample["num_supervised"] is None for sample in samples)
    assert samples[0]["pieces"][0]["text"].startswith("[CLS] free money 0")


def test_samples_are_taken_from_begin_to_end(tiny_bert):
    rows = [{"text": f"free {number}", "label": ("ham", "spam")[number % 2]} for number in range(99)]
    split, task, tokenizer = encode(tiny_bert, "text-classification", rows)
    samples = sample_supervision(split, task, tokenizer)
    assert [sample["where"] for sample in samples] == [split.rows.where(row) for row in (0, 49, 98)]


def test_pieces_put_together_are_the_text(tiny_llama):
    _, _, tokenizer = encode(tiny_llama, "chat", CHATS)
    ids = tokenizer("the cat 月光 sat, free").input_ids
    draw = random.Random(0)
    for _ in range(50):
        flags = [draw.random() < 0.5 for _ in ids]
        pieces = cut_pieces(ids, flags, tokenizer)
        turns = [flag for place, flag in enumerate(flags) if place == 0 or flags[place - 1] != flag]
        assert [piece["supervised"] for piece in pieces] == turns
        # A character cut in two is shown as what it is: bytes that are no text.
        if all("\ufffd" not in piece["text"] for piece in pieces):
            assert "".join(piece["text"] for piece in pieces) == tokenizer.decode(ids)


@pytest.mark.parametrize("lengths", [[5], [1, 2, 3], [10] * 40, list(range(1, 500)), [1, 100_000]])
def test_every_length_is_counted_once_in_the_bin_that_it_belongs_to(lengths):
    counted = count_lengths(lengths)
    edges = counted["edges"]
    slow = [
        sum(low <= length < high for length in lengths)
        for low, high in zip(edges[:-1], edges[1:], strict=True)
    ]
    assert counted["counts"] == slow
    assert sum(slow) == counted["number"] == len(lengths)
    assert (counted["shortest"], counted["longest"], counted["total"]) == (
        min(lengths),
        max(lengths),
        sum(lengths),
    )
    assert len(slow) <= 30
