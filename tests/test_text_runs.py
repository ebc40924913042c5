"""Whole runs of models that write texts, as a user starts them."""

import json
import random

import pytest
import torch
import transformers
from typer.testing import CliRunner

import ftkit
from ftkit.errors import DataError, MetricError, ModelError, RecipeError

PAIRS = {"cat": "the cat sat", "dog": "a dog ran", "月": "明月光", "霜": "地上霜"}


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def make_pairs(number, seed):
    draw = random.Random(seed)
    return [{"in": word, "out": PAIRS[word]} for word in draw.choices(list(PAIRS), k=number)]


def write_splits(folder):
    for seed, (name, number) in enumerate({"train": 96, "test": 12, "validation": 8}.items(), start=1):
        write_rows(folder / f"{name}.jsonl", make_pairs(number, seed))
    return folder


@pytest.fixture
def pairs(tmp_path):
    return write_splits(tmp_path)


def run_pairs(folder, model, task="seq2seq", columns=("source", "target"), **sections):
    train = {
        "epochs": 12,
        "learning_rate": 1e-2,
        "batch_size": 8,
        "precision": "float32",
        "arguments": {"use_cpu": True},
    }
    data = {
        "train": str(folder / "train.jsonl"),
        "test": str(folder / "test.jsonl"),
        "columns": dict(zip(columns, ("in", "out"), strict=True)),
        "validation": str(folder / "validation.jsonl"),
    }
    evaluation = {"metrics": ["chrf", "exact_match", "loss"], "generation": {"max_new_tokens": 16}}
    return ftkit.finetune(
        task=task,
        model=model if isinstance(model, dict) else str(model),
        data={**data, **sections.pop("data", {})},
        training={**train, **sections.pop("training", {})},
        evaluation={**evaluation, **sections.pop("evaluation", {})},
        output_dir=str(folder / "run"),
        **sections,
    )


