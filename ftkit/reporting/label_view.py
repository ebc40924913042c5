"""How a classifier errs: what it takes for what, how sure it is, what other thresholds would do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ftkit.reporting.plots import COLOURS, draw

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

SIZE = (3.6, 2.4)
COLOUR_OF = {"base": "base", "tuned": "tuned", "model": "tuned"}
MOST_CURVES = 4


def view_labels(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return confusion, calibration and threshold curves; empty for a task without labels."""
    view = {
        "confusion": _view_confusion(report.get("confusion")),
        "pictures": [
            *_draw_calibration(report.get("calibration")),
            *_draw_thresholds(report.get("thresholds")),
        ],
    }
    return view if any(view.values()) else {}


def _view_confusion(confusion: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if not confusion:
        return []
    labels = confusion["labels"]
    return [
        {
            "who": who,
            "labels": labels,
            "lines": [
                {"label": labels[true], "cells": _colour_line(line, true)} for true, line in enumerate(counts)
            ],
        }
        for who, counts in reversed(confusion["counts"].items())
        if who != "majority"
    ]


def _colour_line(line: list[int], true: int) -> list[dict[str, Any]]:
    """Colour each cell by its share of the true label's rows."""
    total = sum(line) or 1
    return [
        {
            "number": number,
            "share": round(55 * number / total),
            "colour": "better" if place == true else "worse",
        }
        for place, number in enumerate(line)
    ]


def _draw_calibration(calibration: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    if not calibration:
        return []

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], "--", color=COLOURS["muted"], linewidth=0.8)
        for who, one in calibration.items():
            if who in COLOUR_OF:
                points = [(each["confidence"], each["share_right"]) for each in one["bins"]]
                axes.plot(
                    *zip(*points, strict=True),
                    "o-",
                    color=COLOURS[COLOUR_OF[who]],
                    linewidth=1.2,
                    markersize=4,
                )
                for each in one["bins"]:
                    if each["share_low"] is not None:
                        ends = [each["share_low"], each["share_high"]]
                        axes.plot(
                            [each["confidence"]] * 2, ends, color=COLOURS[COLOUR_OF[who]], linewidth=0.8
                        )
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("said probability")
        axes.set_ylabel("share right")

    errors = ", ".join(
        f"{who} {one['expected_calibration_error']:.3g}"
        for who, one in calibration.items()
        if who in COLOUR_OF
    )
    summary = (
        f"Expected calibration error: {errors} (0 is best). On the dashed line a model is right as often as "
        "it says."
    )
    return [{"title": "Is it right as often as it says?", "svg": draw(SIZE, paint)[0], "summary": summary}]


def _draw_thresholds(curves: list[Mapping[str, Any]] | None) -> list[dict[str, Any]]:
    return [
        {
            "title": f"{curve['label']}: from which probability on?",
            "svg": _draw_threshold(curve),
            "summary": f"F1 over the threshold; {curve['num_rows']:,} rows have it. {_name_best(curve)}",
        }
        for curve in (curves or [])[:MOST_CURVES]
    ]


def _draw_threshold(curve: Mapping[str, Any]) -> Markup:
    def paint(axes: Axes) -> None:
        for who, points in curve["curves"].items():
            if who in COLOUR_OF:
                colour = COLOURS[COLOUR_OF[who]]
                axes.plot(
                    [each["threshold"] for each in points], [each["f1"] for each in points], color=colour
                )
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("threshold")
        axes.set_ylabel("F1")

    return draw(SIZE, paint)[0]


def _name_best(curve: Mapping[str, Any]) -> str:
    who, points = list(curve["curves"].items())[-1]
    best = max(points, key=lambda point: point["f1"])
    return f"Of {who} the highest is {best['f1']:.3g}, at {best['threshold']:.2f} on these rows."
