import json
import re
import xml.etree.ElementTree as ET

import pytest
from sample_runs import make_log

from ftkit.reporting.curves import read_course
from ftkit.reporting.plots import COLOURS, draw, draw_bars, draw_course, draw_interval


@pytest.fixture(scope="module")
def plots():
    return draw_course(read_course(make_log()))


def test_every_curve_becomes_a_small_well_formed_picture(plots):
    assert len(plots) == 6
    for plot in plots:
        assert ET.fromstring(plot.svg).tag == "svg"  # noqa: S314 - our own
        assert len(plot.svg) < 25_000
        assert plot.title.split()[0] in plot.summary


def test_pictures_take_their_colours_and_fonts_from_the_page(plots):
    for plot in plots:
        assert "var(--tuned)" in plot.svg
        assert not any(value in plot.svg for value in COLOURS.values())
        assert "font-family" not in plot.svg
        assert "<style" not in plot.svg
        assert not re.search(r"(fill|stroke): #", plot.svg)


def test_no_two_pictures_of_a_page_have_an_id_in_common(plots):
    ids = [name for plot in plots for name in set(re.findall(r'\bid="([^"]+)"', plot.svg))]
    assert len(ids) == len(set(ids))
    for plot in plots:
        own = set(re.findall(r'\bid="([^"]+)"', plot.svg))
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', plot.svg)) <= own


def test_the_pointer_finds_the_points_where_the_picture_has_them():
    svg, places = draw((2, 1), lambda axes: axes.plot([0, 10], [0, 5], "-"), [(0, 0), (10, 5)])
    line = re.findall(r'<path d="M ([\d.]+) ([\d.]+)\s+L ([\d.]+) ([\d.]+)\s*" clip', svg)[-1]
    drawn = [float(number) for number in line]
    assert [*places[0], *places[1]] == pytest.approx(drawn, abs=0.06)  # one decimal is kept


def test_points_say_their_step_and_value(plots):
    points = json.loads(plots[1].points)
    assert points[0][2] == "step 1: 0.000195"
    assert len(points) == 40


def test_text_in_a_picture_cannot_become_markup():
    svg, _ = draw((2, 1), lambda axes: axes.set_xlabel("<script>alert(1)</script> & 月"))
    assert "<script" not in svg
    assert "月" in svg
    ET.fromstring(svg)  # noqa: S314 - our own


def test_an_interval_is_green_red_or_grey_as_its_verdict():
    assert "var(--better)" in draw_interval(0.1, 0.3, 0.2, is_better=True, extent=0.4)
    assert "var(--worse)" in draw_interval(-0.3, -0.1, -0.2, is_better=False, extent=0.4)
    grey = draw_interval(None, None, 0.2, is_better=None, extent=0.4)
    assert "var(--better)" not in grey
    assert "var(--worse)" not in grey


def test_the_same_picture_is_drawn_the_same():
    assert draw_bars([1, 2], [0, 1, 2], unit="tokens") == draw_bars([1, 2], [0, 1, 2], unit="tokens")
