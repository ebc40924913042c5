"""What metrics there are: names, directions, ranges and units, without the libraries that compute them."""

import difflib
from dataclasses import dataclass
from typing import Any

from ftkit.errors import MetricError


@dataclass(frozen=True)
class MetricInfo:
    """What a metric scores and how to read it."""

    name: str
    """What a recipe calls it."""

    kind: str
    """What it scores; a key of `METRIC_KINDS`."""

    meaning: str
    """One line for people."""

    source: str
    """The library or the paper that defines the number."""

    greater_is_better: bool = True
    """The direction in which a model improves."""

    range: tuple[float, float | None] = (0.0, 1.0)
    """The lowest and the highest value; None where there is no bound."""

    unit: str = "share"
    """What 1 means; shares lie between 0 and 1, points between 0 and 100."""

    needs_generation: bool = False
    """Whether the model has to write texts to be scored."""


METRIC_KINDS: dict[str, str] = {
    "labels": "predictions and references: one label per row, as number or as text",
    "label_sets": "predictions and references: 0 or 1 per row and label, shape (rows, labels)",
    "label_probabilities": "predictions: probabilities, references: 0 or 1; both of shape (rows, labels)",
    "numbers": "predictions and references: one number per row",
    "losses": "predictions: summed loss per row, in nats; references: how many tokens it sums",
    "byte_losses": "predictions: summed loss per row, in nats; references: how many UTF-8 bytes the row has",
    "counts": "predictions: how many were right per row; references: out of how many",
    "texts": "predictions: one text per row; references: one text per row, or a list of them",
    "json_texts": "predictions: one text per row; references: one text of JSON per row, or a list of them",
    "schemas": "predictions: one text per row; references: a JSON schema for each row, or None for any JSON",
    "samples": "predictions: how many programs of a row passed its tests; references: how many there were",
    "tags": "predictions and references: a list of tags per row, as long as its words",
    "answers": "predictions: one text per row, empty for no answer; references: a list of right ones "
    "per row, empty where there is none",
}

_CORRELATION: dict[str, Any] = {"range": (-1.0, 1.0), "unit": "correlation"}
_ERROR: dict[str, Any] = {"greater_is_better": False, "range": (0.0, None)}
_PERPLEXITY: dict[str, Any] = {"greater_is_better": False, "range": (1.0, None), "unit": "tokens"}
_WRITTEN: dict[str, Any] = {"needs_generation": True}
_POINTS: dict[str, Any] = {"needs_generation": True, "range": (0.0, 100.0), "unit": "points"}

_SKLEARN, _OURS = "scikit-learn", "definition"
_CONLL, _SQUAD = "CoNLL 2003 (conlleval)", "SQuAD 2.0; CMRC 2018 for Chinese"
_CHEN = "Chen et al. 2021, arXiv:2107.03374"
_SALAZAR = "Salazar et al. 2020, arXiv:1910.14659"

