"""A second start finds all that reading the rows told, and reads none of them; for every task."""

import pytest
from test_task_contract import MODELS
from tiny_models import save_tiny_bert

from ftkit.data import Rows, check_columns, prepare_rows
from ftkit.models.tokenizer import read_tokenizer
from ftkit.recipe import TASKS, make_recipe, make_starter
from ftkit.tasks import get_task, read_labels, suit_task
from ftkit.tasks.encoding import check_splits, encode_rows
from ftkit.tasks.protocol import Encoding


def prepare(recipe, tokenizer):
    """Do with the rows what a run does before its model trains."""
    task = get_task(recipe.task)
    splits = prepare_rows(recipe.data, seed=1, columns=task.COLUMNS).splits
    for rows in splits.values():
        check_columns(rows, task.COLUMNS)
    task = suit_task(task, recipe.data, splits["train"])
    labels = tuple(read_labels(task, recipe.data, splits["train"]))
    check_splits(splits, task, recipe.data, labels)
    encoding = Encoding(400, task.TOO_LONG[0], stride=getattr(task, "AUTO_STRIDE", 8), labels=labels)
    found = {
        name: encode_rows(recipe.task, task, rows, tokenizer, encoding, split=name)
        for name, rows in splits.items()
    }
    return labels, {name: list(split.examples) for name, split in found.items()}


@pytest.mark.parametrize("name", TASKS)
def test_a_second_start_reads_no_rows(name, cache, tmp_path, monkeypatch):
    sample = tmp_path / "rows.jsonl"
    sample.write_text(make_starter(name).sample, encoding="utf-8")
    model = MODELS.get(get_task(name).MODEL_CLASS, save_tiny_bert)(tmp_path / "model")
    tokenizer = read_tokenizer(str(model), model)
    sections = {"task": name, "model": str(model), "data": {"train": str(sample), "validation": 5}}
    recipe = make_recipe(sections, folder=tmp_path)
    first = prepare(recipe, tokenizer)

    def fail(*arguments):
        pytest.fail("a row was read")

    monkeypatch.setattr(Rows, "__iter__", fail)
    monkeypatch.setattr(Rows, "__getitem__", fail)
    assert prepare(recipe, tokenizer) == first
