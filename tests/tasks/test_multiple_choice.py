"""One of several choices, as many as a row has."""

import json
import math
import random
from types import SimpleNamespace

import pytest
import torch
import transformers
from tiny_models import make_wordpiece_tokenizer, save_tiny_bert

import ftkit
from ftkit.errors import DataError
from ftkit.recipe import make_starter
from ftkit.tasks import multiple_choice as task
from ftkit.tasks.protocol import Encoding, LossOptions

ROWS = [
    {"question": "the cat", "choices": ["sat", "ran over the mat"], "answer": 1},
    {"question": "你好", "choices": ["hello", "no", "free money"], "answer": "A"},
]


def encode(rows, **options):
    rejected = []
    encoding = Encoding(**{"max_tokens": 12, "too_long": "truncate", **options})
    reject = lambda *entry: rejected.append(entry)  # noqa: E731
    return list(task.encode(enumerate(rows), make_wordpiece_tokenizer(), encoding, reject)), rejected


@pytest.mark.parametrize(
    ("answer", "place"),
    [(0, 0), (2, 2), (3, None), (-1, None), (1.0, 1), (True, None), ("b", 1), ("C", 2), ("D", None),
     ("red", 0), (" blue ", 2), ("1", 1), ("7", None), ("pink", None), (None, None), ("二", None)],
)  # fmt: skip
def test_an_answer_is_a_place_a_letter_or_the_text(answer, place):
    assert task.find_answer(answer, ["red", "green", "blue"]) == place


def test_choices_of_a_table_of_texts_are_a_list_in_json():
    assert task.read_choices('["sat", "月光", 3]') == ["sat", "月光", "3"]
    row = {"question": "the cat", "choices": '["sat", "ran"]', "answer": "B"}
    assert task.check_row(row, Encoding(8, "truncate")) is None


def test_choices_that_look_like_letters_or_numbers_mean_themselves():
    assert task.find_answer("A", ["B", "A"]) == 1
    assert task.find_answer("0", ["1", "0"]) == 1
    assert task.find_answer(0, ["1", "0"]) == 0


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"choices": ["a"], "answer": 0}, "column 'choices' has 1 of them"),
        ({"choices": ["a", None], "answer": 0}, "is no list of texts with something in each; found"),
        ({"choices": ["a", " "], "answer": 0}, "is no list of texts with something in each; found"),
        ({"choices": "a, b", "answer": 0}, "is no list of texts with something in each; found 'a, b'"),
        ({"choices": {"A": "a"}, "answer": 0}, "is no list of texts with something in each; found"),
        ({"choices": ["a", "a"], "answer": 0}, "has 'a' more than once"),
        (
            {"choices": ["a", "b"], "answer": 2},
            r"is 2, which is none of the 2 choices; write its place (0 to 1)",
        ),
        ({"choices": ["x", "y"], "answer": "z"}, "'A' to 'B'"),
        ({"choices": ["x", "y"]}, "column 'answer' is None"),
    ],
)
def test_bad_rows_are_problems(row, problem):
    assert problem in task.check_row({"question": "q", **row}, Encoding(8, "truncate"))


def test_rows_without_answers_are_good_for_prediction():
    assert task.check_row({"choices": ["a", "b"]}, Encoding(8, "truncate", labelled=False)) is None


def test_each_choice_is_a_pair_with_the_question():
    examples, _ = encode(ROWS)
    tokenizer = make_wordpiece_tokenizer()
    for row, example in zip(ROWS, examples, strict=True):
        pairs = [tokenizer(row["question"], choice)["input_ids"] for choice in row["choices"]]
        assert example["input_ids"] == sum(pairs, [])
        assert example["sizes"] == [len(pair) for pair in pairs]
        assert example["num_tokens"] == len(pairs) * max(map(len, pairs))
    assert [example["labels"] for example in examples] == [1, 0]


def test_a_row_is_cut_or_left_out_where_one_of_its_choices_is_too_long():
    (first, second), rejected = encode(ROWS, max_tokens=7)
    assert first["sizes"] == [6, 7]
    assert rejected == [(0, "too_long:truncate", "9 tokens, the limit is 7")]
    examples, rejected = encode(ROWS, max_tokens=7, too_long="drop")
    assert [example["row"] for example in examples] == [1]


def test_a_batch_is_padded_in_tokens_and_in_choices():
    examples, _ = encode(ROWS)
    tokenizer = make_wordpiece_tokenizer()
    batch = task.collate(examples, tokenizer, Encoding(12, "truncate"), (0,))
    assert batch["input_ids"].shape == (2, 3, 9)
    assert batch["num_choices"].tolist() == [2, 3]
    assert batch["input_ids"][0, 1].tolist() == tokenizer("the cat", "ran over the mat")["input_ids"]
    assert batch["attention_mask"].sum(-1).tolist() == [[6, 9, 1], [6, 6, 7]]


