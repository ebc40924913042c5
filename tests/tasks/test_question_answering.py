import json
import math
import random
from types import SimpleNamespace

import pytest
import torch
import transformers
from tiny_models import make_byte_level_tokenizer, make_wordpiece_tokenizer

import ftkit
from ftkit.errors import DataError
from ftkit.tasks import question_answering as task
from ftkit.tasks.padding import IGNORED
from ftkit.tasks.protocol import Encoding, LossOptions

ROW = {"context": "the cat sat on the mat", "question": "on what", "answer": "the mat", "answer_start": 15}


def encode(rows, *, tokenizer=None, **options):
    rejected = []
    encoding = Encoding(**{"max_tokens": 64, "too_long": "split", "stride": 4, **options})
    tokenizer = tokenizer or make_wordpiece_tokenizer()
    examples = list(task.encode(enumerate(rows), tokenizer, encoding, lambda *entry: rejected.append(entry)))
    return examples, rejected


def make_rows(number, seed):
    """Make contexts in which the animal that is asked for is free, or is not there."""
    draw = random.Random(seed)
    for index in range(number):
        words = draw.choices(
            ["a", "the", "sat", "ran", "flew", "on", "over", "mat", "月"], k=draw.randint(3, 30)
        )
        asked = draw.choice(["cat", "dog"])
        answers = {"text": [], "answer_start": []}
        if draw.random() < 0.7:
            words[draw.randrange(len(words))] = f"{asked} free"
            start = " ".join(words).index(asked)
            answers = {"text": [f"{asked} free"], "answer_start": [start]}
        yield {"id": f"q{index}", "context": " ".join(words), "question": asked, "answers": answers}


def test_a_row_becomes_what_the_tokenizer_makes_of_the_pair_with_the_answers_tokens():
    tokenizer = make_wordpiece_tokenizer()
    tokenizer.model_input_names = [*tokenizer.model_input_names, "token_type_ids"]
    (example,), rejected = encode([ROW], tokenizer=tokenizer)
    pair = tokenizer(ROW["question"], ROW["context"])
    assert example["input_ids"] == pair["input_ids"]
    assert example["token_type_ids"] == pair["token_type_ids"]
    first, last = example["labels"]
    assert tokenizer.decode(example["input_ids"][first : last + 1]) == "the mat"
    assert (first, last) > (example["context_place"], 0)
    assert example["null_place"] == 0
    assert rejected == []


def test_windows_are_those_of_the_tokenizers_own_overflow():
    tokenizer = make_wordpiece_tokenizer()
    row = {**ROW, "context": "zoe " * 9 + ROW["context"], "answer_start": 51}
    examples, rejected = encode([row], max_tokens=20, stride=5)
    own = tokenizer(
        row["question"], row["context"], max_length=20, stride=5, truncation="only_second",
        return_overflowing_tokens=True, return_offsets_mapping=True,
    )  # fmt: skip
    assert [example["input_ids"] for example in examples] == own["input_ids"]
    for number, (example, offsets) in enumerate(zip(examples, own["offset_mapping"], strict=True)):
        kinds = own.sequence_ids(number)
        places = [place for place, kind in enumerate(kinds) if kind == 1]
        assert places[0] == example["context_place"]
        assert list(zip(example["starts"], example["ends"], strict=True)) == [
            offsets[place] for place in places
        ]
        inside = [p for p in places if offsets[p][0] < 58 and offsets[p][1] > 51]
        whole = inside and offsets[inside[0]][0] == 51 and offsets[inside[-1]][1] == 58
        assert example["labels"] == ([inside[0], inside[-1]] if whole else [0, 0])
    num_tokens = len(tokenizer(row["question"], row["context"])["input_ids"])
    assert rejected == [(0, "too_long:split", f"{num_tokens} tokens, the limit is 20")]


@pytest.mark.parametrize("too_long", ["drop", "error"])
def test_a_long_row_is_left_out_or_an_error_where_the_recipe_says_so(too_long):
    row = {**ROW, "question": "cat"}
    rows = [row, {**row, "context": "the mat", "answer_start": 0}]
    examples, rejected = encode(rows, max_tokens=9, too_long=too_long)
    assert [example["row"] for example in examples] == [1]
    assert rejected == [(0, f"too_long:{too_long}", "10 tokens, the limit is 9")]


def test_a_long_question_is_cut_and_leaves_half_to_the_context():
    examples, rejected = encode([{**ROW, "question": "cat " * 30}], max_tokens=16)
    assert rejected[0] == (0, "question:truncate", "30 tokens, the limit is 5")
    assert all(len(example["input_ids"]) <= 16 for example in examples)


