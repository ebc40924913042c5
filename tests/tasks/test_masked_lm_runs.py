"""Whole runs of masked language modelling, as a user starts them."""

import json
import logging

import pytest
import torch
import transformers
from tiny_models import make_wordpiece_tokenizer, save_tiny_model

import ftkit
from ftkit.data import prepare_rows
from ftkit.errors import DataError, ModelError, RecipeError
from ftkit.tasks import masked_lm
from ftkit.tasks.protocol import Encoding

TEXT = "the cat sat on the mat and the dog ran over the house 床前明月光"
ROWS = [{"text": f"{TEXT} {number}"} for number in range(48)]


def finetune(folder, model, *, adapter=None, rows=ROWS, **training):
    folder.mkdir(exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
    return ftkit.finetune(
        task="masked-lm",
        model=model if isinstance(model, dict) else str(model),
        data={"train": str(folder / "rows.jsonl"), "validation": None, "test": 8, "max_tokens": 24},
        adapter=adapter,
        training={
            "max_steps": 30, "learning_rate": 2e-2, "batch_size": 8, "precision": "float32",
            "arguments": {"use_cpu": True}, **training,
        },
        output_dir=str(folder / "run"),
    )  # fmt: skip


@pytest.fixture
def headless(tmp_path):
    """A BERT that was published without the head that fills in words, as MiniLM is."""
    tokenizer = make_wordpiece_tokenizer()
    config = transformers.BertConfig(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    return save_tiny_model("BertModel", config, tokenizer, tmp_path / "headless")


def score_plainly(run):
    """Mean loss of each record, from the saved folder in plain transformers with all logits."""
    model = transformers.AutoModelForMaskedLM.from_pretrained(run.folder.model).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.folder.model)
    rows = enumerate(prepare_rows(run.recipe.data, seed=42).splits["test"])
    encoding = Encoding(24, "split")
    losses = []
    for example in masked_lm.encode(rows, tokenizer, encoding, lambda *_: None):
        batch = masked_lm.collate([example], tokenizer, encoding, (0,))
        with torch.no_grad():
            logits = model(input_ids=batch["input_ids"]).logits
        losses.append(float(torch.nn.functional.cross_entropy(logits[0], batch["labels"][0])))
    return losses


def test_an_encoder_learns_and_plain_transformers_gives_the_same_losses(tmp_path, tiny_bert):
    run = finetune(tmp_path, tiny_bert)
    scores = run.report["scores"]
    assert list(scores) == ["base", "tuned"]
    assert scores["tuned"]["pseudo_perplexity"] < scores["base"]["pseudo_perplexity"] / 3
    assert scores["tuned"]["masked_accuracy"] > scores["base"]["masked_accuracy"] + 0.1
    assert run.report["num_masked_tokens"] > 10
    lines = (run.folder.evaluation / "predictions.jsonl").read_text().splitlines()
    written = [json.loads(line)["loss"] for line in lines]
    # other padding, other order of sums in float32
    assert written == pytest.approx(score_plainly(run), rel=1e-3)


def test_an_adapter_on_a_model_without_a_head_learns_and_reloads(tmp_path, headless, caplog):
    with caplog.at_level(logging.INFO):
        run = finetune(tmp_path, headless, adapter="lora")
    assert "no head for masked-lm; starting with a random one" in caplog.text
    assert any("random weights" in note for note in run.report["notes"])
    scores = run.report["scores"]
    assert scores["tuned"]["loss"] < scores["base"]["loss"]
    lines = (run.folder.evaluation / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["loss"] for line in lines] == pytest.approx(score_plainly(run), rel=1e-3)


@pytest.mark.parametrize("adapter", [None, "lora"])
def test_new_tokens_are_learned_saved_and_predicted(tmp_path, tiny_bert, adapter):
    rows = [{"text": f"the kubectl sat on the mat {number}"} for number in range(48)]
    model = {"base": str(tiny_bert), "new_tokens": ["kubectl", "<think>"]}
    run = finetune(tmp_path, model, adapter=adapter, rows=rows)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.folder.model)
    number = tokenizer.convert_tokens_to_ids("kubectl")
    assert number in tokenizer("the kubectl")["input_ids"]
    saved = transformers.AutoModelForMaskedLM.from_pretrained(run.folder.model)
    rows = saved.get_input_embeddings().weight.detach()
    assert len(rows) == len(tokenizer)
    assert not torch.allclose(rows[number], rows[tokenizer.convert_tokens_to_ids("<think>")], atol=1e-3)
    scores = run.report["scores"]
    assert scores["tuned"]["loss"] < scores["base"]["loss"]
    again = ftkit.evaluate(run).report["scores"]
    assert again["tuned"] == pytest.approx(scores["tuned"], rel=1e-5)
    assert again["base"] == pytest.approx(scores["base"], rel=1e-5)


