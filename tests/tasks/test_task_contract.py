"""What every task keeps to: check, encode, train, score, save, reload, and the same predictions.

Rows come from the task's starter and the model from its Auto class, so that a new task is picked up by
being in `TASKS`. Forms of a task that its starter does not show have a line in `FORMS`.
"""

import json
import math
from types import SimpleNamespace

import pytest
import torch
import transformers
from report_contents import check_report
from tiny_models import save_tiny_bert, save_tiny_llama, save_tiny_t5

import ftkit
from ftkit.data import load_rows
from ftkit.evaluation.predictions import evaluating
from ftkit.metrics import METRIC_KINDS, METRICS
from ftkit.recipe import TASKS, make_starter
from ftkit.tasks import find_missing_parts, get_task
from ftkit.tasks.encoding import encode_rows

TOLERANCE = 1e-4
"""Padding changes the order of sums in float32: relative to 1 or to the number, whichever is larger."""
NUM_ROWS = 12
LABELS = ["good", "bad", "odd"]

FORMS = {
    "text-classification: pairs": [
        {"text": "the cat sat", "text_pair": f"on the mat {word}", "label": LABELS[place % 2]}
        for place, word in enumerate(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"])
    ],
    "text-classification: multi-label": [
        {"text": f"hello world {word}", "label": LABELS[: place % 4]}
        for place, word in enumerate(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"])
    ],
    "text-classification: regression": [
        {"text": "good " * (place % 5 + 1), "label": place / 4} for place in range(NUM_ROWS)
    ],
    "text-classification: windows": [
        {"text": "the cat sat on the mat " * (place + 1), "label": LABELS[place % 2]}
        for place in range(NUM_ROWS)
    ],
}
DECODERS = ("text-classification", "token-classification", "question-answering")
"""Tasks whose Auto class has decoders too, which pad and end texts otherwise than encoders."""
SETTINGS = {"text-classification: windows": {"too_long": "windows", "max_tokens": 24}}


MODELS = {"AutoModelForCausalLM": save_tiny_llama, "AutoModelForSeq2SeqLM": save_tiny_t5}
"""Auto class -> what saves a tiny model for it; for all others an encoder is saved."""


@pytest.fixture(scope="module", params=[*TASKS, *FORMS, *(f"{name}: a decoder" for name in DECODERS)])
def case(request, tmp_path_factory):
    """A run of two steps, with the rows that it was scored on."""
    name = request.param.partition(":")[0]
    folder = tmp_path_factory.mktemp("contract")
    rows = (
        FORMS.get(request.param) or list(map(json.loads, make_starter(name).sample.splitlines()))[:NUM_ROWS]
    )
    is_decoder = request.param.endswith(": a decoder")
    save_model = MODELS.get(get_task(name).MODEL_CLASS, save_tiny_bert)
    run = ftkit.finetune(
        task=name,
        model=str((save_tiny_llama if is_decoder else save_model)(folder / "base")),
        data={"train": rows, "validation": None, "test": rows, **SETTINGS.get(request.param, {})},
        training={"max_steps": 2, "batch_size": 4, "learning_rate": 1e-2, "precision": "float32"},
        checks={"unknown_tokens": 1.0},  # the tiny tokenizers know few words
        output_dir=str(folder / "run"),
    )
    return SimpleNamespace(name=name, run=run, rows=rows, task=run.task)


def assert_alike(found, expected, where=""):
    """Compare what was predicted: numbers within the tolerance, everything else exactly."""
    if isinstance(expected, float):
        assert math.isclose(found, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE), (where, found, expected)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_alike(found[key], value, f"{where}.{key}")
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected), where
        for place, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_alike(one, other, f"{where}[{place}]")
    else:
        assert found == expected, where


def make_split(case):
    return encode_rows(
        case.name,
        case.task,
        load_rows(case.rows, split_name="test"),
        case.run.tokenizer,
        case.run.encoding,
        split="test",
    )


def predict(case, model, split, groups):
    """Predict group by group, and put the records back in the order of the examples."""
    examples = [dict(example) for example in split.examples]
    records = {}
    with evaluating(model):
        for group in groups:
            chosen = [examples[place] for place in group]
            batch = case.task.collate(chosen, case.run.tokenizer, split.encoding, (0,))
            records |= zip(group, case.task.predict(model, batch, chosen), strict=True)
    merged = case.task.merge([records[place] for place in range(len(examples))], split.rows)
    return [case.task.present(record, case.run.labels) for record in merged]


def read_written(case):
    lines = (case.run.folder.evaluation / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("name", TASKS)
def test_a_task_has_all_parts_and_known_metrics(name):
    task = get_task(name)
    assert find_missing_parts(task) == []
    assert all(kind in METRIC_KINDS for kind in task.METRIC_KINDS)
    assert all(METRICS[metric].kind in task.METRIC_KINDS for metric in task.METRICS)
    assert hasattr(transformers, task.MODEL_CLASS)
    assert task.SUMMARY.strip() == task.SUMMARY
    assert len({column.name for column in task.COLUMNS}) == len(task.COLUMNS)


def test_its_report_is_what_its_description_says(case):
    report = case.run.report
    check_report(report)
    assert report["verdict"]["metric"] == next(iter(report["metrics"]))
    assert report["errors"]["worst"]
    assert set(report["errors"]["worst"][0]["outputs"]) == {"base", "tuned"}
    assert any(report["errors"]["worst"][0]["fields"].values())


def test_its_rows_are_good(case):
    assert [case.task.check_row(row, case.run.encoding) for row in case.rows] == [None] * len(case.rows)


def test_an_example_knows_its_row_and_is_no_longer_than_allowed(case):
    split = make_split(case)
    lengths = [len(example["input_ids"]) for example in split.examples]
    assert min(lengths) > 0
    if case.name != "multiple-choice":  # there each choice has the limit for itself
        assert max(lengths) <= split.encoding.max_tokens
    assert {example["row"] for example in split.examples} <= set(range(len(case.rows)))


def test_it_is_trained_scored_and_saved(case):
    report = case.run.report
    assert case.run.info["status"] == "finished"
    assert report["training"]["num_steps"] == 2
    scores = report["scores"]["tuned"]
    assert scores
    assert all(math.isfinite(value) for value in scores.values())
    for name, value in scores.items():
        lowest, highest = METRICS[name].range
        assert lowest <= value <= (math.inf if highest is None else highest)


def test_plain_transformers_gives_the_same_predictions(case):
    auto_class = getattr(transformers, case.task.MODEL_CLASS)
    model, info = auto_class.from_pretrained(case.run.folder.model, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    split = make_split(case)
    found = predict(case, model, split, [[place] for place in range(len(split.examples))])
    threshold = case.run.info.get("thresholds", {}).get("tuned")
    assert threshold is None  # there are no validation rows
    assert_alike(json.loads(json.dumps(found)), read_written(case))


def test_neither_order_nor_padding_changes_predictions(case):
    split = make_split(case)
    places = list(range(len(split.examples)))
    together = predict(case, case.run.model, split, [places])
    backwards = predict(case, case.run.model, split, [places[::-1]])
    alone = predict(case, case.run.model, split, [[place] for place in places])
    assert_alike(together, alone)
    assert_alike(backwards, alone)


def test_the_loss_is_a_sum_that_does_not_depend_on_batches(case):
    from ftkit.tasks import LossOptions

    split = make_split(case)
    examples = [dict(example) for example in split.examples]
    with evaluating(case.run.model):

        def sum_losses(groups):
            total = torch.zeros(2, dtype=torch.float64)
            for group in groups:
                batch = case.task.collate(group, case.run.tokenizer, split.encoding, (0,))
                loss = float(case.task.compute_loss(case.run.model, batch, LossOptions()))
                total += torch.tensor([loss, case.task.count_items(batch)], dtype=torch.float64)
            return total.tolist()

        assert_alike(sum_losses([examples]), sum_losses([[example] for example in examples]))