def test_an_answer_that_no_window_holds_is_not_learned_as_no_answer():
    row = {**ROW, "question": "cat", "answer": ROW["context"], "answer_start": 0}
    examples, rejected = encode([row], max_tokens=9, stride=1)
    assert len(examples) > 1
    assert all(example["labels"] == [IGNORED, IGNORED] for example in examples)
    assert rejected[1] == (0, "answer:in_no_window", "22 characters")
    batch = task.collate(examples, make_wordpiece_tokenizer(), Encoding(9, "split"), (0,))
    model = Fixed(torch.zeros(2, *batch["input_ids"].shape))
    assert task.count_items(batch) == 0
    assert float(task.compute_loss(model, batch, LossOptions())) == 0
    (record,) = task.merge(task.predict(model, batch, examples), [row])
    assert task.list_scored([record], "losses") == ([0], [0])
    assert record["candidates"]


def test_a_tokenizer_without_special_tokens_gets_an_end_that_stands_for_no_answer():
    tokenizer = make_byte_level_tokenizer(["<s>"], eos_token="<s>")
    (example,), _ = encode([ROW], tokenizer=tokenizer)
    assert tokenizer.decode(example["input_ids"]) == "on what\nthe cat sat on the mat<s>"
    assert example["null_place"] == len(example["input_ids"]) - 1
    first, last = example["labels"]
    assert tokenizer.decode(example["input_ids"][first : last + 1]).strip() == "the mat"


def test_chinese_answers_are_found_by_character():
    row = {"context": "床前明月光，疑是地上霜。", "question": "疑是什么", "answer": "地上霜"}
    for tokenizer in (make_wordpiece_tokenizer(), make_byte_level_tokenizer(["<s>"], eos_token="<s>")):
        (example,), _ = encode([row], tokenizer=tokenizer)
        first, last = (place - example["context_place"] for place in example["labels"])
        assert row["context"][example["starts"][first] : example["ends"][last]] == "地上霜"


