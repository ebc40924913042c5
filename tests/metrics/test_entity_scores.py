import dataclasses

import pytest
import seqeval.metrics
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from ftkit.errors import MetricError
from ftkit.metrics import score, score_rows
from ftkit.metrics.entities import Entity, detect_scheme, read_entities, score_entities_per_type

TAG = st.sampled_from(["O", "B-PER", "I-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "E-LOC", "S-LOC"])
ROWS = st.lists(st.lists(st.tuples(TAG, TAG), min_size=1, max_size=12), min_size=1, max_size=5)

# the example in seqeval's README, where F1 is 0.50
TRUE = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
PREDICTED = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]


def test_an_entity_with_a_wrong_bound_is_no_hit():
    assert score("entity_f1", PREDICTED, TRUE) == 0.5
    assert score_rows("entity_f1", PREDICTED, TRUE).tolist() == [0.0, 1.0]


def test_an_entity_of_the_wrong_type_is_no_hit():
    assert score("entity_f1", [["B-LOC", "I-LOC"]], [["B-PER", "I-PER"]]) == 0.0


def test_precision_and_recall_by_hand():
    predicted = [["B-PER", "O", "B-LOC", "O"], ["B-LOC"]]
    true = [["B-PER", "O", "B-LOC", "I-LOC"], ["O"]]
    assert score("entity_precision", predicted, true) == pytest.approx(1 / 3)
    assert score("entity_recall", predicted, true) == pytest.approx(1 / 2)
    assert score("entity_f1", predicted, true) == pytest.approx(2 / 5)


@pytest.mark.parametrize(
    ("tags", "entities"),
    [
        (["B-PER", "I-PER", "O", "B-LOC"], [(0, 2, "PER"), (3, 4, "LOC")]),
        (["B-PER", "B-PER", "I-PER"], [(0, 1, "PER"), (1, 3, "PER")]),
        (["O", "I-PER", "I-PER"], [(1, 3, "PER")]),  # IOB1, or a stray I- of a model
        (["I-PER", "I-LOC"], [(0, 1, "PER"), (1, 2, "LOC")]),
        (["S-PER", "B-LOC", "I-LOC", "E-LOC"], [(0, 1, "PER"), (1, 4, "LOC")]),
        (["U-PER", "B-LOC", "I-LOC", "L-LOC"], [(0, 1, "PER"), (1, 4, "LOC")]),
        (["B-地名", "M-地名", "E-地名", "S-人名"], [(0, 3, "地名"), (3, 4, "人名")]),
        (["B", "I", "O"], [(0, 2, "entity")]),
        (["B-I-95", "I-I-95"], [(0, 2, "I-95")]),
        (["O", "O"], []),
        ([], []),
    ],
)
def test_tags_of_all_schemes_mark_entities(tags, entities):
    assert read_entities(tags) == [Entity(*entity) for entity in entities]


@given(st.lists(TAG, max_size=15))
def test_entities_are_those_of_the_reference_implementation(tags):
    expected = [Entity(start, end + 1, kind) for kind, start, end in get_entities(tags)]
    assert read_entities(tags) == expected


@given(ROWS)
def test_scores_are_those_of_the_reference_implementation(rows):
    predicted = [[tag for tag, _ in row] for row in rows]
    true = [[tag for _, tag in row] for row in rows]
    for name in ("precision", "recall", "f1"):
        expected = getattr(seqeval.metrics, f"{name}_score")(true, predicted, zero_division=0)
        assert score(f"entity_{name}", predicted, true) == pytest.approx(expected)


def test_scores_per_type_are_sorted_by_name():
    predicted = [["B-PER", "O", "B-LOC", "B-ORG"]]
    true = [["B-PER", "B-PER", "B-LOC", "I-LOC"]]
    assert [dataclasses.astuple(line) for line in score_entities_per_type(predicted, true)] == [
        ("LOC", 0.0, 0.0, 0.0, 1),
        ("ORG", 0.0, 0.0, 0.0, 0),
        ("PER", 1.0, 0.5, pytest.approx(2 / 3), 2),
    ]


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["O", "B-PER", "I-PER"], "BIO"),
        (["I-PER", "O"], "BIO"),
        (["B", "I", "O"], "BIO"),
        (["B-PER", "S-PER", "O"], "BIOES"),
        (["B-PER", "M-PER", "E-PER"], "BIOES"),
        (["NOUN", "VERB", "."], "plain"),
        (["B-PER", "NOUN"], "plain"),
        (["O", "PER"], "plain"),
        (["O"], "BIO"),
    ],
)
def test_the_scheme_shows_in_the_tags(tags, scheme):
    assert detect_scheme(tags) == scheme


def test_plain_tags_mark_no_entities():
    with pytest.raises(MetricError, match="found 'NOUN'; use token_accuracy"):
        score("entity_f1", [["NOUN", "VERB"]], [["NOUN", "NOUN"]])


def test_rows_without_any_entity_score_zero_without_a_warning():
    for name in ("entity_f1", "entity_precision", "entity_recall"):
        assert score(name, [["O", "O"]], [["O", "O"]]) == 0.0


def test_a_model_that_predicts_no_entity_scores_zero():
    for name in ("entity_f1", "entity_precision", "entity_recall"):
        assert score(name, [["O", "O"]], [["B-PER", "O"]]) == 0.0


def test_token_accuracy_counts_words_of_all_rows_together():
    assert (
        score("token_accuracy", [["NOUN", "VERB", "."], ["NOUN"]], [["NOUN", "NOUN", "."], ["VERB"]]) == 0.5
    )


def test_a_row_without_words_changes_nothing():
    assert score("token_accuracy", [[], ["NOUN"]], [[], ["NOUN"]]) == 1.0


def test_only_rows_without_words_are_an_error():
    with pytest.raises(MetricError, match="token_accuracy: there is nothing to score"):
        score("token_accuracy", [[]], [[]])


@pytest.mark.parametrize("name", ["entity_f1", "token_accuracy"])
@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        (
            [["O"], ["O", "O"]],
            [["O"], ["O"]],
            "row 1 needs one tag per word on both sides; found 2 predicted and 1 true",
        ),
        (["O"], ["O"], "row 0 is a string"),
        ([[3]], [["O"]], "row 0 has a tag that is no text; found 3"),
    ],
)
def test_tags_that_cannot_be_scored_are_an_error(name, predictions, references, message):
    with pytest.raises(MetricError, match=message):
        score(name, predictions, references)
