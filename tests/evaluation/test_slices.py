"""Scores of parts of the rows, and the warning where one got worse."""

import random

import pytest
from made_splits import make_label_records, make_split

from ftkit.evaluation.parts import Part, find_parts
from ftkit.evaluation.slices import choose_row_metric, score_slices, warn_of_slices
from ftkit.metrics import score
from ftkit.tasks import chat, text_classification, token_classification

LABELS = ["ham", "spam"]


def make_case(base_right, tuned_right, num_rows=200, seed=0):
    """Make rows of two genres; each model is right in a share of each genre's rows."""
    draw = random.Random(seed)
    genres = [("news", "poem")[row % 2] for row in range(num_rows)]
    true = [row // 2 % 2 for row in range(num_rows)]
    pairs = list(zip(true, genres, strict=True))
    records = {
        who: make_label_records(
            true, [abs(label - (draw.random() >= right[genre])) for label, genre in pairs]
        )
        for who, right in (("base", base_right), ("tuned", tuned_right))
    }
    rows = [{"text": "x", "label": LABELS[label], "genre": genre} for label, genre in pairs]
    split = make_split(rows, lengths=[4] * num_rows)
    parts = find_parts(records["base"], split, text_classification, LABELS, ["genre"])
    return records, parts


def score_case(records, parts, **settings):
    return score_slices(parts, records, text_classification, "accuracy", seed=1, **settings)


def test_the_worst_slice_comes_first_and_has_the_scores_of_its_rows():
    records, parts = make_case({"news": 0.6, "poem": 0.6}, {"news": 0.95, "poem": 0.2})
    slices = score_case(records, parts)
    scores = [one["scores"]["tuned"]["score"] for one in slices]
    assert scores == sorted(scores)
    assert (slices[0]["by"], slices[0]["name"], slices[0]["num_rows"]) == ("genre", "poem", 100)
    for one, part in (
        (one, part) for one in slices for part in parts if (part.by, part.name) == (one["by"], one["name"])
    ):
        for who, some in records.items():
            chosen = [some[place] for place in part.places]
            found = score("accuracy", *text_classification.list_scored(chosen, "labels"))
            assert one["scores"][who]["score"] == pytest.approx(found)
            assert one["scores"][who]["low"] <= found <= one["scores"][who]["high"]


def test_a_slice_that_got_worse_is_warned_of_though_all_rows_together_got_better():
    records, parts = make_case({"news": 0.3, "poem": 0.8}, {"news": 0.99, "poem": 0.3})
    warnings = warn_of_slices(score_case(records, parts))
    assert len(warnings) == 1
    assert warnings[0].startswith("genre 'poem' got worse: accuracy 0.")


def test_many_slices_of_two_equal_models_warn_of_none_nearly_always():
    warned = 0
    for seed in range(60):
        draw = random.Random(seed)
        true = [draw.randrange(2) for _ in range(300)]
        records = {
            who: make_label_records(true, [draw.randrange(2) for _ in true]) for who in ("base", "tuned")
        }
        parts = [Part("column", str(number), range(number, 300, 20), 15) for number in range(20)]
        warned += bool(warn_of_slices(score_case(records, parts)))
    assert warned <= 3  # 2.5 % of 60 by chance, since a warning is one side of 5 %


def test_corrected_p_values_are_not_below_the_single_ones():
    records, parts = make_case({"news": 0.5, "poem": 0.6}, {"news": 0.7, "poem": 0.6})
    for one in score_case(records, parts):
        assert one["comparison"]["corrected_p_value"] >= one["comparison"]["p_value"]


def test_a_model_alone_has_slices_without_a_comparison():
    records, parts = make_case({"news": 0.5, "poem": 0.6}, {"news": 0.7, "poem": 0.6})
    slices = score_case({"model": records["base"]}, parts)
    assert [one["comparison"] for one in slices] == [None] * len(parts)
    assert list(slices[0]["scores"]) == ["model"]
    assert warn_of_slices(slices) == []


def test_rows_that_hang_together_widen_the_interval_of_a_slice():
    records, parts = make_case({"news": 0.5, "poem": 0.5}, {"news": 0.6, "poem": 0.6})
    groups = [row // 10 for row in range(200)]
    alone, together = (
        score_case(records, parts[-1:], groups=some)[0]["comparison"] for some in (None, groups)
    )
    assert together["num_groups"] == 20
    assert (alone["test"], together["test"]) == ("McNemar", "permutation")


def test_a_slice_with_nothing_to_score_is_left_out():
    records = {
        who: [{"row": row, "loss": 2.0, "num_tokens": int(row < 9), "turns": []} for row in range(18)]
        for who in ("base", "tuned")
    }
    parts = [Part("column", name, range(start, start + 9), 9) for name, start in (("some", 0), ("none", 9))]
    slices = score_slices(parts, records, chat, "perplexity", seed=0)
    assert [one["name"] for one in slices] == ["some"]


def test_less_is_worse_first_where_less_is_better():
    records = {"model": [{"row": row, "loss": float(row), "num_tokens": 2, "turns": []} for row in range(18)]}
    parts = [Part("column", name, range(start, start + 9), 9) for name, start in (("low", 0), ("high", 9))]
    slices = score_slices(parts, records, chat, "perplexity", seed=0)
    assert [one["name"] for one in slices] == ["high", "low"]


def test_types_of_entities_come_behind_the_other_slices_with_their_own_metric():
    names = ("O", "B-PER", "B-LOC")
    records = {
        who: [{"row": row, "names": names, "tags": [1, tag], "true_tags": [1, 2]} for row in range(20)]
        for who, tag in (("base", 2), ("tuned", 0))
    }
    split = make_split([{"tokens": ["a", "b"], "genre": str(row % 2)} for row in range(20)], lengths=[4] * 20)
    parts = find_parts(records["base"], split, token_classification, names, ["genre"])
    slices = score_slices(parts, records, token_classification, "token_accuracy", seed=0)
    assert [one["by"] for one in slices] == ["genre", "genre", "entity", "entity"]
    assert [(one["name"], one["comparison"]["verdict"]) for one in slices[2:]] == [
        ("LOC", "worse"),
        ("PER", "no change"),
    ]


@pytest.mark.parametrize(
    ("metrics", "chosen"),
    [
        (["macro_f1", "accuracy", "loss"], "accuracy"),
        (["perplexity", "rougeL"], "perplexity"),
        (["spearman", "rmse"], "rmse"),
        (["average_precision"], "multilabel_micro_f1"),
        (["somebody/metric", "loss"], "loss"),
        (["somebody/metric"], None),
    ],
)
def test_a_metric_that_says_something_of_few_rows_scores_the_slices(metrics, chosen):
    assert choose_row_metric(metrics) == chosen
