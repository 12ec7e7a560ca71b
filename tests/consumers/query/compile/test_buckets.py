"""Buckets of time: minutes to months in a named time zone, across changes of its clocks."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.consumers.query.conftest import NOW
from tests.examples import on_services

from afterword_consumers.query import Cell, Question, QuestionError, parse

Ask = Callable[..., list[dict[str, Cell]]]
Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]

_ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu"]
_changes = st.sampled_from(
    [
        datetime(2026, 3, 29, 1, tzinfo=UTC),
        datetime(2026, 10, 25, 1, tzinfo=UTC),
        datetime(2026, 3, 8, 7, tzinfo=UTC),
        datetime(2026, 11, 1, 6, tzinfo=UTC),
    ]
)
_moments = st.builds(
    lambda change, minutes: change + timedelta(minutes=minutes),
    _changes,
    st.integers(-3000, 3000),
)


def test_the_hour_that_comes_twice(store: Store, row: Row, ask: Ask) -> None:
    """When summer ends, both hours that are called two are buckets of their own, in order."""
    times = [datetime(2026, 10, 25, hour, 30, tzinfo=UTC) for hour in (0, 1, 2)]
    store([row(number, created_at=time) for number, time in enumerate(times)])
    found = ask("count", bucket="hour", timezone="Europe/Berlin")
    assert [(each["bucket"], each["n"]) for each in found] == [
        ("2026-10-25T02:00:00+02:00", 1),
        ("2026-10-25T02:00:00+01:00", 1),
        ("2026-10-25T03:00:00+01:00", 1),
    ]


def test_a_day_begins_at_midnight_of_its_zone(store: Store, row: Row, ask: Ask) -> None:
    """Ten in the evening of New Year's Eve in UTC is New Year in Tokyo."""
    store([row(1, created_at=datetime(2025, 12, 31, 22, tzinfo=UTC))])
    buckets = [
        ask("count", bucket=bucket, timezone="Asia/Tokyo")[0]["bucket"]
        for bucket in ("minute", "hour", "day", "week", "month")
    ]
    assert buckets == [
        "2026-01-01T07:00:00+09:00",
        "2026-01-01T07:00:00+09:00",
        "2026-01-01",
        "2025-12-29",
        "2026-01-01",
    ]


def test_weeks_and_months_may_begin_before_1970(store: Store, row: Row, ask: Ask) -> None:
    """1970 begins on a Thursday, and in New York five hours later."""
    store([row(1, created_at=datetime(1970, 1, 1, tzinfo=UTC))])
    buckets = [
        ask("count", bucket=bucket, timezone=zone)[0]["bucket"]
        for zone in ("UTC", "America/New_York")
        for bucket in ("week", "month")
    ]
    assert buckets == ["1969-12-29", "1970-01-01", "1969-12-29", "1969-12-01"]


