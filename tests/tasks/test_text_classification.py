import math
from types import SimpleNamespace

import pytest
import torch
from tiny_models import make_wordpiece_tokenizer

from ftkit.errors import DataError
from ftkit.tasks import text_classification as task
from ftkit.tasks.protocol import Encoding, LossOptions

ROWS = [{"text": "free money", "label": "spam"}, {"text": "hello world", "label": "ham"}]


def encode(rows, **options):
    rejected = []
    encoding = Encoding(**{"max_tokens": 8, "too_long": "truncate", "labels": ("ham", "spam"), **options})
    tokenizer = make_wordpiece_tokenizer()
    examples = list(task.encode(enumerate(rows), tokenizer, encoding, lambda *entry: rejected.append(entry)))
    return examples, rejected


def test_labels_are_sorted_and_counted_whatever_the_order_of_the_rows():
    assert task.read_labels(ROWS, None) == {"ham": 1, "spam": 1}
    assert list(task.read_labels(ROWS[::-1], None)) == ["ham", "spam"]


def test_numbers_are_sorted_by_value_and_words_and_numbers_may_mix_types():
    rows = [{"label": label} for label in (10, 9, "10", 2.0)]
    assert task.read_labels(rows, None) == {"2": 1, "9": 1, "10": 2}


def test_a_list_of_names_fixes_the_order_and_a_mapping_renames():
    assert list(task.read_labels(ROWS, ["spam", "ham"])) == ["spam", "ham"]
    rows = [{"label": 0}, {"label": 1}, {"label": 1}]
    assert task.read_labels(rows, {"0": "neg", "1": "pos"}) == {"neg": 1, "pos": 2}


def test_fewer_than_two_classes_are_refused():
    with pytest.raises(DataError, match="two classes or more; found 1: 'spam'"):
        task.read_labels(ROWS[:1], None)


@pytest.mark.parametrize("label", [None, "", "  ", 1.5, ["a"]])
def test_what_is_no_label_is_a_problem(label):
    encoding = Encoding(8, "truncate", labels=("a", "b"))
    assert "a label is a word or a whole number" in task.check_row({"text": "x", "label": label}, encoding)


def test_a_label_outside_the_names_says_what_they_are_and_how_to_map_it():
    encoding = Encoding(8, "truncate", labels=("ham", "spam"))
    problem = task.check_row({"text": "x", "label": "Spam"}, encoding)
    assert "'Spam'; the labels are 'ham', 'spam'" in problem
    assert "data.label_names: {Spam:" in problem
    mapped = Encoding(8, "truncate", labels=("ham", "spam"), label_names={"Spam": "spam"})
    assert task.check_row({"text": "x", "label": "Spam"}, mapped) is None


def test_a_text_becomes_its_tokens_and_the_number_of_its_label():
    examples, _ = encode(ROWS)
    tokenizer = make_wordpiece_tokenizer()
    assert examples[0]["input_ids"] == tokenizer("free money")["input_ids"]
    assert [example["labels"] for example in examples] == [1, 0]


def test_a_long_text_is_cut_with_its_last_special_token_kept_and_reported():
    (example,), rejected = encode([{"text": "the cat sat on the mat now good", "label": "ham"}], max_tokens=6)
    assert len(example["input_ids"]) == 6
    assert example["input_ids"][-1] == make_wordpiece_tokenizer().sep_token_id
    assert rejected == [(0, "too_long:truncate", "10 tokens, the limit is 6")]


def test_rows_without_labels_are_encoded_for_prediction():
    (example,), _ = encode([{"text": "hello"}], labelled=False)
    assert "labels" not in example


class Fixed(torch.nn.Module):
    """A model whose logits are given."""

    def __init__(self, logits):
        super().__init__()
        self.logits = torch.tensor(logits)
        self.config = SimpleNamespace(type_vocab_size=2)

    def forward(self, **_):
        return self


def make_batch():
    return {
        "input_ids": torch.ones(2, 3, dtype=torch.long),
        "labels": torch.tensor([0, 1]),
        "row": torch.tensor([7, 8]),
        "weights": torch.ones(2),
    }


def test_loss_is_summed_over_rows():
    model = Fixed([[2.0, 0.0], [2.0, 0.0]])
    expected = math.log1p(math.exp(-2)) + math.log1p(math.exp(2))
    assert float(task.compute_loss(model, make_batch(), LossOptions())) == pytest.approx(expected)
    assert task.count_items(make_batch()) == 2


def test_predictions_name_labels_with_probabilities_that_add_up():
    records = task.predict(Fixed([[2.0, 0.0], [0.0, 1.0]]), make_batch(), ())
    shown = [task.present(record, ["ham", "spam"]) for record in records]
    assert [one["prediction"] for one in shown] == ["ham", "spam"]
    assert [one["row"] for one in shown] == [7, 8]
    for one in shown:
        assert sum(one["probabilities"].values()) == pytest.approx(1)
        assert next(iter(one["probabilities"])) == one["prediction"]
    assert task.list_scored(records, "labels") == ([0, 1], [0, 1])


def test_the_trivial_answer_is_the_most_frequent_label_with_the_shares_as_probabilities():
    records = task.predict(Fixed([[2.0, 0.0], [0.0, 1.0]]), make_batch(), ())
    trivial = task.predict_trivially(records, [3, 1])
    assert task.list_scored(trivial, "labels") == ([0, 0], [0, 1])
    losses, counts = task.list_scored(trivial, "losses")
    assert losses == pytest.approx([-math.log(0.75), -math.log(0.25)])
    assert counts == [1, 1]


def test_each_class_is_scored_by_name():
    records = task.predict(Fixed([[2.0, 0.0], [2.0, 0.0]]), make_batch(), ())
    table = task.explain(records, ["ham", "spam"])["per_class"]
    assert [(line["label"], line["recall"], line["support"]) for line in table] == [
        ("ham", 1.0, 1),
        ("spam", 0.0, 1),
    ]
