"""Whole runs of tiny models, as a user starts them."""

import gzip
import json
import random
import re

import pytest
import torch
import transformers

import ftkit
from ftkit.errors import DataError, ModelError, RecipeError, RunError

WORDS = {"spam": "free money win now", "ham": "hello world the cat sat on the mat"}


def write_rows(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def make_mails(number, seed):
    draw = random.Random(seed)
    for index in range(number):
        label = ("spam", "ham")[index % 3 > 0]
        yield {"text": " ".join(draw.choices(WORDS[label].split(), k=draw.randint(3, 30))), "label": label}


def make_chats(number, seed):
    draw = random.Random(seed)
    for _ in range(number):
        word = draw.choice(["cat", "dog", "月光", "故乡"])
        yield {
            "messages": [{"role": "user", "content": word}, {"role": "assistant", "content": f"{word} " * 3}]
        }


@pytest.fixture
def mails(tmp_path):
    write_rows(tmp_path / "train.jsonl", make_mails(60, 1))
    write_rows(tmp_path / "test.jsonl", make_mails(21, 2))
    return tmp_path


@pytest.fixture
def chats(tmp_path):
    write_rows(tmp_path / "chat.jsonl", make_chats(40, 1))
    write_rows(tmp_path / "chat_test.jsonl", make_chats(12, 2))
    return tmp_path


def write_recipe(folder, text, name="recipe.yaml"):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def spam_recipe(folder, model, extra=""):
    return write_recipe(
        folder,
        f"""
task: text-classification
model: {model}
data: {{train: train.jsonl, validation: null, test: test.jsonl, max_tokens: 16}}
training: {{epochs: 4, learning_rate: 1e-2, batch_size: 8, precision: float32, arguments: {{use_cpu: true}}}}
output_dir: run
{extra}""",
    )


def chat_recipe(folder, model, adapter="lora"):
    return write_recipe(
        folder,
        f"""
task: chat
model: {model}
data: {{train: chat.jsonl, test: chat_test.jsonl, validation: 20%}}
adapter: {adapter}
training: {{epochs: 3, learning_rate: 1e-2, batch_size: 8, precision: float32}}
output_dir: run
""",
    )


def test_a_notebook_asks_for_a_profile_by_an_argument(mails, tiny_bert):
    recipe = spam_recipe(mails, tiny_bert)
    with pytest.raises(ftkit.FtkitError, match="profile: is 0; give a number of steps, at least 1"):
        ftkit.finetune(recipe, profile=0)
    run = ftkit.finetune(recipe, profile=2)
    assert run.report["training"]["profile"]["steps"] == 2
    assert (mails / "run" / "profile" / "steps.json").is_file()


def test_a_classifier_learns_and_its_run_folder_explains_itself(mails, tiny_bert):
    run = ftkit.finetune(spam_recipe(mails, tiny_bert))
    report = run.report
    assert list(report["scores"]) == ["majority", "base", "tuned"]
    assert report["scores"]["tuned"]["macro_f1"] > 0.95 > report["scores"]["majority"]["macro_f1"]
    assert report["labels"] == {"ham": 40, "spam": 20} == run.report["labels"]
    assert report["data"]["train"]["rejected"]["too_long:truncate"] > 5
    assert [line["label"] for line in report["per_class"]] == ["ham", "spam"]
    names = {path.name for path in run.folder.path.iterdir()}
    assert names == {
        "recipe.yaml", "run.json", "data", "checkpoints", "metrics.jsonl", "model", "evaluation", "README.md",
        "report.html",
    }  # fmt: skip
    rejected = [json.loads(line) for line in (run.folder.data / "rejected.jsonl").read_text().splitlines()]
    assert (
        rejected[0]["source"].startswith(str(mails / "train.jsonl:"))
        or "train.jsonl:" in rejected[0]["source"]
    )
    assert run.info["status"] == "finished"
    assert "| macro_f1 (more is better) |" in run.folder.card.read_text()


def test_the_saved_classifier_gives_plain_transformers_the_same_predictions(mails, tiny_bert):
    run = ftkit.finetune(spam_recipe(mails, tiny_bert))
    lines = (run.folder.evaluation / "predictions.jsonl").read_text().splitlines()
    written = [json.loads(line) for line in lines]
    model = transformers.AutoModelForSequenceClassification.from_pretrained(run.folder.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.folder.model)
    for prediction, row in zip(written, make_mails(21, 2), strict=True):
        inputs = tokenizer(row["text"], truncation=True, max_length=16, return_tensors="pt")
        with torch.no_grad():
            probabilities = model(**inputs).logits.softmax(-1)[0]
        named = {model.config.id2label[place]: float(value) for place, value in enumerate(probabilities)}
        # padding changes the order of sums in float32
        assert prediction["probabilities"] == pytest.approx(named, abs=1e-5)


def test_new_texts_are_predicted_in_their_order(mails, tiny_bert):
    run = ftkit.finetune(spam_recipe(mails, tiny_bert))
    found = run.predict(["free money win", "the cat sat on the mat", "win win money"])
    assert [one["prediction"] for one in found] == ["spam", "ham", "spam"]
    write_rows(mails / "new.jsonl", [{"text": "hello world"}, {"text": "free free"}])
    assert [one["prediction"] for one in run.predict(str(mails / "new.jsonl"))] == ["ham", "spam"]


def test_a_chat_model_learns_with_lora_and_loads_in_plain_transformers(chats, tiny_llama):
    run = ftkit.finetune(chat_recipe(chats, tiny_llama))
    scores = run.report["scores"]
    assert scores["tuned"]["perplexity"] < scores["base"]["perplexity"]
    assert (run.folder.adapter / "adapter_model.safetensors").is_file()
    model = transformers.AutoModelForCausalLM.from_pretrained(run.folder.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.folder.model)
    chat = next(make_chats(1, 2))["messages"]
    ids = tokenizer.apply_chat_template(chat, return_tensors="pt", return_dict=True)["input_ids"]
    prompt = tokenizer.apply_chat_template(chat[:1], add_generation_prompt=True, return_dict=True)[
        "input_ids"
    ]
    stop = ids[0].tolist().index(tokenizer.eos_token_id, len(prompt)) + 1
    labels = ids.clone()
    labels[:, : len(prompt)] = labels[:, stop:] = -100
    first = json.loads((run.folder.evaluation / "predictions.jsonl").read_text().splitlines()[0])
    with torch.no_grad():
        assert first["loss"] == pytest.approx(float(model(ids, labels=labels).loss), rel=1e-4)
    assert first["num_tokens"] == stop - len(prompt)


def test_a_chat_model_answers_and_streams_the_same_text(chats, tiny_llama):
    run = ftkit.finetune(chat_recipe(chats, tiny_llama, adapter="none"))
    answer = run.generate("cat", max_new_tokens=8)
    assert "".join(run.stream("cat", max_new_tokens=8)) == answer
    assert run.generate([{"role": "user", "content": "cat"}], max_new_tokens=8) == answer
    assert (
        run.predict(["cat", "月光"], options=ftkit.GenerationOptions(max_new_tokens=8))[0]["text"] == answer
    )
    sampled = [run.generate("cat", max_new_tokens=8, temperature=3.0, seed=seed) for seed in (1, 1, 2)]
    assert sampled[0] == sampled[1]
    assert sampled[0] != sampled[2]
    assert isinstance(run.generate("cat", max_new_tokens=4, num_beams=3), str)
    with pytest.raises(RecipeError, match="temperature: must be above 0"):
        run.generate("cat", temperature=0)


def test_plain_text_is_learned_from_scratch_and_continued(tmp_path, tiny_llama):
    write_rows(
        tmp_path / "text.jsonl", [{"text": "床前明月光疑是地上霜 " * number} for number in range(2, 32)]
    )
    run = ftkit.finetune(
        task="causal-lm",
        model={
            "config": {
                "model_type": "llama",
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
            },
            "tokenizer": str(tiny_llama),
        },
        data={"train": str(tmp_path / "text.jsonl"), "validation": None, "test": 3, "max_tokens": 64},
        training={"epochs": 5, "learning_rate": 1e-2, "batch_size": 4},
        output_dir=str(tmp_path / "run"),
    )
    scores = run.report["scores"]
    assert scores["tuned"]["perplexity"] < scores["base"]["perplexity"] / 10
    assert run.generate("床前明月", max_new_tokens=6)


def test_rows_from_a_notebook_train_as_those_of_a_file(tmp_path, tiny_bert):
    run = ftkit.finetune(
        task="text-classification",
        model=str(tiny_bert),
        data=list(make_mails(60, 1)),
        training={"max_steps": 3},
        output_dir=str(tmp_path / "run"),
    )
    assert run.report["split"] == "validation"
    assert any("data.test" in note for note in run.report["notes"])
    html = run._repr_html_()
    assert "<table>" in html
    assert "tuned" in html


def test_rows_that_chose_nothing_are_not_said_to_have_chosen(mails, tiny_bert):
    words = ["data.validation=10", "data.test=null", "evaluation.every=never"]
    run = ftkit.finetune(ftkit.load_recipe(spam_recipe(mails, tiny_bert), words))
    assert run.report["split"] == "validation"
    assert not any("chose the best checkpoint" in note for note in run.report["notes"])


def test_an_interrupted_run_continues_with_the_same_command(mails, tiny_bert, monkeypatch):
    from ftkit.tasks import text_classification

    original, calls = text_classification.compute_loss, []

    def fail(*arguments):
        calls.append(1)
        if len(calls) > 25:
            raise RuntimeError("gone")
        return original(*arguments)

    recipe = spam_recipe(mails, tiny_bert)
    monkeypatch.setattr(text_classification, "compute_loss", fail)
    with pytest.raises(RuntimeError, match="gone"):
        ftkit.finetune(recipe)
    monkeypatch.setattr(text_classification, "compute_loss", original)
    run = ftkit.finetune(recipe)
    steps = [json.loads(line)["step"] for line in run.folder.metrics.read_text().splitlines()]
    assert steps == sorted(steps)
    assert run.info["status"] == "finished"
    assert len(calls) > 25


def test_a_finished_run_is_not_overwritten_unless_told_to(mails, tiny_bert):
    recipe = spam_recipe(mails, tiny_bert, "evaluation: {baseline: false}")
    first = ftkit.finetune(recipe).report["scores"]
    with pytest.raises(RunError, match="finished run"):
        ftkit.finetune(recipe)
    assert ftkit.finetune(recipe, fresh=True).report["scores"] == first


def test_the_recipe_in_the_run_folder_gives_the_same_run_again(mails, tiny_bert):
    first = ftkit.finetune(spam_recipe(mails, tiny_bert))
    again = ftkit.load_recipe(first.folder.recipe, [f"output_dir={mails / 'again'}"])
    assert ftkit.finetune(again).report["scores"] == first.report["scores"]


def test_a_run_is_evaluated_on_its_own_split_and_on_other_rows(mails, tiny_bert):
    run = ftkit.finetune(spam_recipe(mails, tiny_bert))
    again = ftkit.evaluate(run)
    assert again.report["scores"]["tuned"] == pytest.approx(run.report["scores"]["tuned"], rel=1e-6)
    assert again.report["scores"]["base"] == pytest.approx(run.report["scores"]["base"], rel=1e-6)
    assert (again.folder / "predictions.jsonl").is_file()
    write_rows(mails / "other.jsonl", make_mails(9, 5))
    other = ftkit.evaluate(
        run.folder.path, data=str(mails / "other.jsonl"), baseline=False, output=mails / "out"
    )
    assert list(other.report["scores"]) == ["tuned"]
    assert other.report["rows"]["number"] == 9
    with pytest.raises(RunError, match="has a report already"):
        ftkit.evaluate(run, data=str(mails / "other.jsonl"), output=mails / "out")


def test_every_evaluation_is_a_new_folder_two_of_the_same_second_too(mails, tiny_bert, monkeypatch):
    run = ftkit.finetune(spam_recipe(mails, tiny_bert, "evaluation: {slices: [label], group: label}"))
    written = (run.folder.evaluation / "report.json").read_bytes()
    monkeypatch.setattr("ftkit.evaluation.report.time.strftime", lambda _: "2026-11-27-080000")
    folders = [ftkit.evaluate(run, baseline=False).folder for _ in range(3)]
    assert [folder.name for folder in folders] == [
        "2026-11-27-080000", "2026-11-27-080000-2", "2026-11-27-080000-3"
    ]  # fmt: skip
    assert all((folder / "report.json").is_file() for folder in folders)
    assert (run.folder.evaluation / "report.json").read_bytes() == written


def test_columns_that_the_rows_do_not_have_stop_the_run_before_it_trains(mails, tiny_bert):
    for extra in ("{slices: [lable]}", "{group: lable}"):
        with pytest.raises(RecipeError, match="no column 'lable'; did you mean label"):
            ftkit.finetune(spam_recipe(mails, tiny_bert, f"evaluation: {extra}"))
        assert not (mails / "run").exists()


def test_a_model_without_a_run_is_evaluated(chats, tiny_llama):
    found = ftkit.evaluate(model=str(tiny_llama), task="chat", data=str(chats / "chat_test.jsonl"))
    assert list(found.report["scores"]) == ["model"]
    assert found.folder is None
    with pytest.raises(RecipeError, match="--model, --task and --data"):
        ftkit.evaluate(model=str(tiny_llama))


def test_a_label_that_only_the_test_rows_have_is_an_error_with_its_line(mails, tiny_bert):
    write_rows(mails / "test.jsonl", [*make_mails(3, 2), {"text": "x", "label": "eggs"}])
    with pytest.raises(
        DataError, match=r"test.jsonl:4: column 'label' is 'eggs'; the labels are 'ham', 'spam'"
    ):
        ftkit.finetune(spam_recipe(mails, tiny_bert))
    assert not (mails / "run").exists()


def test_a_missing_column_names_those_there_are(mails, tiny_bert):
    write_rows(mails / "train.jsonl", [{"body": "x", "label": "ham"}, {"body": "y", "label": "spam"}])
    with pytest.raises(DataError, match=r"'text'.*'?body'?"):
        ftkit.finetune(spam_recipe(mails, tiny_bert))


def test_a_compressed_file_is_read_as_it_is(mails, tiny_bert):
    with gzip.open(mails / "train.jsonl.gz", "wb") as file:
        file.write((mails / "train.jsonl").read_bytes())
    recipe = ftkit.load_recipe(spam_recipe(mails, tiny_bert), ["data.train=" + str(mails / "train.jsonl.gz")])
    assert ftkit.finetune(recipe).report["scores"]["tuned"]["accuracy"] > 0.9


def test_an_encoder_given_to_chat_says_what_it_can_do(chats, tiny_bert):
    with pytest.raises(ModelError, match="text-classification"):
        ftkit.finetune(chat_recipe(chats, tiny_bert))
    assert not (chats / "run").exists()


def test_settings_that_the_task_does_not_read_are_refused(mails, chats, tiny_bert, tiny_llama):
    recipe = ftkit.load_recipe(chat_recipe(chats, tiny_llama), ["data.label_names=[a, b]"])
    with pytest.raises(RecipeError, match=r"data.label_names: the task chat does not read this setting"):
        ftkit.finetune(recipe)
    recipe = ftkit.load_recipe(spam_recipe(mails, tiny_bert), ["data.too_long=split"])
    with pytest.raises(RecipeError, match=r"data.too_long: .* it has truncate, .*, drop, error"):
        ftkit.finetune(recipe)
    recipe = ftkit.load_recipe(spam_recipe(mails, tiny_bert), ["data.columns={txt: text}"])
    with pytest.raises(RecipeError, match=r"data.columns.txt: .* did you mean text"):
        ftkit.finetune(recipe)


def test_more_tokens_than_the_model_reads_are_refused(mails, tiny_bert):
    recipe = ftkit.load_recipe(spam_recipe(mails, tiny_bert), ["data.max_tokens=4000"])
    with pytest.raises(RecipeError, match="the model reads at most 128 tokens"):
        ftkit.finetune(recipe)


def test_a_long_row_stops_the_run_where_the_recipe_says_so(mails, tiny_bert):
    recipe = ftkit.load_recipe(spam_recipe(mails, tiny_bert), ["data.too_long=error"])
    with pytest.raises(DataError, match=r"train.jsonl:\d+: \d+ tokens, the limit is 16"):
        ftkit.finetune(recipe)


def test_rows_that_encoding_leaves_out_count_among_the_rejected_ones(mails, tiny_bert):
    short = [{"text": "赢钱", "label": "spam"}] * 3
    write_rows(mails / "train.jsonl", [*make_mails(57, 1), *short])
    changes = ["data.clean=[{min_characters: 5}]", "data.too_long=drop", "data.max_tokens=24"]
    recipe = ftkit.load_recipe(spam_recipe(mails, tiny_bert), [*changes, "data.max_rejected=10%"])
    message = r"^data.max_rejected: (\d+) of 81 rows \(.*%\) are left out, more than 10.0%; by rule: "
    with pytest.raises(DataError, match=message + r"min_characters: 3, too_long:drop: \d+; look") as caught:
        ftkit.finetune(recipe)
    number, long = (int(re.search(part, str(caught.value))[1]) for part in (r": (\d+) of", r"drop: (\d+)"))
    assert number == 3 + long > 8
    assert not (mails / "run").exists()
    changes.append(f"data.max_rejected={number / 81}")
    run = ftkit.finetune(ftkit.load_recipe(spam_recipe(mails, tiny_bert), [*changes, "training.max_steps=1"]))
    dropped = [each["rows"] for each in run.report["changes"] if each["action"] == "dropped"]
    assert sum(dropped) == number


def test_a_task_of_ones_own_is_loaded_by_its_dotted_name(mails, tiny_bert, monkeypatch):
    (mails / "my_lab").mkdir()
    (mails / "my_lab" / "my_task.py").write_text(
        "from ftkit.tasks.text_classification import *\n", encoding="utf-8"
    )
    monkeypatch.chdir(mails)
    recipe = ftkit.load_recipe(spam_recipe(mails, tiny_bert), ["task=my_lab.my_task"])
    assert ftkit.finetune(recipe).report["task"] == "my_lab.my_task"


def test_a_task_module_that_lacks_a_function_is_refused(mails, tiny_bert, monkeypatch):
    (mails / "half_task.py").write_text("SUMMARY = 'half'\n", encoding="utf-8")
    monkeypatch.chdir(mails)
    recipe = ftkit.load_recipe(spam_recipe(mails, tiny_bert), ["task=mails.half_task"])
    with pytest.raises(RecipeError, match="cannot import 'mails.half_task'"):
        ftkit.finetune(recipe)


@pytest.mark.slow
def test_two_processes_make_the_run_of_one(chats, tiny_llama):
    import subprocess
    import sys

    # A model without dropout: each process draws its own.
    recipe = chat_recipe(chats, tiny_llama, adapter="none")
    on_cpu = ["training.learning_rate=1e-3", "training.arguments={use_cpu: true}", "data.leakage=allow"]
    one = ftkit.finetune(ftkit.load_recipe(recipe, on_cpu))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29737"]
    output = f"output_dir={chats / 'two'}"
    subprocess.run([*command, "-m", "ftkit", "finetune", recipe, output, *on_cpu], check=True, timeout=300)
    two = ftkit.open_run(chats / "two")
    for who, scores in one.report["scores"].items():
        # float32: sums in another order
        assert two.report["scores"][who] == pytest.approx(scores, rel=1e-3), who
    steps = [json.loads(line)["step"] for line in two.folder.metrics.read_text().splitlines()]
    assert steps == [json.loads(line)["step"] for line in one.folder.metrics.read_text().splitlines()]
    assert two.report["rows"] == one.report["rows"]


@pytest.mark.usefixtures("gate")
def test_training_rows_that_repeat_test_rows_are_left_out_and_reported(mails, tiny_bert):
    repeated = [
        {"text": f"winter sale {word} at the old harbour", "label": "spam"} for word in ("one", "two")
    ]
    write_rows(mails / "train.jsonl", [*make_mails(30, 1), *repeated])
    write_rows(mails / "test.jsonl", [*repeated, {"text": "the cat", "label": "ham"}])
    run = ftkit.finetune(spam_recipe(mails, tiny_bert))
    report = run.report
    lines = (run.folder.data / "leakage.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert {(each["train_text"][0], each["held_out_text"][0]) for each in found} >= {
        (row["text"], row["text"]) for row in repeated
    }
    assert report["leakage"]["num_exact"] == 2
    assert report["leakage"]["num_dropped"] == len(found)
    assert report["data"]["train"]["number"] == 32 - len(found)
    assert report["data"]["train"]["rejected"]["leakage"] == len(found)
    assert report["data"]["test"]["number"] == 3


def test_an_epoch_has_its_share_of_each_source(mails, tiny_bert):
    write_rows(mails / "more.jsonl", make_mails(6, 3))
    train = [str(mails / "train.jsonl"), {"source": str(mails / "more.jsonl"), "weight": 0.5}]
    run = ftkit.finetune(
        task="text-classification",
        model=str(tiny_bert),
        data={"train": train, "validation": None, "test": str(mails / "test.jsonl"), "max_tokens": 16},
        training={"epochs": 2, "batch_size": 10, "arguments": {"use_cpu": True}},
        output_dir=str(mails / "mixed"),
    )
    assert run.report["mixing"] == [
        {"name": str(mails / "train.jsonl"), "examples": 60, "per_epoch": 60},
        {"name": str(mails / "more.jsonl"), "examples": 6, "per_epoch": 30},
    ]
    assert run.report["training"]["num_steps"] == 18
    assert ftkit.load_recipe(run.folder.recipe).data.train == train


def test_a_run_that_is_stopped_before_its_page_is_not_finished_and_gets_it_later(
    mails, tiny_bert, monkeypatch
):
    recipe = spam_recipe(mails, tiny_bert)

    def stop(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ftkit.pipeline.finetuning.write_page", stop)
        with pytest.raises(KeyboardInterrupt):
            ftkit.finetune(recipe)
    folder = mails / "run"
    assert json.loads((folder / "run.json").read_text())["status"] == "running"
    run = ftkit.finetune(recipe)
    assert json.loads((folder / "run.json").read_text())["status"] == "finished"
    assert "finished" in run.folder.page.read_text(encoding="utf-8")
    assert len(run.report["checks"]["findings"]) > 0


def test_the_validation_rows_of_each_source_are_scored_by_themselves(mails, tiny_bert):
    write_rows(mails / "more.jsonl", make_mails(40, 5))
    text = spam_recipe(mails, tiny_bert).read_text(encoding="utf-8")
    text = text.replace(
        "train: train.jsonl, validation: null", "train: [train.jsonl, more.jsonl], validation: 30%"
    )
    run = ftkit.finetune(write_recipe(mails, text.replace("epochs: 4", "epochs: 1")))
    lines = map(json.loads, run.folder.metrics.read_text(encoding="utf-8").splitlines())
    line = next(line for line in lines if "eval_loss" in line)
    by_source = {
        name.rpartition("/")[2]: value for name, value in line.items() if name.startswith("eval_loss/")
    }
    assert by_source.keys() == {"train.jsonl", "more.jsonl"}
    assert min(by_source.values()) <= line["eval_loss"] <= max(by_source.values())
    assert by_source["train.jsonl"] != by_source["more.jsonl"]