_ALL = (
    MetricInfo("accuracy", "labels", "share of rows with the right label", _SKLEARN),
    MetricInfo("macro_f1", "labels", "F1 averaged over labels: rare ones count like common ones", _SKLEARN),
    MetricInfo("weighted_f1", "labels", "F1 averaged over labels by how often each occurs", _SKLEARN),
    MetricInfo("micro_f1", "labels", "F1 over all decisions; accuracy by another name", _SKLEARN),
    MetricInfo("macro_precision", "labels", "share of right predictions, averaged over labels", _SKLEARN),
    MetricInfo("macro_recall", "labels", "how much of a label is found, averaged over labels", _SKLEARN),
    MetricInfo(
        "matthews_correlation",
        "labels",
        "correlation with the true labels; 0: guessing",
        _SKLEARN,
        **_CORRELATION,
    ),
    MetricInfo("multilabel_micro_f1", "label_sets", "F1 over all decisions of all labels", _SKLEARN),
    MetricInfo(
        "multilabel_macro_f1",
        "label_sets",
        "F1 averaged over the labels that occur or are predicted",
        _SKLEARN,
    ),
    MetricInfo("subset_accuracy", "label_sets", "share of rows whose labels are all right", _SKLEARN),
    MetricInfo(
        "average_precision",
        "label_probabilities",
        "precision over all thresholds, mean over labels that occur",
        _SKLEARN,
    ),
    MetricInfo("pearson", "numbers", "linear correlation; 0 for a constant", "scipy", **_CORRELATION),
    MetricInfo("spearman", "numbers", "correlation of ranks; 0 for a constant", "scipy", **_CORRELATION),
    MetricInfo("rmse", "numbers", "root of the mean squared error", _SKLEARN, unit="label's unit", **_ERROR),
    MetricInfo("mae", "numbers", "mean absolute error", _SKLEARN, unit="label's unit", **_ERROR),
    MetricInfo("loss", "losses", "mean cross-entropy per token", _OURS, unit="nats per token", **_ERROR),
    MetricInfo("perplexity", "losses", "exp(loss): between how many tokens it wavers", _OURS, **_PERPLEXITY),
    MetricInfo("pseudo_perplexity", "losses", "exp(loss) over masked tokens", _SALAZAR, **_PERPLEXITY),
    MetricInfo(
        "bits_per_byte",
        "byte_losses",
        "loss per byte of text: comparable between tokenizers",
        _OURS,
        unit="bits per byte",
        **_ERROR,
    ),
    MetricInfo("masked_accuracy", "counts", "share of masked tokens that the model fills in right", _OURS),
    MetricInfo(
        "bleu",
        "texts",
        "n-gram precision of a corpus; Chinese, Japanese and the like by characters",
        "sacrebleu",
        **_POINTS,
    ),
    MetricInfo("chrf", "texts", "character n-gram F-score (chrF2), for any script", "sacrebleu", **_POINTS),
    MetricInfo("rouge1", "texts", "F1 of shared words, averaged over rows", "rouge-score", **_WRITTEN),
    MetricInfo("rouge2", "texts", "F1 of shared word pairs, averaged over rows", "rouge-score", **_WRITTEN),
    MetricInfo(
        "rougeL",
        "texts",
        "F1 of the longest common sequence of words, averaged over rows",
        "rouge-score",
        **_WRITTEN,
    ),
    MetricInfo("rougeLsum", "texts", "rougeL sentence by sentence, one per line", "rouge-score", **_WRITTEN),
    MetricInfo(
        "exact_match", "texts", "share of texts equal but for white space at the ends", _OURS, **_WRITTEN
    ),
    MetricInfo(
        "json_validity", "schemas", "share of texts that are JSON and fit the schema", _OURS, **_WRITTEN
    ),
    MetricInfo(
        "json_match", "json_texts", "share of texts that are the right JSON, in any layout", _OURS, **_WRITTEN
    ),
    MetricInfo(
        "function_call_match",
        "json_texts",
        "share of texts that call the right functions with the right arguments",
        _OURS,
        **_WRITTEN,
    ),
    MetricInfo(
        "function_name_match", "json_texts", "the same, but for the arguments of calls", _OURS, **_WRITTEN
    ),
    MetricInfo("pass@1", "samples", "share of programs that pass their tests", _CHEN, **_WRITTEN),
    MetricInfo("pass@5", "samples", "share of rows of which one in 5 programs passes", _CHEN, **_WRITTEN),
    MetricInfo("pass@10", "samples", "share of rows of which one in 10 programs passes", _CHEN, **_WRITTEN),
    MetricInfo("entity_f1", "tags", "F1 of entities with exactly the right type and bounds", _CONLL),
    MetricInfo("entity_precision", "tags", "share of the predicted entities that are exactly right", _CONLL),
    MetricInfo("entity_recall", "tags", "share of the true entities that are found exactly", _CONLL),
    MetricInfo("token_accuracy", "tags", "share of words with the right tag", _OURS),
    MetricInfo("answer_exact_match", "answers", "share of answers equal to a right one", _SQUAD),
    MetricInfo("answer_f1", "answers", "overlap with the best right answer, averaged over rows", _SQUAD),
)

METRICS: dict[str, MetricInfo] = {info.name: info for info in _ALL}
"""The metrics that ftkit has itself, by name; none of them downloads anything."""


def describe_metrics(kind: str | None = None) -> list[MetricInfo]:
    """List ftkit's metrics, those of one kind or all."""
    return [info for info in _ALL if kind in (None, info.kind)]


def get_info(name: str) -> MetricInfo:
    """Look up one of ftkit's metrics.

    Raises:
        MetricError: ftkit has no such metric; the message lists what there is and the nearest name.
    """
    try:
        return METRICS[name]
    except KeyError:
        raise MetricError(
            f"metric {name!r}: ftkit has no metric of that name; {suggest_metrics(name)}"
        ) from None


def suggest_metrics(name: str) -> str:
    """Say which of ftkit's metrics a mistyped name may have meant, and which there are."""
    folded = {known.casefold(): known for known in METRICS}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    question = f"did you mean {folded[near[0]]}? " if near else ""
    return question.strip() or f"ftkit has: {', '.join(METRICS)}"
