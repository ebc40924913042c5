"""The verdict and the scores of a report, ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ftkit.reporting.formats import format_change, format_count, format_interval, format_number
from ftkit.reporting.plots import draw_interval

WORDS = {
    "better": ("Better than the base", "▲", "better"),
    "worse": ("Worse than the base", "▼", "worse"),
    "no change": ("No change", "＝", ""),
    "cannot tell": ("Cannot tell", "？", ""),
}


def summarise_verdict(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the verdict in a word, its sentence, and the sentences of the other metrics."""
    comparisons = report["comparisons"]
    if not comparisons:
        scored = [who for who in report["scores"] if who != "majority"]
        sentence = (
            "The base was not scored on these rows: nothing to compare with."
            if scored
            else "There were no held-out rows to score."
        )
        return {"word": "No comparison", "sign": "–", "class": "", "sentence": sentence, "others": []}
    main = report.get("verdict") or comparisons[0]
    word, sign, kind = WORDS[main["verdict"]]
    others = [one["sentence"] for one in comparisons if one["metric"] != main["metric"]]
    sentence = main["sentence"].removeprefix(f"{main['verdict']}: ")  # the word stands above it
    return {"word": word, "sign": sign, "class": kind, "sentence": sentence, "others": others}


def summarise_scores(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of scores: a line a metric, a cell a model, and the change with its interval."""
    compared = {one["metric"]: one for one in report["comparisons"]}
    who = list(report["scores"])
    lines = [
        {
            "name": name,
            "meaning": info.get("meaning", ""),
            "direction": {True: "more is better", False: "less is better"}.get(info["greater_is_better"], ""),
            "cells": [_make_cell(report, model, name) for model in who],
            **describe_change(compared.get(name)),
        }
        for name, info in report["metrics"].items()
    ]
    rows = report["rows"]["number"]
    confidence = next((one["confidence"] for one in report["comparisons"]), None)
    about = f", {100 * confidence:g} % intervals" if confidence else ""
    return {
        "who": who,
        "lines": lines if who else [],
        "compares": bool(compared),
        "where": f"{report['task']} on {report['split']}: {format_count(rows)} rows{about}.",
    }


def describe_change(one: Mapping[str, Any] | None) -> dict[str, Any]:
    """Describe one comparison in a table's cells; empty ones where there is none."""
    if one is None:
        return {"change": "–", "interval": "", "strip": "", "verdict": "", "class": "", "test": ""}
    verdict = one["verdict"]
    reach = [abs(value) for value in (one["low"], one["high"], one["difference"]) if value is not None]
    return {
        "change": format_change(one["difference"]),
        "difference": one["difference"],
        "interval": format_interval(one["low"], one["high"], signed=True),
        "strip": draw_interval(
            one["low"],
            one["high"],
            one["difference"],
            is_better={"better": True, "worse": False}.get(verdict),
            extent=1.1 * max(reach) or 1.0,
        ),
        "verdict": verdict,
        "class": {"better": "better", "worse": "worse"}.get(verdict, ""),
        "test": f"{one['test']}, p = {one['corrected_p_value']:.2g}",
    }


def _make_cell(report: Mapping[str, Any], who: str, metric: str) -> dict[str, str]:
    found = report.get("intervals", {}).get(who, {}).get(metric, {})
    return {
        "score": format_number(report["scores"][who].get(metric)),
        "interval": format_interval(found.get("low"), found.get("high")),
    }
