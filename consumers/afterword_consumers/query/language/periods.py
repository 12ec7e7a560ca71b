"""Read moments and time zones as people write them.

    clock = Clock(now, parse_zone("Europe/Berlin"))
    parse_moment("7d", clock)                       seven times 24 hours before now
    parse_moment("2026-01-31", clock)               the start of that day in Berlin
    parse_moment("2026-01-31T09:30:00Z", clock)

No clock of the machine is read: `now` is passed in.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from afterword_consumers.query.language.question import QuestionError

_DURATION: Final = re.compile(r"([0-9]{1,6})(s|m|h|d|w)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_DATE: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt ][0-9:.]+([Zz]|[+-][0-9]{2}:[0-9]{2})?)?"
)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAX_ZONE_CHARS: Final = 64
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The earliest moment that a question may name."""

_LAST: Final = datetime(2100, 1, 1, tzinfo=UTC)
_HOW: Final = "Write a duration before now (30m, 24h, 7d, 2w), a date (2026-01-31) or a time (2026-01-31T09:30:00Z)."


@dataclass(frozen=True, slots=True)
class Clock:
    """What the words for a time depend on.

    Attributes:
        now: An aware time that durations such as `7d` count from.
        zone: Where a day begins, and what a time without an offset is in.
    """

    now: datetime
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as read.

    Attributes:
        at: In UTC.
        day: The date, where the moment was written as the start of a day; else None.
        zone: The name of the zone in which that day begins.
    """

    at: datetime
    day: str | None
    zone: str


def parse_moment(text: str, clock: Clock) -> Moment:
    """Read a duration before now, a date, or a time.

    Raises:
        QuestionError: It is none of these, or lies before 1970 or after 2100.
    """
    written = text.strip()
    try:
        at = _read(written, clock).astimezone(UTC)
    except (ValueError, OverflowError):
        raise QuestionError(f"{text!r} is not a moment in time.", _HOW) from None
    if not FIRST <= at < _LAST:
        raise QuestionError(f"{text!r} lies before 1970 or after 2100.", _HOW)
    return Moment(at, written if _DAY.fullmatch(written) else None, str(clock.zone))


def parse_zone(name: str) -> tzinfo:
    """Return a time zone of the IANA database by name.

    Raises:
        QuestionError: There is none of that name.
    """
    if name == "UTC":
        return UTC
    if len(name) <= _MAX_ZONE_CHARS and _ZONE.fullmatch(name) and (zone := _load(name)):
        return zone
    raise QuestionError(
        f"There is no time zone {name[:_MAX_ZONE_CHARS]!r}.",
        "Write a name such as UTC, Europe/Berlin or Asia/Tokyo.",
    )


@lru_cache
def _load(name: str) -> tzinfo | None:
    """Return a zone of the package tzdata: a machine may have none, or old ones."""
    try:
        with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
            return ZoneInfo.from_file(file, key=name)
    except (ValueError, OSError):
        return None


def _read(text: str, clock: Clock) -> datetime:
    if duration := _DURATION.fullmatch(text):
        return clock.now - timedelta(seconds=int(duration[1]) * _SECONDS[duration[2]])
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text.upper())
    return moment if moment.tzinfo else moment.replace(tzinfo=clock.zone)
