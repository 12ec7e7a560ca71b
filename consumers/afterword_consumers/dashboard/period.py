"""The period that a page is about, as its URL says, and the one before it.

    period = read_period("14d", now)
    period.since, period.before, period.bucket

It ends now. It begins with a whole hour or day, so that the first bar of a chart is a whole one.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from afterword_consumers.api.errors import ApiError, ErrorCode
from afterword_consumers.dashboard.wording import days
from afterword_consumers.query import Bucket

DEFAULT: Final = "14d"
CHOICES: Final[Mapping[str, str]] = {"24h": "24 h", "7d": "7 d", "14d": "14 d", "90d": "90 d"}
"""What a URL may say, and what a page calls it."""

_LENGTHS: Final = {"24h": 24, "7d": 7, "14d": 14, "90d": 90}


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time that ends now.

    Attributes:
        name: As in the URL.
        since: Its beginning, in UTC.
        now: Its end.
        bucket: What a point of a chart stands for.
    """

    name: str
    since: datetime
    now: datetime
    bucket: Bucket

    @property
    def step(self) -> timedelta:
        """How long a bucket is."""
        return timedelta(hours=1) if self.bucket is Bucket.HOUR else timedelta(days=1)

    @property
    def count(self) -> int:
        """How many buckets it has, the unfinished last one included."""
        return _LENGTHS[self.name]

    @property
    def before(self) -> datetime:
        """The beginning of the period before, which has as many buckets."""
        return self.since - self.count * self.step

    @property
    def end(self) -> datetime:
        """The end of the bucket that is now, so that the period is as long as the one before."""
        return self.since + self.count * self.step

    @property
    def buckets(self) -> list[datetime]:
        """Where the buckets of both periods begin."""
        return [self.before + at * self.step for at in range(2 * self.count)]

    def buckets_of(self, bucket: Bucket) -> list[datetime]:
        """Return where the buckets of this period begin, of another size: a week on Monday."""
        found, at = [], _start(self.since, bucket)
        while at <= self.now:
            found.append(at)
            at = _next(at, bucket)
        return found

    @property
    def label(self) -> str:
        """Its days."""
        return days(self.since, self.now)

    @property
    def label_before(self) -> str:
        """The days of the period before."""
        return days(self.before, self.since - timedelta(seconds=1))


def read_period(name: str | None, now: datetime) -> Period:
    """Return the period of a name, `DEFAULT` for none.

    Raises:
        ApiError: 400 for another name.
    """
    name = name or DEFAULT
    if name not in CHOICES:
        raise ApiError(
            400,
            ErrorCode.INVALID_PARAMETER,
            f"There is no period {name[:64]!r}.",
            f"Choose {', '.join(CHOICES)}.",
        )
    hourly = name == "24h"
    whole = now.replace(minute=0, second=0, microsecond=0)
    step = timedelta(hours=1) if hourly else timedelta(days=1)
    start = whole if hourly else whole.replace(hour=0)
    since = start - (_LENGTHS[name] - 1) * step
    return Period(name, since, now, Bucket.HOUR if hourly else Bucket.DAY)


def _start(at: datetime, bucket: Bucket) -> datetime:
    match bucket:
        case Bucket.MINUTE:
            return at.replace(second=0, microsecond=0)
        case Bucket.HOUR:
            return at.replace(minute=0, second=0, microsecond=0)
    day = at.replace(hour=0, minute=0, second=0, microsecond=0)
    match bucket:
        case Bucket.WEEK:
            return day - timedelta(days=day.weekday())
        case Bucket.MONTH:
            return day.replace(day=1)
        case _:
            return day


def _next(at: datetime, bucket: Bucket) -> datetime:
    if bucket is Bucket.MONTH:
        return (at + timedelta(days=31)).replace(day=1)
    steps = {Bucket.MINUTE: 60, Bucket.HOUR: 3600, Bucket.DAY: 86_400, Bucket.WEEK: 604_800}
    return at + timedelta(seconds=steps[bucket])
