"""How each metric is computed."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ftkit.metrics import (
    answers,
    classification,
    combining,
    entities,
    language,
    programs,
    regression,
    structured,
    texts,
)
from ftkit.metrics.combining import combine_classes, combine_ratio
from ftkit.metrics.inputs import Floats


@dataclass(frozen=True)
class Scorer:
    """The functions behind one metric; at least `score`, or `measure` with `combine`."""

    score: Callable[..., float] | None = None
    """From predictions and references to the score; None where it is `combine` of the sums."""

    measure: Callable[..., Floats] | None = None
    """From predictions and references to numbers per row that add up; None where nothing does."""

    combine: Callable[[Floats], float] | None = None
    """From sums over rows to the score; NaN for nothing to score."""

    when_empty: float | None = None
    """The score when there is nothing to score; None for an error."""


def _score_labels(statistic: str, average: str) -> Scorer:
    return Scorer(
        score=partial(classification.score_labels, statistic=statistic, average=average),
        measure=classification.measure_labels,
        combine=partial(combine_classes, statistic=statistic, average=average),
    )


def _score_label_sets(average: str) -> Scorer:
    return Scorer(
        score=partial(classification.score_label_sets, average=average),
        measure=classification.measure_label_sets,
        combine=partial(combine_classes, average=average),
        when_empty=0.0,
    )


def _score_losses(then: Callable[[float], float] | None) -> Scorer:
    return Scorer(measure=language.measure_losses, combine=partial(combine_ratio, then=then))


def _score_rouge(rouge_type: str) -> Scorer:
    return Scorer(measure=partial(texts.measure_rouge, rouge_type=rouge_type), combine=combine_ratio)


def _score_samples(drawn: int) -> Scorer:
    return Scorer(measure=partial(programs.measure_passes, drawn=drawn), combine=combine_ratio)


def _score_entities(statistic: str) -> Scorer:
    return Scorer(
        measure=entities.measure_entities,
        combine=partial(combine_classes, statistic=statistic),
        when_empty=0.0,
    )


def _score_answers(compare: Callable[[str, str], float]) -> Scorer:
    return Scorer(measure=partial(answers.measure_answers, compare=compare), combine=combine_ratio)


SCORERS: dict[str, Scorer] = {
    "accuracy": Scorer(classification.score_accuracy, classification.measure_accuracy, combine_ratio),
    "macro_f1": _score_labels("f1", "macro"),
    "weighted_f1": _score_labels("f1", "weighted"),
    "micro_f1": _score_labels("f1", "micro"),
    "macro_precision": _score_labels("precision", "macro"),
    "macro_recall": _score_labels("recall", "macro"),
    "matthews_correlation": Scorer(
        classification.score_matthews, classification.measure_labels, combining.combine_matthews
    ),
    "multilabel_micro_f1": _score_label_sets("micro"),
    "multilabel_macro_f1": _score_label_sets("macro"),
    "subset_accuracy": Scorer(
        classification.score_subset_accuracy, classification.measure_subset_accuracy, combine_ratio
    ),
    "average_precision": Scorer(classification.score_average_precision),
    "pearson": Scorer(regression.score_pearson, regression.measure_products, combining.combine_pearson),
    "spearman": Scorer(regression.score_spearman),
    "rmse": Scorer(
        regression.score_rmse, regression.measure_squared_errors, partial(combine_ratio, then=math.sqrt)
    ),
    "mae": Scorer(regression.score_mae, regression.measure_absolute_errors, combine_ratio),
    "loss": _score_losses(None),
    "perplexity": _score_losses(combining.exponentiate),
    "pseudo_perplexity": _score_losses(combining.exponentiate),
    "bits_per_byte": _score_losses(combining.to_bits),
    "masked_accuracy": Scorer(measure=language.measure_shares, combine=combine_ratio),
    "bleu": Scorer(texts.score_bleu, texts.measure_bleu, texts.combine_bleu),
    "chrf": Scorer(measure=texts.measure_chrf, combine=texts.combine_chrf),
    "rouge1": _score_rouge("rouge1"),
    "rouge2": _score_rouge("rouge2"),
    "rougeL": _score_rouge("rougeL"),
    "rougeLsum": _score_rouge("rougeLsum"),
    "exact_match": Scorer(measure=texts.measure_exact_match, combine=combine_ratio),
    "json_validity": Scorer(measure=structured.measure_json_validity, combine=combine_ratio),
    "json_match": Scorer(measure=structured.measure_json_match, combine=combine_ratio),
    "function_call_match": Scorer(measure=structured.measure_function_calls, combine=combine_ratio),
    "function_name_match": Scorer(
        measure=partial(structured.measure_function_calls, names_only=True), combine=combine_ratio
    ),
    "pass@1": _score_samples(1),
    "pass@5": _score_samples(5),
    "pass@10": _score_samples(10),
    "entity_f1": _score_entities("f1"),
    "entity_precision": _score_entities("precision"),
    "entity_recall": _score_entities("recall"),
    "token_accuracy": Scorer(measure=entities.measure_tags, combine=combine_ratio),
    "answer_exact_match": _score_answers(answers.match_answer),
    "answer_f1": _score_answers(answers.overlap_answer),
}
"""By name; the same names as `METRICS`."""
