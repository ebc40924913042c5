"""Curves and intervals as SVG that takes its colours from the page.

Drawn by matplotlib: text stays text, no font and no script is embedded, a curve takes some 10 kB, and it
is there in a notebook and on paper too. (Plotly's script alone takes 4 MB, Vega's and Bokeh's about 1 MB.)
"""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from markupsafe import Markup
    from matplotlib.axes import Axes

    from ftkit.reporting.curves import Course, Curve

COLOURS = {
    "ink": "#010101",
    "muted": "#020202",
    "line": "#030303",
    "tuned": "#040404",
    "base": "#050505",
    "better": "#060606",
    "worse": "#070707",
    **{f"line-{place}": f"#0808{place:02x}" for place in range(8)},
}
"""Variable of the stylesheet -> what stands for it while matplotlib draws."""

DPI = 72
"""Of matplotlib's SVG: a pixel is a point."""


@dataclass(frozen=True)
class Plot:
    """A picture and what it shows, for those who do not see it and for the pointer."""

    title: str
    svg: Markup
    summary: str
    """One sentence: what the picture shows."""

    points: str = "[]"
    """JSON: [x, y, text] for each point, in units of the picture's viewBox."""


def draw_course(course: Course) -> list[Plot]:
    """Draw every curve of a run, with evaluations and checkpoints marked."""
    return [_draw_curve(curve, course) for curve in (*course.curves, *course.scores)]


