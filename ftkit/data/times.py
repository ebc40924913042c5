"""Points in time as rows write them: ISO 8601, 2024年1月31日, the dates of mails, seconds since 1970."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

ACCEPTED = "2024-01-31, 2024-01-31T12:00:00Z, 2024年1月31日, or seconds since 1970"
"""What a message tells people to write."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LATEST_SECOND = 10**11  # about the year 5138; a larger number counts smaller units

_DATE = re.compile(
    r"(\d{4})(?:[-/.年](\d{1,2})(?:[-/.月](\d{1,2})日?|月)?|(\d{2})(\d{2}))?"
    r"(?:[T\s]+(\d{1,2})[:时](\d{1,2})(?:[:分](\d{1,2})(?:[.,](\d{1,9}))?秒?|分)?"
    r"\s*(Z|UTC|GMT|[+-]\d{2}:?\d{2})?)?",
    re.IGNORECASE,
)
_MAIL_DATE = re.compile(r"(?:[a-z]{3},\s*)?\d{1,2}\s+[a-z]{3}\s+\d{4}\s+\d", re.IGNORECASE)


def parse_time(value: Any) -> int | None:
    """Read a point in time.

    A time without a zone is taken as UTC; a year or a month alone is its first moment.

    Args:
        value: a text, or a number: seconds, milliseconds, microseconds or nanoseconds since 1970, by its
            size; 20240131 and 2024 are dates.

    Returns:
        Microseconds since 1970; None for what is no time.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _read_number(value)
    try:
        return _read_text(value.strip()) if isinstance(value, str) else None
    except ValueError:  # the 30th of February
        return None


def show_time(microseconds: int) -> str:
    """Write a point in time for people, in UTC; the day alone where it is midnight."""
    moment = _EPOCH + timedelta(microseconds=microseconds)
    return f"{moment:%Y-%m-%d}" if moment.time() == _EPOCH.time() else f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _read_text(text: str) -> int | None:
    """Read a date, a mail's date, or a number written as text; raises ValueError for an impossible date."""
    if match := _DATE.fullmatch(text):
        return _to_microseconds(_read_date(match))
    if _MAIL_DATE.match(text):
        return _to_microseconds(parsedate_to_datetime(text))
    return _read_number(float(text)) if re.fullmatch(r"-?\d{9,}(\.\d+)?", text) else None


def _read_number(number: float) -> int | None:
    if number == int(number) and (1900 <= number <= 2100 or 19000101 <= number <= 21001231):
        return parse_time(str(int(number)))
    for microseconds_per_unit in (10**6, 10**3, 1):
        if abs(number) < _LATEST_SECOND * 10**6 // microseconds_per_unit:
            return int(number * microseconds_per_unit)
    nanoseconds = int(number) // 1000
    return nanoseconds if abs(nanoseconds) < _LATEST_SECOND * 10**6 else None


def _read_date(match: re.Match[str]) -> datetime:
    """Make a moment of a match of `_DATE`; raises ValueError for one that no calendar has."""
    year, month, day, month_2, day_2, hour, minute, second, fraction, zone = match.groups()
    microsecond = int((fraction or "")[:6].ljust(6, "0"))
    moment = datetime(
        *(int(year), int(month or month_2 or 1), int(day or day_2 or 1)),
        *(int(hour or 0), int(minute or 0), int(second or 0), microsecond),
        tzinfo=timezone.utc,
    )
    if not zone or zone[0] not in "+-":
        return moment
    ahead = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
    return moment - ahead if zone[0] == "+" else moment + ahead


def _to_microseconds(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return (aware - _EPOCH) // timedelta(microseconds=1)
