"""How much each label weighs in the loss."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

import ftkit
from ftkit.errors import RecipeError
from ftkit.recipe import make_recipe
from ftkit.tasks.class_weights import make_class_weights

LABELS = ("ham", "spam", "rare")
COUNTS = {"ham": 6, "spam": 3, "rare": 1}


def test_balanced_weights_are_those_of_scikit_learn():
    found = make_class_weights("balanced", COUNTS, LABELS, num_rows=10)
    rows = [label for label in LABELS for _ in range(COUNTS[label])]
    assert found == pytest.approx(compute_class_weight("balanced", classes=np.array(LABELS), y=rows))
    assert sum(found[LABELS.index(row)] for row in rows) / 10 == pytest.approx(1)


def test_balanced_weights_of_several_labels_are_rows_without_for_one_with():
    found = make_class_weights("balanced", COUNTS, LABELS, num_rows=10, multi_label=True)
    assert found == pytest.approx((4 / 6, 7 / 3, 9 / 1))


def test_a_mapping_names_some_and_the_others_weigh_one():
    assert make_class_weights({"spam": 4}, COUNTS, LABELS, num_rows=10) == (1.0, 4.0, 1.0)
    assert make_class_weights("none", COUNTS, LABELS, num_rows=10) == ()
    with pytest.raises(RecipeError, match=r"training.class_weights.Spam: .* did you mean spam\?"):
        make_class_weights({"Spam": 4}, COUNTS, LABELS, num_rows=10)


@pytest.mark.parametrize("weights", ["even", {}, {"a": 0}, {"a": True}, {"a": "2"}, 3, {"a": float("inf")}])
def test_a_recipe_refuses_other_weights(weights, tmp_path):
    recipe = {
        "task": "text-classification",
        "model": "m",
        "data": "t.jsonl",
        "training": {"class_weights": weights},
    }
    with pytest.raises(RecipeError, match=r"training.class_weights"):
        make_recipe(recipe, folder=tmp_path)


def test_labels_that_are_numbers_may_be_weighted(tmp_path):
    recipe = {
        "task": "text-classification",
        "model": "m",
        "data": "t.jsonl",
        "training": {"class_weights": {0: 1, 1: 2.5}},
    }
    assert make_recipe(recipe, folder=tmp_path).training.class_weights == {"0": 1.0, "1": 2.5}


def test_a_row_counts_by_the_weight_of_its_label():
    from types import SimpleNamespace

    from ftkit.tasks import text_classification
    from ftkit.tasks.protocol import LossOptions

    logits = torch.tensor([[2.0, 0.0], [0.5, 1.0]])
    model = lambda **_: SimpleNamespace(logits=logits)  # noqa: E731
    model.config = SimpleNamespace()
    batch = {"labels": torch.tensor([0, 1]), "weights": torch.ones(2)}
    found = text_classification.compute_loss(model, batch, LossOptions(0.0, (3.0, 0.5)))
    losses = torch.nn.functional.cross_entropy(logits, batch["labels"], reduction="none")
    assert float(found) == pytest.approx(float(3 * losses[0] + 0.5 * losses[1]))


def learn_shares(folder, model, rows, class_weights):
    """Tune on rows that differ in nothing but their label, and see which probabilities are learned."""
    run = ftkit.finetune(
        task="text-classification",
        model=str(model),
        data={"train": rows, "validation": None},
        training={
            "max_steps": 80,
            "batch_size": len(rows),
            "learning_rate": 2e-2,
            "precision": "float32",
            "class_weights": class_weights,
        },
        evaluation={"baseline": False},
        output_dir=str(folder / "run"),
    )
    return run.predict(["the cat"])[0]["probabilities"]


@pytest.mark.parametrize(
    ("class_weights", "expected"),
    [
        ("none", 2 / 8),  # as often as it comes
        ("balanced", 1 / 2),  # all labels alike in sum
        ({"spam": 9}, 18 / 24),  # 2 rows weigh 9 each, 6 rows weigh 1
    ],
)
def test_a_run_learns_labels_as_often_as_they_weigh(tmp_path, tiny_bert, class_weights, expected):
    rows = [{"text": "the cat", "label": "ham" if place % 4 else "spam"} for place in range(8)]
    found = learn_shares(tmp_path, tiny_bert, rows, class_weights)
    assert found["spam"] == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("class_weights", "expected"),
    [("none", (2 / 8, 4 / 8)), ("balanced", (1 / 2, 1 / 2)), ({"a": 9}, (18 / 24, 4 / 8))],
)
def test_a_run_with_several_labels_weighs_where_each_is_given(tmp_path, tiny_bert, class_weights, expected):
    rows = [
        {"text": "the cat", "label": [*(["a"] if place < 2 else []), *(["b"] if place % 2 else [])]}
        for place in range(8)
    ]
    found = learn_shares(tmp_path, tiny_bert, rows, class_weights)
    assert (found["a"], found["b"]) == pytest.approx(expected, abs=0.02)


def test_a_weight_for_a_label_that_there_is_not_ends_a_run_before_it_begins(tmp_path, tiny_bert):
    rows = [{"text": "a", "label": "ham"}, {"text": "b", "label": "spam"}]
    with pytest.raises(RecipeError, match=r"class_weights\.Spam: .* did you mean spam"):
        learn_shares(tmp_path, tiny_bert, rows, {"Spam": 2})
    assert not (tmp_path / "run").exists()
