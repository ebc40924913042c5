import json

import pytest
from transformers import AutoTokenizer
from typer.testing import CliRunner

import ftkit
from ftkit.cli import tokenizer_commands
from ftkit.cli.app import app
from ftkit.errors import RunError
from ftkit.tasks import chat, get_task, masked_lm, text_classification, token_classification
from ftkit.training.tokenizer import choose_frame, iterate_texts

RECIPE = """
task: {task}
model: {{config: {{model_type: {kind}}}, tokenizer: tokenizer}}
data: {{train: rows.jsonl, validation: null, test: [held.jsonl]}}
"""


@pytest.fixture
def recipe(tmp_path):
    rows = [{"text": f"the cat sat on mat {number} 床前明月光"} for number in range(40)]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "rows.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "held.jsonl").write_text('{"text": "ζζζζ ζζζζ"}\n', encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(task="masked-lm", kind="bert"), encoding="utf-8")
    return tmp_path / "recipe.yaml"


def test_the_command_trains_on_the_training_rows_alone(recipe):
    output = recipe.parent / "tokenizer"
    arguments = ["tokenizer", "train", str(recipe), "--output", str(output), "--algorithm", "wordpiece"]
    done = CliRunner().invoke(app, [*arguments, "--vocab-size", "90", "--special-token", "<|x|>"])
    assert done.exit_code == 0, done.output
    tokenizer = AutoTokenizer.from_pretrained(output)
    assert done.stdout == f"{len(tokenizer)} tokens in {output}; use it: model.tokenizer: {output}\n"
    assert "ζ" not in tokenizer.get_vocab()
    assert "<|x|>" in tokenizer.all_special_tokens
    assert tokenizer.tokenize("the cat") == ["the", "cat"]
    assert tokenizer_commands.train_tokenizer.__doc__


def test_a_notebook_has_the_same_function_and_nothing_is_overwritten(recipe):
    output = recipe.parent / "mine"
    made = ftkit.train_tokenizer(recipe, output, algorithm="bpe", vocab_size=120)
    assert made.mask_token == "<mask>"
    with pytest.raises(RunError, match="there is something already"):
        ftkit.train_tokenizer(ftkit.load_recipe(recipe), output)


def test_the_frame_follows_from_the_task():
    assert choose_frame(text_classification) == "encoder"
    assert choose_frame(get_task("causal-lm")) == choose_frame(chat) == "decoder"
    assert choose_frame(masked_lm) == "encoder"


def test_texts_are_found_in_every_shape_of_row_and_labels_are_none():
    messages = [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "hello"}]
    rows = [{"messages": messages}, {"prompt": "a", "answer": "b", "history": [["c", "d"]], "weight": 1}]
    assert list(iterate_texts(rows, chat.COLUMNS)) == ["你好", "hello", "a", "b", "c", "d"]
    mails = [{"text": "win", "label": "spam", "other": "x"}]
    assert list(iterate_texts(mails, text_classification.COLUMNS)) == ["win"]
    words = [{"tokens": ["New", "York"], "tags": ["B", "I"]}]
    assert list(iterate_texts(words, token_classification.COLUMNS)) == ["New", "York"]


def test_an_encoder_from_scratch_learns_with_a_tokenizer_of_its_own_rows(recipe):
    folder = recipe.parent
    ftkit.train_tokenizer(recipe, folder / "tokenizer", algorithm="wordpiece", vocab_size=90)
    sizes = ["hidden_size=32", "num_hidden_layers=1", "num_attention_heads=2", "intermediate_size=64"]
    overrides = [f"model.config.{size}" for size in sizes]
    more = ["max_steps=30", "learning_rate=1e-2", "arguments={use_cpu: true}"]
    run = ftkit.finetune(
        ftkit.load_recipe(
            recipe,
            [*overrides, *(f"training.{each}" for each in more), "data.test=8", "data.max_tokens=32"],
        )
    )
    scores = run.report["scores"]
    assert scores["tuned"]["pseudo_perplexity"] < scores["base"]["pseudo_perplexity"] / 2
    loaded = AutoTokenizer.from_pretrained(run.folder.model)
    assert loaded.tokenize("the cat") == ["the", "cat"]
