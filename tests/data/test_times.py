"""Times as people write them."""

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftkit.data.times import parse_time, show_time

MOMENTS = st.datetimes(datetime(1950, 1, 1), datetime(2090, 12, 31), timezones=st.just(timezone.utc))  # noqa: DTZ001


def count_microseconds(moment):
    return round((moment - datetime(1970, 1, 1, tzinfo=timezone.utc)).total_seconds() * 10**6)


@given(MOMENTS)
def test_iso_times_are_those_of_python(moment):
    expected = count_microseconds(moment)
    assert parse_time(moment.isoformat()) == expected
    assert parse_time(moment.strftime("%Y-%m-%d %H:%M:%S.%fZ")) == expected


@given(MOMENTS)
def test_dates_alone_are_midnight_of_that_day(moment):
    midnight = count_microseconds(moment.replace(hour=0, minute=0, second=0, microsecond=0))
    for text in (f"{moment:%Y-%m-%d}", f"{moment:%Y/%m/%d}", f"{moment:%Y%m%d}", f"{moment:%Y年%m月%d日}"):
        assert parse_time(text) == midnight
    assert parse_time(int(f"{moment:%Y%m%d}")) == midnight


@given(st.datetimes(datetime(2002, 1, 1), datetime(2090, 1, 1), timezones=st.just(timezone.utc)))  # noqa: DTZ001
def test_the_unit_of_a_number_follows_from_its_size(moment):
    seconds = count_microseconds(moment) // 10**6
    for factor in (1, 10**3, 10**6, 10**9):
        assert parse_time(seconds * factor) == seconds * 10**6
        assert parse_time(str(seconds * factor)) == seconds * 10**6


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-01-31T12:00:00+08:00", "2024-01-31 04:00:00 UTC"),
        ("2024-01-31T12:00:00-0530", "2024-01-31 17:30:00 UTC"),
        ("2024-01-31 12:00", "2024-01-31 12:00:00 UTC"),
        ("2024年1月31日 8时5分", "2024-01-31 08:05:00 UTC"),
        ("2024年5月", "2024-05-01"),
        ("2024-05", "2024-05-01"),
        ("2024", "2024-01-01"),
        (2024, "2024-01-01"),
        ("Thu, 22 Aug 2002 18:26:25 +0700", "2002-08-22 11:26:25 UTC"),
        ("22 Aug 2002 18:26:25 -0000", "2002-08-22 18:26:25 UTC"),
        (1706659200.5, "2024-01-31 00:00:00 UTC"),
    ],
)
def test_a_time_is_shown_in_utc(text, utc):
    assert show_time(parse_time(text)) == utc


@pytest.mark.parametrize(
    "value",
    ["01/02/2024", "yesterday", "", "2024-02-30", "2024-13-01", "25:00", True, None, [], 1e30, "1e9", "12"],
)
def test_what_could_be_two_times_or_none_is_refused(value):
    assert parse_time(value) is None