def read_predictions(run):
    lines = (run.folder.evaluation / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def translator(tiny_t5, tmp_path_factory):
    folder = tmp_path_factory.mktemp("translator")
    write_splits(folder)
    return run_pairs(folder, tiny_t5, data={"source_prefix": "say: "})


def test_an_encoder_decoder_learns_to_write_the_targets(translator):
    scores = translator.report["scores"]
    assert scores["tuned"]["chrf"] > 90
    assert scores["base"]["chrf"] < 20
    assert scores["tuned"]["exact_match"] > 0.9
    assert [line["reference"] for line in read_predictions(translator)] == [
        row["out"] for row in make_pairs(12, 2)
    ]


def test_plain_transformers_writes_the_same_texts_with_the_saved_model(translator):
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(translator.folder.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(translator.folder.model)
    for prediction, row in zip(read_predictions(translator), make_pairs(12, 2), strict=True):
        inputs = tokenizer(f"say: {row['in']}", return_tensors="pt")
        output = model.generate(**inputs, max_new_tokens=16, do_sample=False)[0]
        assert tokenizer.decode(output, skip_special_tokens=True) == prediction["text"]
        labels = tokenizer(row["out"] + "</s>", return_tensors="pt")["input_ids"]
        with torch.no_grad():
            loss = float(model(**inputs, labels=labels).loss)
        assert prediction["loss"] == pytest.approx(loss, rel=1e-3, abs=1e-5)  # padding, float32


def test_new_sources_are_answered_in_their_order_with_the_prefix(translator):
    assert [one["text"] for one in translator.predict(["cat", "月", "dog"])] == [
        "the cat sat",
        "明月光",
        "a dog ran",
    ]
    assert translator.generate("cat", max_new_tokens=16, num_beams=3) == "the cat sat"
    assert "".join(translator.stream("月", max_new_tokens=16)) == "明月光"
    with pytest.raises(DataError, match="row 1.*'source' is empty|'source' is empty"):
        translator.predict(["cat", " "])


def test_the_texts_choose_the_best_checkpoint(translator):
    lines = [json.loads(line) for line in translator.folder.metrics.read_text().splitlines()]
    assert any("eval_chrf" in line for line in lines)
    assert any(comparison["metric"] == "chrf" for comparison in translator.report["comparisons"])


def test_a_run_is_scored_again_on_other_rows(translator, tmp_path):
    write_rows(tmp_path / "other.jsonl", make_pairs(5, 9))
    found = ftkit.evaluate(translator, data=str(tmp_path / "other.jsonl"), baseline=False)
    assert found.report["scores"]["tuned"]["chrf"] > 90


def test_a_chat_model_is_scored_on_the_same_rows_by_the_same_metrics(pairs, tiny_llama, translator):
    run = run_pairs(
        pairs,
        tiny_llama,
        "chat",
        ("prompt", "answer"),
        data={"source_prefix": "say: "},
        training={"epochs": 3},
    )
    assert set(run.report["scores"]["tuned"]) == set(translator.report["scores"]["tuned"])
    references = [line["reference"] for line in read_predictions(run)]
    assert references == [line["reference"] for line in read_predictions(translator)]


def test_an_encoder_decoder_learns_with_an_adapter(pairs, tiny_t5):
    run = run_pairs(pairs, tiny_t5, adapter={"method": "lora", "rank": 8}, training={"epochs": 6})
    scores = run.report["scores"]
    assert scores["tuned"]["loss"] < scores["base"]["loss"]
    assert (run.folder.adapter / "adapter_model.safetensors").is_file()


def test_learned_positions_train_and_write_too(pairs, tiny_bart):
    run = run_pairs(pairs, tiny_bart, training={"epochs": 4})
    scores = run.report["scores"]
    assert scores["tuned"]["loss"] < scores["base"]["loss"]


def test_a_small_t5_starts_from_nothing(pairs, tiny_t5):
    config = {"model_type": "t5", "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}
    run = run_pairs(pairs, {"config": config, "tokenizer": str(tiny_t5)}, training={"epochs": 2})
    assert run.report["scores"]["tuned"]["loss"] < run.report["scores"]["base"]["loss"]
    assert isinstance(run.generate("cat", max_new_tokens=4), str)


def test_spans_are_filled_in_without_targets(tmp_path, tiny_t5):
    write_rows(tmp_path / "train.jsonl", [{"in": "the cat sat on the mat " * 3}] * 40)
    write_rows(tmp_path / "test.jsonl", [{"in": "the cat sat on the mat " * 3}] * 4)
    data = {"objective": "span-corruption", "columns": {"source": "in"}, "max_tokens": 48, "validation": None}
    run = run_pairs(tmp_path, tiny_t5, data=data, evaluation={"metrics": ["loss"], "generation": {}})
    assert run.report["scores"]["tuned"]["loss"] < 0.7 * run.report["scores"]["base"]["loss"]
    with pytest.raises(MetricError, match="span corruption writes no texts"):
        ftkit.finetune(
            task="seq2seq",
            model=str(tiny_t5),
            data={**data, "train": str(tmp_path / "train.jsonl"), "test": str(tmp_path / "test.jsonl")},
            evaluation={"metrics": ["rougeL"]},
            output_dir=str(tmp_path / "other"),
        )


def test_a_row_without_a_target_is_an_error_with_its_line(pairs, tiny_t5):
    write_rows(pairs / "train.jsonl", [{"in": "cat", "out": "the cat"}, {"in": "dog", "out": ""}] * 9)
    with pytest.raises(DataError, match=r"train.jsonl:\d+: column 'target' is missing or empty"):
        run_pairs(pairs, tiny_t5)


def test_a_decoder_given_to_seq2seq_says_what_it_can_do(pairs, tiny_llama):
    with pytest.raises(ModelError, match="cannot do seq2seq; it can do causal-lm, chat"):
        run_pairs(pairs, tiny_llama)


def test_an_encoder_decoder_given_to_chat_says_what_it_can_do(pairs, tiny_t5):
    with pytest.raises(ModelError, match="cannot do chat; it can do seq2seq"):
        run_pairs(pairs, tiny_t5, "chat", ("prompt", "answer"))


def test_settings_of_the_other_task_are_refused(pairs, tiny_t5, tiny_llama):
    with pytest.raises(RecipeError, match="data.train_on: the task seq2seq does not read"):
        run_pairs(pairs, tiny_t5, data={"train_on": "last"})
    with pytest.raises(RecipeError, match="data.max_target_tokens: the task chat does not read"):
        run_pairs(pairs, tiny_llama, "chat", ("prompt", "answer"), data={"max_target_tokens": 5})


TEMPLATE = "{% for m in messages %}<|im_start|>{{ m['role'] }}: {{ m['content'] }}<|im_end|>{% endfor %}"
TEMPLATE += "{% if add_generation_prompt %}<|im_start|>assistant: {% endif %}"


def test_weights_and_a_template_of_the_recipe_reach_the_saved_model(tmp_path, tiny_llama):
    rows = [
        {"prompt": word, "answer": text, "weight": weight}
        for word, text in PAIRS.items()
        for weight in (0.01, 1, 2.5)
    ]
    run = ftkit.finetune(
        task="chat",
        model={"base": str(tiny_llama), "chat_template": TEMPLATE},
        data={"train": rows * 4, "validation": None, "test": rows},
        training={"epochs": 2, "learning_rate": 1e-2, "precision": "float32"},
        output_dir=str(tmp_path / "run"),
    )
    assert run.report["scores"]["tuned"]["loss"] < run.report["scores"]["base"]["loss"]
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.folder.model)
    assert tokenizer.apply_chat_template([{"role": "user", "content": "cat"}], tokenize=False) == (
        "<|im_start|>user: cat<|im_end|>"
    )
    config = transformers.GenerationConfig.from_pretrained(run.folder.model)
    ends = config.eos_token_id
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") in (ends if isinstance(ends, list) else [ends])


def test_the_command_chat_answers_piped_lines(pairs, tiny_llama):
    from ftkit.cli.app import app
    from ftkit.cli.commands import chat  # noqa: F401 - registers the commands

    run = run_pairs(
        pairs,
        tiny_llama,
        "chat",
        ("prompt", "answer"),
        training={"epochs": 1},
        evaluation={"metrics": ["loss"], "generation": {}},
    )
    shown = CliRunner().invoke(
        app, ["chat", str(run.folder.path), "--max-new-tokens", "6"], input="cat\n/reset\n月\n/quit\nmore\n"
    )
    assert shown.exit_code == 0
    expected = [run.generate(word, max_new_tokens=6) for word in ("cat", "月")]
    assert shown.stdout == "".join(f"{answer}\n" for answer in expected)
    assert "/reset forgets" in shown.stderr
    assert "forgotten" in shown.stderr
