"""Rows worth reading."""

import math

import pytest
from made_splits import make_label_records, make_split
from tiny_models import make_chat_tokenizer

from ftkit.evaluation.row_errors import LONGEST_FIELD, cut, list_errors, read_outputs, write_value
from ftkit.tasks import causal_lm, chat, regression, text_classification

LABELS = ["ham", "spam"]


def list_case(base, tuned, task=text_classification, metric="accuracy", rows=None, **settings):
    rows = rows or [{"text": f"row {row} 明月", "label": "ham"} for row in range(len(tuned))]
    records = {"base": base, "tuned": tuned} if base else {"model": tuned}
    chosen = {"labels": LABELS, "tokenizer": None, "most": 10, **settings}
    split = chosen.pop("split", None) or make_split(rows)
    return list_errors(records, split, task, metric, **chosen)


def test_rows_that_tuning_fixed_and_broke_are_found_with_both_outputs():
    true = [0, 0, 1, 1]
    errors = list_case(make_label_records(true, [0, 1, 1, 1]), make_label_records(true, [1, 0, 1, 1]))
    assert (errors["num_rows"], errors["num_fixed"], errors["num_broken"]) == (4, 1, 1)
    assert [one["row"] for one in errors["fixed"]] == [1]
    broken = errors["broken"][0]
    assert broken["row"] == 0
    assert broken["where"] == "test[0]"
    assert broken["fields"] == {"text": "row 0 明月"}
    assert broken["expected"] == "ham"
    assert {who: one["output"] for who, one in broken["outputs"].items()} == {"base": "ham", "tuned": "spam"}
    assert broken["outputs"]["tuned"]["score"] == 0.0
    assert broken["outputs"]["tuned"]["loss"] == pytest.approx(-math.log(0.1))


def test_the_highest_losses_come_first_and_no_more_than_asked_for():
    records = make_label_records([0] * 6, [0] * 6)
    for place, record in enumerate(records):
        record["loss"] = float(place % 4)
    errors = list_case(None, records, most=3)
    assert [one["row"] for one in errors["worst"]] == [3, 2, 1]
    assert errors["fixed"] == errors["broken"] == []
    assert list_case(None, records, most=0)["worst"] == []


def test_of_equally_fixed_rows_those_that_are_still_worst_come_first():
    base, tuned = make_label_records([0] * 3, [1] * 3), make_label_records([0] * 3, [0] * 3)
    for record, loss in zip(tuned, (0.1, 0.6, 0.3), strict=True):
        record["loss"] = loss
    assert [one["row"] for one in list_case(base, tuned)["fixed"]] == [1, 2, 0]


def test_a_number_that_came_nearer_is_fixed():
    rows = [{"text": "x", "label": 1.0}] * 2
    base = [{"row": row, "prediction": 5.0, "label": 1.0} for row in range(2)]
    tuned = [{"row": 0, "prediction": 2.0, "label": 1.0}, {"row": 1, "prediction": 9.0, "label": 1.0}]
    errors = list_case(base, tuned, task=regression, metric="rmse", rows=rows)
    assert [one["row"] for one in errors["fixed"]] == [0]
    assert [one["row"] for one in errors["broken"]] == [1]
    assert [one["row"] for one in errors["worst"]] == [1, 0]
    assert errors["worst"][0]["outputs"]["tuned"] == {"output": "9", "score": 8.0, "loss": None}


def test_rounding_fixes_nothing():
    base = [{"row": 0, "loss": 4.0, "num_tokens": 2, "turns": []}]
    tuned = [{"row": 0, "loss": 4.0 + 1e-6, "num_tokens": 2, "turns": []}]
    errors = list_case(base, tuned, task=chat, metric="loss", rows=[{"prompt": "a", "answer": "b"}])
    assert (errors["num_fixed"], errors["num_broken"]) == (0, 0)


def test_a_row_with_nothing_to_score_is_no_error_and_no_crash():
    records = [{"row": 0, "loss": 0.0, "num_tokens": 0, "turns": []}]
    errors = list_case(
        records, records, task=chat, metric="perplexity", rows=[{"prompt": "a", "answer": "b"}]
    )
    assert errors["worst"] == errors["fixed"] == []


def test_a_block_of_joined_documents_is_shown_as_the_model_read_it():
    tokenizer = make_chat_tokenizer()
    split = make_split([{"text": "first"}], lengths=[1], documents="concatenate")
    ids = tokenizer("the cat 月")["input_ids"]
    split.examples = split.examples.map(lambda example: {"input_ids": ids})
    records = [{"row": 0, "loss": 4.0, "num_tokens": 2}]
    errors = list_case(None, records, task=causal_lm, metric="perplexity", split=split, tokenizer=tokenizer)
    assert errors["worst"][0]["fields"] == {"block": "the cat 月"}


def test_a_long_row_is_cut_and_says_so():
    rows = [{"text": "字" * 50_000, "label": "ham"}]
    errors = list_case(None, make_label_records([0], [1]), rows=rows)
    text = errors["worst"][0]["fields"]["text"]
    assert (len(text), text[-1]) == (LONGEST_FIELD, "…")
    assert cut("x" * LONGEST_FIELD) == "x" * LONGEST_FIELD
    assert cut(None) is None


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({"prediction": "spam", "label": "ham"}, ("spam", "ham")),
        ({"prediction": ["a", "b"], "label": []}, ("a b", "")),
        ({"prediction": "second", "answer": "first", "place": 1}, ("second", "first")),
        ({"answer": "", "true_answers": ["Li Bai", "李白"], "score": None}, ("", "Li Bai\n李白")),
        ({"text": "cat", "reference": "dog", "loss": 1.0}, ("cat", "dog")),
        ({"tokens": ["a"], "tags": ["NOUN"], "true_tags": ["VERB"]}, ("NOUN", "VERB")),
        (
            {"entities": [{"label": "PER", "text": "李白", "start": 0}], "true_entities": []},
            ("PER: 李白", ""),
        ),
        ({"loss": 1.0, "num_tokens": 3}, (None, None)),
    ],
)
def test_outputs_of_every_task_become_text(shown, expected):
    assert read_outputs(shown) == expected


def test_a_conversation_is_written_turn_by_turn_with_its_calls():
    messages = [
        {"role": "user", "content": "weather?"},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "get"}}]},
    ]
    assert write_value(messages) == 'user: weather?\nassistant:  [{"function": {"name": "get"}}]'
