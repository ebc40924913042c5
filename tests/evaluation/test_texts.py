"""Evaluation by generation: the answer is written and scored, not the prompt."""

import logging

import pytest
import torch

import ftkit
from ftkit.data import load_rows
from ftkit.errors import DataError
from ftkit.evaluation.scoring import choose_metrics, score_model
from ftkit.evaluation.texts import add_texts, needs_texts
from ftkit.metrics import load_metric
from ftkit.models import Precision, load_checkpoint
from ftkit.models.generation import GenerationOptions, generate_many
from ftkit.recipe import EvaluationSection, GenerationSection, ModelSection
from ftkit.tasks import Encoding, get_task
from ftkit.tasks.encoding import encode_rows

PAIRS = [
    {"source": "the cat sat on the mat", "target": "cat on mat"},
    {"source": "床前明月光，疑是地上霜", "target": "月光如霜"},
    {"source": "hello", "target": "hello world"},
]
SHORT = EvaluationSection(generation=GenerationSection(max_new_tokens=6))


def open_task(name, folder, rows):
    task = get_task(name)
    torch.manual_seed(0)
    checkpoint = load_checkpoint(
        ModelSection(base=str(folder)),
        auto_class=task.MODEL_CLASS,
        labels=(),
        precision=Precision("float32", None, "tests compare bits"),
        task=name,
    )
    encoding = Encoding(200, "truncate")
    return (
        task,
        checkpoint,
        encode_rows(name, task, load_rows(rows), checkpoint.tokenizer, encoding, split="test"),
    )


def make_chats():
    return [
        {
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello!"},
                {"role": "user", "content": pair["source"]},
                {"role": "assistant", "content": pair["target"]},
            ]
        }
        for pair in PAIRS
    ]


@pytest.fixture(params=["seq2seq", "chat"])
def opened(request, tiny_t5, tiny_llama):
    folder, rows = {"seq2seq": (tiny_t5, PAIRS), "chat": (tiny_llama, make_chats())}[request.param]
    return open_task(request.param, folder, rows)


def test_the_reference_is_the_answer_and_the_text_is_what_the_model_writes(opened):
    task, checkpoint, split = opened
    scored = score_model(checkpoint, task, split, ["chrf", "loss"], SHORT)
    assert [record["reference"] for record in scored.records] == [pair["target"] for pair in PAIRS]
    for record, row in zip(scored.records, split.rows, strict=True):
        before, _ = task.split_answer(row, checkpoint.tokenizer, split.encoding)
        prompt = task.make_prompt(before, checkpoint.tokenizer, split.encoding)
        (alone,) = generate_many(
            checkpoint.model, checkpoint.tokenizer, [prompt], GenerationOptions(max_new_tokens=6)
        )
        assert record["text"] == alone.text


def test_the_score_is_that_of_the_metric_over_the_texts(opened):
    task, checkpoint, split = opened
    scored = score_model(checkpoint, task, split, ["chrf", "rougeL", "bleu", "exact_match"], SHORT)
    texts = [record["text"].strip() for record in scored.records]
    references = [record["reference"] for record in scored.records]
    expected = load_metric("chrf").compute(predictions=texts, references=references)["chrf"]
    assert scored.scores["chrf"] == pytest.approx(expected)
    assert set(scored.scores) == {"chrf", "rougeL", "bleu", "exact_match"}


def test_a_model_that_writes_the_references_has_full_scores(opened, monkeypatch):
    from ftkit.models.generation import Written

    task, checkpoint, split = opened
    monkeypatch.setattr(
        "ftkit.evaluation.texts.generate_many",
        lambda *_: [Written(f" {pair['target']}", finished=True) for pair in PAIRS],
    )
    scores = score_model(checkpoint, task, split, ["chrf", "rougeL", "exact_match"], SHORT).scores
    assert scores == {"chrf": 100.0, "rougeL": 1.0, "exact_match": 1.0}


def test_no_text_is_written_where_no_metric_asks_for_one(opened, monkeypatch):
    monkeypatch.setattr("ftkit.evaluation.texts.generate_many", None)
    task, checkpoint, split = opened
    assert "text" not in score_model(checkpoint, task, split, ["loss"], SHORT).records[0]


def test_texts_that_were_cut_off_are_counted_aloud(opened, caplog):
    task, checkpoint, split = opened
    records = [{"row": 2}, {"row": 0}]
    with caplog.at_level(logging.WARNING):
        found = add_texts(records, checkpoint, task, split, GenerationSection(max_new_tokens=1))
    assert "2 of 2 texts did not end within 1 tokens" in caplog.text
    assert [record["reference"] for record in found] == [PAIRS[2]["target"], PAIRS[0]["target"]]


def test_dropout_is_off_while_texts_are_written_and_back_on_afterwards(opened):
    task, checkpoint, split = opened
    checkpoint.model.train()
    first = score_model(checkpoint, task, split, ["chrf"], SHORT).records
    assert checkpoint.model.training
    assert score_model(checkpoint, task, split, ["chrf"], SHORT).records == first


def test_a_model_learns_on_after_it_has_written(opened):
    task, checkpoint, split = opened
    score_model(checkpoint, task, split, ["chrf"], SHORT)
    batch = task.collate(split.examples.__getitems__([0, 1]), checkpoint.tokenizer, split.encoding, (0,))
    task.compute_loss(checkpoint.model, batch, ftkit.tasks.LossOptions()).backward()
    assert any(weights.grad is not None for weights in checkpoint.model.parameters())


def test_an_answer_without_a_question_is_an_error_of_its_row(tiny_llama):
    rows = [make_chats()[0], {"messages": [{"role": "assistant", "content": "Hello!"}]}]
    task, checkpoint, split = open_task("chat", tiny_llama, rows)
    with pytest.raises(DataError, match="nothing stands before the answer"):
        score_model(checkpoint, task, split, ["chrf"], SHORT)


@pytest.mark.parametrize(
    ("metric", "writes"), [("rougeL", True), ("bleu", True), ("loss", False), ("mine", False)]
)
def test_a_metric_says_whether_it_needs_texts(metric, writes):
    assert needs_texts(["perplexity", metric]) == writes


def test_settings_of_generation_that_nothing_uses_are_named(caplog):
    with caplog.at_level(logging.WARNING):
        choose_metrics(get_task("chat"), EvaluationSection(metrics=["loss"], generation=SHORT.generation))
    assert "evaluation.generation: not used" in caplog.text
    caplog.clear()
    choose_metrics(get_task("chat"), EvaluationSection(metrics=["rougeL"], generation=SHORT.generation))
    assert not caplog.text