class Fixed(torch.nn.Module):
    """A model whose logits are given, shape (2, windows, tokens)."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits
        self.config = SimpleNamespace(type_vocab_size=2)

    def forward(self, input_ids, attention_mask):
        assert input_ids.shape == attention_mask.shape
        return SimpleNamespace(start_logits=self.logits[0], end_logits=self.logits[1])


def predict(rows, **options):
    examples, _ = encode(rows, **options)
    batch = task.collate(examples, make_wordpiece_tokenizer(), Encoding(64, "split"), (0,))
    torch.manual_seed(0)
    model = Fixed(torch.randn(2, *batch["input_ids"].shape) * 3)
    return task.predict(model, batch, examples), (model, batch, examples)


def list_spans_slowly(model, examples, row):
    scores = {}
    for window, example in enumerate(examples):
        if example["row"] != row:
            continue
        for first, start in enumerate(example["starts"]):
            for last, end in enumerate(example["ends"]):
                if first <= last:
                    places = (first + example["context_place"], last + example["context_place"])
                    score = float(
                        sum(model.logits[side][window][place].double() for side, place in enumerate(places))
                    )
                    scores[start, end] = max(scores.get((start, end), -math.inf), score)
    return sorted(scores.items(), key=lambda item: -item[1])


def test_the_best_answers_of_all_windows_are_those_of_a_slow_search():
    rows = [
        {**ROW, "context": f"{ROW['context']} " * 4},
        {"context": "the dog ran", "question": "who", "answer": ""},
    ]
    records, (model, _, examples) = predict(rows, max_tokens=16, labelled=False)
    assert len(examples) > 3
    merged = task.merge(records, rows)
    for row, record in enumerate(merged):
        slow = list_spans_slowly(model, examples, row)[: task.NUM_CANDIDATES]
        found = [(one["start"], one["end"]) for one in record["candidates"]]
        assert found == [span for span, _ in slow]
        assert [one["answer"] for one in record["candidates"]] == [
            rows[row]["context"][start:end] for start, end in found
        ]
        nulls = [
            float(model.logits[0][place][0].double() + model.logits[1][place][0].double())
            for place, example in enumerate(examples)
            if example["row"] == row
        ]
        assert record["no_answer_score"] == pytest.approx(min(nulls) - slow[0][1])
        assert sum(one["score"] for one in record["candidates"]) < 1


def test_loss_is_summed_over_windows_and_equals_what_is_reported_and_what_torch_computes():
    rows = [ROW, {"context": "the dog ran", "question": "who", "answer": ""}]
    records, (model, batch, _) = predict(rows)
    losses, numbers = task.list_scored(task.merge(records, rows), "losses")
    assert float(task.compute_loss(model, batch, LossOptions())) == pytest.approx(sum(losses), rel=1e-5)
    assert task.count_items(batch) == sum(numbers) == 2
    logits = model.logits.masked_fill(~batch["allowed"], -1e9)
    for smoothing in (0.0, 0.1):
        expected = 0.0
        for row in range(2):
            kept = batch["allowed"][row]
            for side in range(2):
                place = int(kept[: batch["labels"][row, side]].sum())
                expected += float(
                    torch.nn.functional.cross_entropy(
                        logits[side][row][kept], torch.tensor(place), label_smoothing=smoothing
                    )
                )
        loss = task.compute_loss(model, batch, LossOptions(label_smoothing=smoothing))
        assert float(loss) == pytest.approx(expected / 2, rel=1e-5)


def make_record(answer, references, no_answer_score, **more):
    candidates = [{"answer": answer, "start": 0, "end": len(answer), "score": 0.5}] if answer else []
    return {
        "row": 0, "id": None, "candidates": candidates, "no_answer_score": no_answer_score,
        "references": references, "losses": [1.0], "even_losses": [2.0], **more,
    }  # fmt: skip


def test_the_threshold_withholds_the_answers_that_cost_more_than_they_bring():
    records = [
        make_record("cat", ["cat"], -5.0),
        make_record("the mat", ["the mat"], 1.0),
        make_record("dog", [], 3.0),
        make_record("dog", [], 4.0),
    ]
    threshold = task.find_threshold(records)
    assert 1.0 <= threshold < 3.0
    given, references = task.list_scored(
        [{**record, "threshold": threshold} for record in records], "answers"
    )
    assert given == ["cat", "the mat", "", ""]
    assert references == [["cat"], ["the mat"], [], []]


def test_where_all_questions_have_answers_none_is_withheld():
    records = [make_record("cat", ["dog"], 7.0), make_record("cat", ["cat"], 9.0)]
    threshold = task.find_threshold(records)
    assert [task.choose_answer({**record, "threshold": threshold}) for record in records] == ["cat", "cat"]
    assert task.choose_answer(make_record("", ["cat"], task.NOTHING_FOUND, threshold=threshold)) == ""


def test_an_answer_is_shown_with_its_place_and_no_answer_without():
    shown = task.present(make_record("cat", ["cat"], -1.0, id="q7"), ())
    assert (shown["id"], shown["answer"], shown["start"], shown["end"], shown["score"]) == (
        "q7",
        "cat",
        0,
        3,
        0.5,
    )
    shown = task.present(make_record("cat", [], 1.0), ())
    assert (shown["answer"], shown["start"], shown["score"]) == ("", None, None)
    assert shown["candidates"][0]["answer"] == "cat"
    assert "id" not in shown
    assert json.dumps(task.present(make_record("", [], task.NOTHING_FOUND), ()), allow_nan=False)


def test_the_trivial_answer_is_none_at_all_where_some_questions_have_none():
    records = [make_record("cat", ["cat"], -1.0), make_record("dog", [], -1.0)]
    trivial = task.predict_trivially(records, ())
    assert task.list_scored(trivial, "answers")[0] == ["", ""]
    assert task.list_scored(trivial, "losses")[0] == [2.0, 2.0]
    assert task.predict_trivially(records[:1], ()) is None


def test_questions_with_and_without_answers_are_scored_apart():
    records = [make_record("cat", ["cat"], -1.0), make_record("dog", [], -1.0), make_record("dog", [], 1.0)]
    answerable, unanswerable = task.explain(records, ())["per_kind"]
    assert (answerable["number"], answerable["answer_f1"]) == (1, 1.0)
    assert (unanswerable["number"], unanswerable["answer_exact_match"]) == (2, 0.5)


def finetune(folder, model, **sections):
    training = {"epochs": 10, "learning_rate": 1e-2, "batch_size": 8, "precision": "float32"}
    return ftkit.finetune(
        **{
            "task": "question-answering",
            "model": str(model),
            "training": training,
            "output_dir": str(folder / "run"),
            **sections,
        }
    )


def read_predictions(run):
    text = (run.folder.evaluation / "predictions.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_a_model_learns_to_answer_over_windows_and_when_not_to(tmp_path, tiny_bert):
    rows = list(make_rows(30, 2))
    data = {"train": list(make_rows(200, 1)), "test": rows, "max_tokens": 24}
    run = finetune(tmp_path, tiny_bert, data=data)
    scores = run.report["scores"]
    assert scores["tuned"]["answer_f1"] > 0.9 > scores["majority"]["answer_f1"]
    assert [line["questions"] for line in run.report["per_kind"]] == ["answerable", "unanswerable"]
    written = read_predictions(run)
    assert [one["id"] for one in written] == [row["id"] for row in rows]
    for one, row in zip(written, rows, strict=True):
        assert one["true_answers"] == row["answers"]["text"]
        assert row["context"][one["start"] or 0 : one["end"] or 0] == one["answer"]
    threshold = run.info["thresholds"]["tuned"]
    found = run.predict([{name: row[name] for name in ("context", "question")} for row in rows])
    assert [one["answer"] for one in found] == [one["answer"] for one in written]
    assert {one["threshold"] for one in [*found, *written]} == {threshold}


def test_the_saved_model_gives_plain_transformers_the_same_answers(tmp_path, tiny_bert):
    rows = list(make_rows(12, 2))
    run = finetune(
        tmp_path, tiny_bert, data={"train": list(make_rows(60, 1)), "validation": None, "test": rows}
    )
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(run.folder.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.folder.model)
    for prediction, row in zip(read_predictions(run), rows, strict=True):
        inputs = tokenizer(row["question"], row["context"], return_tensors="pt", return_offsets_mapping=True)
        offsets = inputs.pop("offset_mapping")[0].tolist()
        with torch.no_grad():
            output = model(**inputs)
        best = max(
            (
                float(output.start_logits[0, first] + output.end_logits[0, last]),
                offsets[first][0],
                offsets[last][1],
            )
            for first, kind in enumerate(inputs.sequence_ids(0))
            for last in range(first, len(offsets))
            if kind == 1 and inputs.sequence_ids(0)[last] == 1
        )
        null = float(output.start_logits[0, 0] + output.end_logits[0, 0])
        # padding changes the order of sums in float32
        assert prediction["no_answer_score"] == pytest.approx(null - best[0], abs=1e-4)
        first = prediction["candidates"][0]
        assert (first["start"], first["end"]) == best[1:]


def test_neighbours_in_a_batch_and_padding_do_not_change_a_prediction(tiny_bert):
    torch.manual_seed(0)
    model = transformers.AutoModelForQuestionAnswering.from_pretrained(tiny_bert).eval()
    tokenizer = make_wordpiece_tokenizer()
    examples, _ = encode(list(make_rows(9, 4)))

    def run(chosen):
        with torch.no_grad():
            return task.predict(model, task.collate(chosen, tokenizer, Encoding(64, "split"), (0,)), chosen)

    together = run(examples[::-1])[::-1]
    for record, example in zip(together, examples, strict=True):
        (alone,) = run([example])
        # float32: sums in another order
        assert record["null_score"] == pytest.approx(alone["null_score"], abs=1e-5)
        assert record["losses"] == pytest.approx(alone["losses"], abs=1e-5)
        assert [score for _, _, score in record["spans"]] == pytest.approx(
            [score for _, _, score in alone["spans"]], abs=1e-5
        )


def test_an_adapter_is_trained_with_the_head_and_merged(tmp_path, tiny_bert):
    rows = list(make_rows(40, 1))
    training = {"epochs": 2, "learning_rate": 1e-2, "batch_size": 8}
    run = finetune(
        tmp_path, tiny_bert, adapter="lora", training=training, data={"train": rows, "test": rows[:8]}
    )
    config = json.loads((run.folder.adapter / "adapter_config.json").read_text(encoding="utf-8"))
    assert (config["task_type"], bool(config["modules_to_save"])) == ("QUESTION_ANS", True)
    assert run.report["scores"]["tuned"]["loss"] < run.report["scores"]["base"]["loss"]
    again = ftkit.evaluate(run, data=rows[:8], baseline=False).report["scores"]["tuned"]
    assert again == pytest.approx(run.report["scores"]["tuned"], rel=1e-4)


def test_a_flat_table_is_read_with_empty_cells_for_no_answer(tmp_path, tiny_bert):
    lines = ["context,question,answer,answer_start"]
    lines += ["the cat sat on the mat,on what,the mat,15", "the cat sat on the mat,on what dog,,"] * 10
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    train = str(tmp_path / "train.csv")
    run = finetune(tmp_path, tiny_bert, data={"train": train, "validation": None}, training={"max_steps": 2})
    assert run.report["data"]["train"]["number"] == 20
    shown = run.predict([{"context": "月光，the cat。", "question": "谁"}])[0]
    assert shown["answer"] in "月光，the cat。"


def test_a_wrong_answer_start_is_an_error_with_its_line(tmp_path, tiny_bert):
    rows = [*make_rows(3, 1), {**ROW, "answer_start": 14}]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(DataError, match=r"train.jsonl:4: answer_start is 14, .* nearest place .* is 15"):
        finetune(tmp_path, tiny_bert, data={"train": str(path), "validation": None})