@on_services
@given(
    moments=st.lists(_moments, min_size=1, max_size=20),
    zone=st.sampled_from(_ZONES),
    bucket=st.sampled_from(["minute", "hour", "day", "week", "month"]),
)
def test_buckets_are_pythons(
    *, store: Store, row: Row, ask: Ask, moments: list[datetime], zone: str, bucket: str
) -> None:
    """Around every change of the clocks, a bucket holds what Python's zoneinfo puts there."""
    store([row(number, created_at=moment) for number, moment in enumerate(moments)])
    found = ask("count", bucket=bucket, timezone=zone)
    expected = Counter(_bucket(moment.astimezone(ZoneInfo(zone)), bucket) for moment in moments)
    assert {each["bucket"]: each["n"] for each in found} == expected


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", date(2026, 10, 25)),
        # Changed by law in 2026: what Python knows of them is as old as its zones.
        ("America/Vancouver", date(2026, 11, 10)),
        ("America/Winnipeg", date(2026, 11, 10)),
        ("Africa/Casablanca", date(2026, 10, 1)),
        # At midnight an hour is skipped, or comes twice.
        ("Africa/Cairo", date(2026, 4, 24)),
        ("Asia/Beirut", date(2026, 3, 29)),
        ("America/Havana", date(2026, 11, 1)),
    ],
)
def test_a_period_of_a_day_is_its_bucket(
    *, store: Store, row: Row, ask: Ask, zone: str, day: date
) -> None:
    """Since a date and until the next one is all that a bucket of the day holds, and nothing else."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    store([row(n, created_at=noon + timedelta(minutes=20 * (n - 120))) for n in range(240)])
    (whole,) = (
        each
        for each in ask("count", bucket="day", timezone=zone)
        if each["bucket"] == day.isoformat()
    )
    period = {"since": day.isoformat(), "until": (day + timedelta(days=1)).isoformat()}
    assert ask("count", bucket="day", timezone=zone, **period) == [whole]
    filters = (f"created_at >= {period['since']}", f"created_at < {period['until']}")
    assert ask("count", bucket="day", timezone=zone, where=filters) == [whole]


def _bucket(local: datetime, bucket: str) -> str:
    match bucket:
        case "minute":
            return local.replace(second=0).isoformat()
        case "hour":
            return local.replace(minute=0, second=0).isoformat()
        case "day":
            return local.date().isoformat()
        case "week":
            return (local.date() - timedelta(days=local.weekday())).isoformat()
        case _:
            return local.date().replace(day=1).isoformat()


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, [1, 2, 3, 4]),
        ("7d", None, [3, 4]),
        ("168h", None, [3, 4]),
        ("2026-02-03", None, [3, 4]),
        ("2026-02-03T00:00:00.001Z", "2026-02-09", [3]),
        ("2026-02-03T01:00:00+01:00", "2026-02-09T00:00:00Z", [3]),
        (None, "2026-02-09", [1, 2, 3]),
        (None, "2026-02-03 00:00:00", [1, 2]),
    ],
)
def test_since_is_included_and_until_is_not(
    *, store: Store, row: Row, ask: Ask, since: str | None, until: str | None, expected: list[int]
) -> None:
    """The period begins with since and ends before until, counted from the now of the question."""
    days = {
        1: datetime(2026, 1, 1, tzinfo=UTC),
        2: datetime(2026, 2, 2, 23, 59, 59, 999000, tzinfo=UTC),
        3: datetime(2026, 2, 3, 0, 0, 0, 1000, tzinfo=UTC),
        4: datetime(2026, 2, 9, tzinfo=UTC),
    }
    store([row(day, value=day, created_at=time) for day, time in days.items()])
    found = ask("value", since=since, until=until, group_by=("value",))
    assert sorted(int(each["sum"] or 0) for each in found) == expected


def test_dates_are_meant_in_the_zone(store: Store, row: Row, ask: Ask) -> None:
    """`since` a date is that day's midnight in the question's zone."""
    store([row(1, created_at=datetime(2026, 2, 2, 23, 30, tzinfo=UTC))])
    assert ask("count", since="2026-02-03") == []
    assert ask("count", since="2026-02-03", timezone="Europe/Berlin") == [{"n": 1}]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"since": "yesterday"}, "Write a duration before now"),
        ({"since": "2026-02-30"}, "is not a moment in time"),
        ({"until": "1969-12-31"}, "before 1970"),
        ({"until": "2100-01-01"}, "after 2100"),
        ({"since": "999999w"}, "is not a moment in time"),
        ({"timezone": "Europe/Atlantis"}, "Write a name such as UTC"),
        ({"timezone": "../etc/passwd"}, "There is no time zone"),
        ({"timezone": "Europe"}, "There is no time zone"),
        *(
            ({"timezone": name}, "There is no time zone")
            for name in (
                "right/UTC",
                "posix/Europe/Berlin",
                "localtime",
                "leapseconds",
                "A/" * 300 + "A",
            )
        ),
        ({"bucket": "year"}, "Write minute, hour, day, week, month"),
        ({"top": 0}, "Write a number from 1"),
        ({"project": "a b"}, "1 to 64 letters"),
    ],
)
def test_impossible_periods_say_what_to_write(fields: dict[str, Any], message: str) -> None:
    """What is no time, zone or bucket is refused with what to write instead."""
    with pytest.raises(QuestionError, match=message):
        parse(Question("value", **fields), NOW)