class Fixed(torch.nn.Module):
    """A model whose logits are given."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.tensor(logits, requires_grad=True)
        self.config = SimpleNamespace()

    def forward(self, **_):
        return self


def make_batch():
    return {"num_choices": torch.tensor([2, 3]), "row": torch.tensor([0, 1]), "labels": torch.tensor([0, 2])}


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_the_loss_is_that_of_each_row_alone_and_missing_choices_get_no_gradient(smoothing):
    model = Fixed([[1.0, 2.0, 99.0], [0.0, 1.0, 3.0]])
    loss = task.compute_loss(model, make_batch(), LossOptions(smoothing))
    alone = [
        torch.nn.functional.cross_entropy(
            torch.tensor(logits), torch.tensor(label), label_smoothing=smoothing
        )
        for logits, label in (([1.0, 2.0], 0), ([0.0, 1.0, 3.0], 2))
    ]
    assert float(loss.detach()) == pytest.approx(float(sum(alone)))
    loss.backward()
    assert model.logits.grad.isfinite().all()
    assert float(model.logits.grad[0, 2]) == 0
    batch = {**make_batch(), "labels": torch.tensor([0, -100])}
    again = task.compute_loss(model, batch, LossOptions(smoothing))
    assert float(again.detach()) == pytest.approx(float(alone[0]))
    assert task.count_items(batch) == 1


def test_a_choice_that_a_row_does_not_have_is_never_chosen():
    records = task.predict(Fixed([[1.0, 2.0, 99.0], [0.0, 1.0, 3.0]]), make_batch(), ())
    merged = task.merge(records, ROWS)
    shown = [task.present(record, ()) for record in merged]
    assert [one["prediction"] for one in shown] == ["ran over the mat", "free money"]
    assert [one["answer"] for one in shown] == ["sat", "free money"]
    assert [len(one["probabilities"]) for one in shown] == [2, 3]
    assert [sum(one["probabilities"]) for one in shown] == pytest.approx([1, 1])
    assert task.list_scored(merged, "labels") == ([1, 2], [0, 2])
    table = task.explain(merged, ())
    assert table["accuracy_of_guessing"] == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert [line["accuracy"] for line in table["per_num_choices"]] == [0, 1]


def test_the_trivial_answer_is_the_most_frequent_place():
    records = task.predict(Fixed([[0.0] * 3] * 2), make_batch(), ())
    trivial = task.predict_trivially(records, ())
    assert [record["loss"] for record in trivial] == pytest.approx([math.log(2), math.log(3)])
    assert len({record["prediction"] for record in trivial}) == 1


def make_quiz(number, seed):
    draw = random.Random(seed)
    for _ in range(number):
        word = draw.choice(["cat", "dog", "bird"])
        others = [other for other in ("house", "mat", "money", "day", "world") if draw.random() < 0.5] or [
            "mat"
        ]
        choices = [word, *others]
        draw.shuffle(choices)
        yield {"question": f"a {word}", "choices": choices, "answer": choices.index(word)}


def test_choices_are_learned_and_plain_transformers_says_the_same(tmp_path):
    for name, number, seed in (("train", 80, 1), ("test", 24, 2)):
        rows = "".join(json.dumps(row) + "\n" for row in make_quiz(number, seed))
        (tmp_path / f"{name}.jsonl").write_text(rows, encoding="utf-8")
    run = ftkit.finetune(
        task="multiple-choice",
        model=str(save_tiny_bert(tmp_path / "bert")),
        data={
            "train": str(tmp_path / "train.jsonl"),
            "test": str(tmp_path / "test.jsonl"),
            "validation": None,
        },
        training={"epochs": 6, "learning_rate": 1e-2, "batch_size": 8},
        output_dir=str(tmp_path / "run"),
    )
    assert run.report["scores"]["tuned"]["accuracy"] > 0.9
    model = transformers.AutoModelForMultipleChoice.from_pretrained(run.folder.model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(run.folder.model)
    rows = [{"question": row["question"], "choices": row["choices"]} for row in make_quiz(24, 2)]
    for row, found in zip(rows, run.predict(rows), strict=True):
        pairs = tokenizer(
            [row["question"]] * len(row["choices"]), row["choices"], padding=True, return_tensors="pt"
        )
        with torch.no_grad():
            logits = model(**{name: tensor[None] for name, tensor in pairs.items()}).logits[0]
        assert found["probabilities"] == pytest.approx(logits.softmax(-1).tolist(), abs=1e-5)
        assert found["prediction"] == row["choices"][found["place"]]


def test_a_wrong_answer_is_an_error_with_its_line(tmp_path):
    rows = [*make_quiz(20, 1), {"question": "q", "choices": ["a", "b"], "answer": "Z"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with pytest.raises(
        DataError, match=r"rows.jsonl:21: column 'answer' is 'Z', which is none of the 2 choices"
    ):
        ftkit.finetune(
            task="multiple-choice",
            model=str(save_tiny_bert(tmp_path / "bert")),
            data={"train": str(tmp_path / "rows.jsonl"), "validation": None},
            output_dir=str(tmp_path / "run"),
        )


def test_the_sample_has_different_numbers_of_choices_and_good_answers():
    rows = [json.loads(line) for line in make_starter("multiple-choice").sample.splitlines()]
    assert len({len(row["choices"]) for row in rows}) > 1
    assert all(task.check_row(row, Encoding(8, "truncate")) is None for row in rows)