def draw_together(title: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> Plot:
    """Draw one line for each of several runs, at most eight, in colours of their own.

    Args:
        title: of the picture.
        lines: name of the run -> (step, value).
    """

    def paint(axes: Axes) -> None:
        for place, line in enumerate(lines.values()):
            axes.plot(*zip(*line, strict=True), color=COLOURS[f"line-{place}"], linewidth=1.4)
        axes.set_xlabel("step")

    shown = [point for line in lines.values() for point in line]
    names = [name for name, line in lines.items() for _ in line]
    svg, places = draw((4.6, 2.4), paint, shown)
    points = [
        [*place, f"{name}, step {step:g}: {value:.4g}"]
        for place, name, (step, value) in zip(places, names, shown, strict=True)
    ]
    ends = "; ".join(f"{name} ends at {line[-1][1]:.4g}" for name, line in lines.items())
    return Plot(title, svg, f"{title}: {ends}", json.dumps(points, ensure_ascii=False))


def draw_interval(
    low: float | None, high: float | None, difference: float, *, is_better: bool | None, extent: float
) -> Markup:
    """Draw a difference with its interval beside zero.

    Args:
        low: of the interval; None where there is none.
        high: of the interval; None where there is none.
        difference: between the models.
        is_better: what the interval says; None where it cannot tell.
        extent: how far the axis reaches to both sides of zero.
    """
    colour = COLOURS["muted" if is_better is None else "better" if is_better else "worse"]

    def paint(axes: Axes) -> None:
        axes.axvline(0, color=COLOURS["muted"], linewidth=0.8)
        if low is not None and high is not None:
            axes.plot([low, high], [0, 0], color=colour, linewidth=2.5, solid_capstyle="round")
        axes.plot([difference], [0], "o", color=colour, markersize=5)
        axes.set_xlim(-extent, extent)
        axes.set_ylim(-1, 1)
        axes.set_axis_off()

    return draw((2.1, 0.28), paint)[0]


def draw_bars(values: Sequence[float], edges: Sequence[float], *, unit: str) -> Markup:
    """Draw a histogram: a bar of height `values[i]` from `edges[i]` to `edges[i + 1]`."""

    def paint(axes: Axes) -> None:
        widths = [after - before for before, after in itertools.pairwise(edges)]
        axes.bar(edges[:-1], values, widths, align="edge", color=COLOURS["tuned"], linewidth=0, alpha=0.8)
        axes.set_xlabel(unit)

    return draw((4.6, 1.6), paint)[0]


def _draw_curve(curve: Curve, course: Course) -> Plot:
    shown = [*zip(curve.steps, curve.values, strict=True), *curve.evaluations]
    svg, places = draw((4.6, 2.1), lambda axes: _paint_curve(axes, curve, course), shown)
    points = [
        [*place, f"step {step:g}: {value:.4g}"] for place, (step, value) in zip(places, shown, strict=True)
    ]
    unit = f" {curve.unit}" if curve.unit else ""
    first, last = (f"{curve.values[place]:.4g}{unit} at step {curve.steps[place]:g}" for place in (0, -1))
    return Plot(curve.title, svg, f"{curve.title}: from {first} to {last}", json.dumps(points))


def _paint_curve(axes: Axes, curve: Curve, course: Course) -> None:
    for step in course.evaluations:
        axes.axvline(step, color=COLOURS["line"], linewidth=0.8)
    is_scattered = bool(curve.smoothed)
    style = "o-" if len(curve.steps) < 12 else "-"
    axes.plot(
        curve.steps,
        curve.values,
        style,
        color=COLOURS["tuned"],
        linewidth=0.8 if is_scattered else 1.4,
        markersize=3,
        alpha=0.35 if is_scattered else 1,
    )
    if is_scattered:
        axes.plot(curve.steps, curve.smoothed, color=COLOURS["tuned"], linewidth=1.6)
    if curve.evaluations:
        axes.plot(
            *zip(*curve.evaluations, strict=True), "o-", color=COLOURS["base"], linewidth=1, markersize=4
        )
    inside = [step for step in course.checkpoints if curve.steps[0] <= step]
    axes.plot(
        inside,
        [0.0] * len(inside),
        "^",
        color=COLOURS["muted"],
        markersize=5,
        transform=axes.get_xaxis_transform(),
        clip_on=False,
    )
    axes.set_xlabel("step")
    if curve.unit:
        axes.set_ylabel(curve.unit)


def draw(
    size: tuple[float, float],
    paint: Callable[[Axes], None],
    points: Sequence[tuple[float, float]] = (),
) -> tuple[Markup, list[list[float]]]:
    """Draw one picture.

    Args:
        size: width and height, in inches of 72 points.
        paint: draws into the axes.
        points: data whose places in the picture are wanted.

    Returns:
        An `<svg>` element whose ids no other picture has, and x and y of each point in its viewBox.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with _style(), warnings.catch_warnings():
        # Only to measure: the browser has the fonts that matplotlib lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.subplots()
        axes.patch.set_alpha(0)
        paint(axes)
        written = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        FigureCanvasSVG(figure).print_svg(written, metadata=nothing)
    height = size[1] * DPI  # SVG counts from the top
    places = axes.transData.transform(points).tolist() if points else []  # known once it is drawn
    return _adopt(written.getvalue()), [[round(x, 1), round(height - y, 1)] for x, y in places]


def _style() -> AbstractContextManager[None]:
    import matplotlib

    ink, muted, line = (COLOURS[name] for name in ("ink", "muted", "line"))
    return matplotlib.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "ftkit",
            "font.size": 8,
            "text.color": ink,
            "axes.labelcolor": muted,
            "axes.edgecolor": line,
            "axes.axisbelow": True,
            "axes.grid": True,
            "axes.grid.axis": "y",
            "axes.formatter.limits": (-4, 5),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.spines.left": False,
            "grid.color": line,
            "grid.linewidth": 0.6,
            "xtick.color": muted,
            "ytick.color": muted,
            "xtick.major.size": 2,
            "ytick.major.size": 0,
        }
    )


def _adopt(svg: str) -> Markup:
    """Make a drawing a part of a page: its colours and fonts are the page's, its ids its own.

    It is safe to show as it is: matplotlib escapes the texts in it.
    """
    from markupsafe import Markup

    prefix = f"p{hashlib.sha256(svg.encode()).hexdigest()[:8]}-"
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="|href="#|url\(#', lambda match: match[0] + prefix, svg)
    svg = re.sub(r' (width|height|version|xmlns)="[^"]*"', "", svg, count=4)
    svg = svg.replace("<svg", '<svg aria-hidden="true" focusable="false"', 1)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    for name, value in COLOURS.items():
        svg = svg.replace(value, f"var(--{name})")
    return Markup(re.sub(r"\s*\n\s*", "\n", svg).strip())