@pytest.mark.parametrize("adapter", [None, "lora"])
def test_an_interrupted_run_hides_the_same_words_when_it_continues(tmp_path, tiny_bert, monkeypatch, adapter):
    model = {"base": str(tiny_bert), "new_tokens": ["<think>"]} if adapter else tiny_bert
    settings = {"adapter": adapter, "max_steps": 14, "checkpoint_every": 3, "micro_batch_size": 8}
    original, calls, drawn = masked_lm.compute_loss, [], []

    def watch(model, batch, options):
        if not torch.is_grad_enabled():  # the look before the first step
            return original(model, batch, options)
        calls.append(1)
        if len(calls) == stop_at:
            raise RuntimeError("gone")
        drawn.append(batch["input_ids"].tolist())
        return original(model, batch, options)

    monkeypatch.setattr(masked_lm, "compute_loss", watch)
    stop_at = 0
    whole = finetune(tmp_path / "whole", model, **settings)
    expected, drawn[:], calls[:] = list(drawn), [], []
    stop_at = 9
    with pytest.raises(RuntimeError, match="gone"):
        finetune(tmp_path / "broken", model, **settings)
    before = list(drawn)
    stop_at, drawn[:] = 0, []
    again = finetune(tmp_path / "broken", model, **settings)
    assert before == expected[: len(before)]
    assert drawn == expected[len(expected) - len(drawn) :]
    assert again.report["scores"]["tuned"] == pytest.approx(whole.report["scores"]["tuned"], rel=1e-5)


def test_the_words_that_are_hidden_differ_by_epoch(tmp_path, tiny_bert, monkeypatch):
    original, drawn = masked_lm.compute_loss, []

    def watch(model, batch, options):
        if torch.is_grad_enabled():  # not the look before the first step
            drawn.append(sorted(map(tuple, batch["input_ids"].tolist())))
        return original(model, batch, options)

    monkeypatch.setattr(masked_lm, "compute_loss", watch)
    finetune(tmp_path, tiny_bert, max_steps=None, epochs=2, batch_size=100, micro_batch_size=100)
    first, second = drawn
    assert len(first) == len(second)
    assert first != second


def test_gaps_that_a_user_leaves_are_filled_in(tmp_path, tiny_bert):
    run = finetune(tmp_path, tiny_bert, max_steps=60)
    texts = ["the cat sat on the [MASK]", f"hello {'the ' * 20} [MASK] and the [MASK]"]
    found = run.predict(texts)
    assert [one["row"] for one in found] == [0, 1]
    assert [len(one["fills"]) for one in found] == [1, 2]
    assert len(found[0]["fills"][0]) == masked_lm.NUM_FILLS
    assert found[0]["prediction"] == [found[0]["fills"][0][0]["text"]]
    fill = transformers.pipeline(
        "fill-mask",
        model=run.model,
        tokenizer=transformers.AutoTokenizer.from_pretrained(run.folder.model),
        top_k=masked_lm.NUM_FILLS,
    )
    plain = {one["token_str"]: one["score"] for one in fill(texts[0])}
    assert {one["text"]: one["probability"] for one in found[0]["fills"][0]} == pytest.approx(plain, rel=1e-4)


def test_a_text_without_a_gap_is_reported_with_its_row(tmp_path, tiny_bert):
    run = finetune(tmp_path, tiny_bert, max_steps=1)
    with pytest.raises(DataError, match=r"column 'text' has no \[MASK\]; write it where"):
        run.predict(["the [MASK]", "the cat"])


def test_a_decoder_says_what_it_can_do(tmp_path, tiny_llama):
    with pytest.raises(ModelError, match=r"cannot do masked-lm; it can do causal-lm, chat"):
        finetune(tmp_path, tiny_llama)


def test_settings_of_masking_are_refused_where_nothing_is_masked(tmp_path, tiny_llama):
    with pytest.raises(RecipeError, match=r"data\.mlm_probability: the task causal-lm does not read"):
        ftkit.finetune(
            task="causal-lm",
            model=str(tiny_llama),
            data={"train": ROWS, "mlm_probability": 0.3},
            output_dir=str(tmp_path / "run"),
        )
