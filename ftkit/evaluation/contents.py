"""What is in an evaluation's report.json: the one description that writers and readers go by.

`who` is always one of "majority" (an answer that needs no model), "base", "tuned", or "model" (where
a bare model is scored), in this order. Scores are numbers in the metric's own unit; intervals are
None where there are too few rows to say.
"""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import NotRequired, TypedDict

FORMAT = 2
"""Raised when a reader of older reports would be misled; reports without `format` are of ftkit 0.1."""

Verdict = Literal["better", "worse", "no change", "cannot tell"]


class MetricMeaning(TypedDict):
    """How to read a metric."""

    greater_is_better: bool | None
    """None for a metric that ftkit does not know."""
    unit: str
    meaning: str


class ScoreRange(TypedDict):
    """One model's score, and where it lies for all that the rows can say."""

    score: float
    low: float | None
    high: float | None
    sentence: str
    """All of it in one line."""


class Compared(TypedDict):
    """The tuned model beside its base under one metric."""

    metric: str
    greater_is_better: bool
    base: float
    tuned: float
    difference: float
    """Tuned minus base."""
    low: float | None
    """The interval of the difference."""
    high: float | None
    standard_error: float | None
    confidence: float
    test: str
    """"McNemar" or "permutation"."""
    p_value: float
    corrected_p_value: float
    """After correction for what was compared together: the metrics, all slices, all other data sets."""
    identical: bool
    num_rows: int
    num_groups: int | None
    """Of rows that hang together; None where each stands alone."""
    verdict: Verdict
    rows_needed: int | None
    """An estimate of how many rows would tell; None where these do."""
    sentence: str


class MainVerdict(TypedDict):
    """The answer to "was it worth it?", by the first of the metrics."""

    metric: str
    verdict: Verdict
    sentence: str


class Slice(TypedDict):
    """Some of the rows, scored by themselves."""

    by: str
    """What parts the rows: "label", "length", "script", "source", "question", "entity", "turn", or a column
    that the recipe names."""
    name: str
    """Which part, for people: a label, "12 to 40 tokens", "Han", a file."""
    num_rows: int
    """How many rows are in it; of an entity type, how many entities; of a turn, how many turns."""
    metric: str
    greater_is_better: bool
    scores: dict[str, ScoreRange]
    """By who."""
    comparison: Compared | None
    """Corrected for all slices; None without a base."""


class Confusion(TypedDict):
    """True labels against predicted ones."""

    labels: list[str]
    """At most `MAX_LABELS`; the rarest of more are put together in the last one, "(other labels)"."""
    counts: dict[str, list[list[int]]]
    """By who: a line for each true label, a column for each predicted one."""
    most_confused: list[dict[str, Any]]
    """`label`, `predicted`, and the number of such rows by who, the last one's most frequent first."""


class CalibrationBin(TypedDict):
    """Predictions that a model was about equally sure of."""

    low: float
    high: float
    num_predictions: int
    confidence: float
    """Their mean probability."""
    share_right: float
    share_low: float | None
    """The interval of `share_right`."""
    share_high: float | None


class Calibration(TypedDict):
    """Whether a model is right as often as it says."""

    expected_calibration_error: float
    bins: list[CalibrationBin]
    """Without the empty ones; their points are the reliability curve."""


class ThresholdPoint(TypedDict):
    """What a classifier does when it says yes from this probability on."""

    threshold: float
    precision: float | None
    """None where it never says yes."""
    recall: float
    f1: float


class ThresholdCurve(TypedDict):
    """One label against all others."""

    label: str
    num_rows: int
    """Rows that have the label."""
    curves: dict[str, list[ThresholdPoint]]
    """By who."""


class Output(TypedDict):
    """What one model said about one row."""

    output: str | None
    """Its answer as text; None where the task only measures a loss."""
    score: float | None
    """Of this row alone, under the metric of the errors; None where the row has nothing to score."""
    loss: float | None
    """Mean loss of the row, in nats; None where the task has none."""


