"""The story of `ftkit compare`: many runs side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ftkit.errors import RunError
from ftkit.evaluation.comparison import Comparison, correct_comparisons, list_comparison
from ftkit.evaluation.saved_predictions import compare_saved
from ftkit.inference import Run
from ftkit.reporting.comparison import RunComparison, list_costs, list_differences, list_scores
from ftkit.runs import SavedRun, read_json_lines, read_saved_run


def compare_runs(*runs: str | os.PathLike[str] | Run, any_rows: bool = False) -> RunComparison:
    """Put finished runs side by side: settings that differ, scores, cost, and who is better.

    Each run is compared with the first one on the same rows, with paired intervals and tests that are
    corrected for all that is compared.

    Args:
        runs: two or more runs or their folders.
        any_rows: compare runs that were scored on different rows too; figures alone, without intervals
            between runs.

    Raises:
        RunError: fewer than two runs, an unfinished or damaged one, or runs with other held-out rows.
    """
    saved = [read_saved_run(run.folder.path if isinstance(run, Run) else run) for run in runs]
    check_comparable(saved, any_rows=any_rows)
    compared = [] if len(group_by_rows(saved)) > 1 else compare_with_first(saved)
    return RunComparison(
        names=name_runs(saved),
        tasks=tuple(run.report["task"] for run in saved),
        rows=tuple(run.report["rows"]["number"] for run in saved),
        differences=list_differences([run.settings for run in saved]),
        metrics={name: info for run in saved for name, info in run.report["metrics"].items()},
        scores=[list_scores(run.report) for run in saved],
        costs=[list_costs(run.report) for run in saved],
        compared=compared,
        logs=[run.log for run in saved],
        same_rows=len(group_by_rows(saved)) == 1,
    )


def check_comparable(runs: Sequence[SavedRun], *, any_rows: bool) -> None:
    """Refuse what cannot stand side by side.

    Raises:
        RunError: see `compare_runs`.
    """
    if len({run.folder.path.resolve() for run in runs}) < 2:
        raise RunError(
            f"compare: needs two runs or more; found {len(runs)}; name the folders of finished runs"
        )
    groups = group_by_rows(runs)
    if len(groups) > 1 and not any_rows:
        shown = "; ".join(f"{', '.join(names)} on {what}" for what, names in groups.items())
        raise RunError(
            f"compare: the runs were scored on different rows: {shown}. Score them on the same rows, or add "
            "--any-rows (any_rows=True in a notebook) to see their figures side by side all the same"
        )


def group_by_rows(runs: Sequence[SavedRun]) -> dict[str, list[str]]:
    """Group runs by task and held-out rows; what describes the rows -> names of runs."""
    groups: dict[str, list[str]] = {}
    for run, name in zip(runs, name_runs(runs), strict=True):
        report = run.report
        mark = str(report["rows"].get("fingerprint", "nothing"))[:12]
        what = f"{report['task']}, {report['rows']['number']:,} rows ({report['split']}, {mark})"
        groups.setdefault(what, []).append(name)
    return groups


def name_runs(runs: Sequence[SavedRun]) -> tuple[str, ...]:
    """Name runs by their folders; by their paths where two folders have the same name."""
    names = tuple(run.name for run in runs)
    return names if len(set(names)) == len(names) else tuple(str(run.folder.path) for run in runs)


def compare_with_first(runs: Sequence[SavedRun]) -> list[dict[str, object]]:
    """Compare every run with the first one under each metric that their predictions give."""
    predictions = [read_json_lines(run.folder.evaluation / "predictions.jsonl") for run in runs]
    found: list[tuple[int, Comparison]] = []
    for place in range(1, len(runs)):
        for metric in runs[0].report["metrics"]:
            pair = (predictions[0], predictions[place])
            comparison = compare_saved(runs[0], runs[place], metric, pair)
            if comparison is not None:
                found.append((place, comparison))
    corrected = correct_comparisons([comparison for _, comparison in found])
    names = name_runs(runs)
    return [
        {"run": names[place], "first": names[0], **list_comparison(comparison)}
        for (place, _), comparison in zip(found, corrected, strict=True)
    ]
