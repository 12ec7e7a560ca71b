"""Read moments and time zones as people write them.

    parse_moment("7d", now=now, zone=UTC)                  seven times 24 hours before now
    parse_moment("2026-01-31", now=now, zone=berlin)       the start of that day in Berlin
    parse_moment("2026-01-31T09:30:00Z", now=now, zone=UTC)

The clock is never read: `now` is passed in.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from afterword_consumers.query.language.errors import QuestionError

_DURATION: Final = re.compile(r"([0-9]{1,6})(s|m|h|d|w)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DATE: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9:.]+([Zz]|[+-][0-9]{2}:[0-9]{2})?)?"
)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONGEST_ZONE: Final = 64
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2100, 1, 1, tzinfo=UTC)
_HOW: Final = "Write a duration before now (30m, 24h, 7d, 2w), a date (2026-01-31) or a time (2026-01-31T09:30:00Z)."


def parse_moment(text: str, *, now: datetime, zone: tzinfo) -> datetime:
    """Return the moment in UTC.

    Args:
        text: A duration before `now`, a date, or a time; without an offset it is in `zone`.
        now: An aware time.
        zone: Where a day begins.

    Raises:
        QuestionError: It is none of these, or lies before 1970 or after 2100.
    """
    try:
        moment = _read(text.strip(), now, zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise QuestionError(f"{text!r} is not a moment in time.", _HOW) from None
    if not _FIRST <= moment < _LAST:
        raise QuestionError(f"{text!r} lies before 1970 or after 2100.", _HOW)
    return moment


def parse_zone(name: str) -> tzinfo:
    """Return a time zone of the IANA database by name.

    Raises:
        QuestionError: There is none of that name.
    """
    if name == "UTC":
        return UTC
    if len(name) <= _LONGEST_ZONE and _ZONE.fullmatch(name) and (zone := _load(name)):
        return zone
    raise QuestionError(
        f"There is no time zone {name[:_LONGEST_ZONE]!r}.",
        "Write a name such as UTC, Europe/Berlin or Asia/Tokyo.",
    )


def date_in(text: str) -> str | None:
    """Return the date where a moment is written as the start of a day; else None."""
    return text.strip() if _DAY.fullmatch(text.strip()) else None


def to_clickhouse(moment: datetime) -> str:
    """Write a moment as ClickHouse reads it, in UTC, cut off to milliseconds.

    >>> to_clickhouse(datetime(2026, 1, 31, 9, 30, 0, 125999, tzinfo=UTC))
    '2026-01-31 09:30:00.125'
    """
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "milliseconds")


def rfc3339_sql(column: str) -> str:
    """Return the expression that writes a column of times in RFC 3339, in UTC."""
    return f"concat(replaceOne(toString({column}), ' ', 'T'), 'Z')"


@lru_cache
def _load(name: str) -> tzinfo | None:
    """Return a zone of the package tzdata: a machine may have none, or old ones."""
    try:
        with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
            return ZoneInfo.from_file(file, key=name)
    except (ValueError, OSError):
        return None


def _read(text: str, now: datetime, zone: tzinfo) -> datetime:
    if duration := _DURATION.fullmatch(text):
        return now - timedelta(seconds=int(duration[1]) * _SECONDS[duration[2]])
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text.upper())
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)