class ErrorRow(TypedDict):
    """A row worth reading."""

    row: int
    """Its index in the split, from 0."""
    where: str
    """Its place: file and line."""
    fields: dict[str, str]
    """What the model read: column to text; a long text is cut and ends in "…"."""
    expected: str | None
    outputs: dict[str, Output]
    """By who, base beside tuned."""


class Errors(TypedDict):
    """Rows worth reading, at most `evaluation.errors` of each kind."""

    metric: str
    """What says whether a row got better."""
    num_rows: int
    num_fixed: int
    """All rows that the tuned model does better, shown or not."""
    num_broken: int
    """All rows that it does worse."""
    worst: list[ErrorRow]
    """Where the last model's loss is highest."""
    fixed: list[ErrorRow]
    """What tuning improved most, first; empty without a base."""
    broken: list[ErrorRow]


class OtherSet(TypedDict):
    """A further data set of `evaluation.also`: did tuning make the model forget?"""

    name: str
    task: str
    source: str
    rows: dict[str, Any]
    metrics: dict[str, MetricMeaning]
    scores: dict[str, dict[str, float]]
    """By who, then by metric."""
    comparisons: list[Compared]
    """Corrected for all metrics of all further data sets."""
    verdict: MainVerdict | None


class HarnessScore(TypedDict):
    """One metric of one benchmark of lm-evaluation-harness."""

    task: str
    metric: str
    greater_is_better: bool
    num_rows: int
    scores: dict[str, ScoreRange]
    comparison: Compared | None
    """None for a metric that has no number for each row, and without a base."""


class Harness(TypedDict):
    """Benchmarks."""

    version: str
    """Of lm-evaluation-harness."""
    num_shots: int | None
    """Examples before each question; None: as each task says."""
    limit: int | None
    """Rows of each task at most."""
    scores: list[HarnessScore]


class CodeRuns(TypedDict):
    """How the programs that models wrote were run, and how they ended."""

    isolation: list[str]
    """What held them, in words."""
    time_limit_seconds: float
    memory_limit_mb: int
    num_samples: int
    """Programs written for each row."""
    outcomes: dict[str, dict[str, int]]
    """By who: how many programs passed, failed, ran out of time, ..."""


class Report(TypedDict):
    """An evaluation.

    Beside these keys stand the task's own tables, as its `explain` gives them (`per_class`, `per_kind`,
    `num_supervised_tokens`, ...), and at the end of a run `data`, `training`, `labels`,
    `leakage`, `mixing` and `checks` (`ftkit.checks.Check.as_dict`).
    """

    format: int
    task: str
    split: str
    """Name of the split, or of the file that was given."""
    rows: dict[str, Any]
    """`number`, `examples`, `rejected` (by rule), `fingerprint`."""
    metrics: dict[str, MetricMeaning]
    scores: dict[str, dict[str, float]]
    """By who, then by metric."""
    intervals: dict[str, dict[str, ScoreRange]]
    """The same with intervals, for the metrics that ftkit knows."""
    comparisons: list[Compared]
    """In the order of the metrics; empty without a base."""
    verdict: MainVerdict | None
    """None without a base or held-out rows."""
    warnings: list[str]
    """Sentences about what got worse: slices, other data sets."""
    notes: list[str]
    """Sentences that a reader of the scores must know."""
    slices: list[Slice]
    """The worst score of the last model first."""
    errors: Errors | None
    confusion: NotRequired[Confusion]
    """Of tasks with one label for each row."""
    calibration: NotRequired[dict[str, Calibration]]
    """By who; of tasks with probabilities."""
    thresholds: NotRequired[list[ThresholdCurve]]
    """Of classifiers, the most frequent labels first; of two labels the rarer one."""
    also: NotRequired[list[OtherSet]]
    harness: NotRequired[Harness]
    code: NotRequired[CodeRuns]
