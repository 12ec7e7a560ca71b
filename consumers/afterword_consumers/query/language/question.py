"""What can be asked: one measure, over which feedback, in which groups and buckets of time.

    Question("feedback.score", project="acme", group_by=("metadata.model",),
             where=("source = explicit",), since="7d", bucket="day", timezone="Europe/Berlin")

A question that was made can be asked: everything that users write in it was read once.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Final

from afterword_consumers.query.compile.comparing import Comparison, parse_comparison
from afterword_consumers.query.language.errors import QuestionError
from afterword_consumers.query.language.fields import Field, Type, resolve
from afterword_consumers.query.language.filters import parse_filter
from afterword_consumers.query.language.periods import parse_moment, parse_zone
from afterword_schemas.patterns import is_project

WEIGHTED: Final = "weighted"
"""The measure that is the average of `value` by `weight`, and the count of each pair of the two."""

COUNT: Final = "count"
"""The measure that is the number of feedback events."""

MAX_GROUPS: Final = 2
MAX_FILTERS: Final = 50
"""ClickHouse takes seconds to plan a thousand conditions, and minds no limit of time meanwhile."""

USUAL_TOP: Final = 20
MAX_TOP: Final = 10_000


class Bucket(StrEnum):
    """A stretch of time; a week begins on Monday.

    Where clocks change by half an hour (Lord Howe Island does), the hours of that day begin on the
    half hour afterwards: ClickHouse counts them on from the change.
    """

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Question:
    """What an analyst asks.

    Attributes:
        measure: A path (`feedback.score`), a column (`value`), a path with `*` for every position
            of an array (`feedback.edits.*.value`), `thumbs`, `weighted` or `count`.
        project: The tenant; None asks over all.
        group_by: Up to two paths or columns.
        where: Filters that must all hold, in the grammar of `filters`.
        since: The earliest `created_at`: a duration before now, a date or a time.
        until: The end of `created_at`, itself excluded; likewise.
        bucket: Which stretch of `created_at` makes a row of its own.
        timezone: Where days, weeks and months begin, and dates without an offset are meant.
        top: How many groups, and how many values of a text, are shown; the rest is "other".
        compare: `PATH = A, B`: how the measure of B differs from that of A, by what PATH is.
        approximate: Take percentiles from a sketch, in half the time and little memory: within 0.8 % of
            the value at their rank, of numbers between 1e-38 and 3e38 in size.
    """

    measure: str
    project: str | None = None
    group_by: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None
    bucket: Bucket | str | None = None
    timezone: str = "UTC"
    top: int = USUAL_TOP
    approximate: bool = False
    compare: str | None = None

    def __post_init__(self) -> None:
        _check_measure(self.measure)
        check_project(self.project)
        _check_groups(self.group_by)
        _check_bucket(self.bucket)
        if not 1 <= self.top <= MAX_TOP:
            raise QuestionError(f"top is {self.top}.", f"Write a number from 1 to {MAX_TOP}.")
        if len(self.where) > MAX_FILTERS:
            raise QuestionError(
                f"{len(self.where)} filters; a question has up to {MAX_FILTERS}.",
                "Write in (…) for several values of one path.",
            )
        for text in self.where:
            parse_filter(text)
        if self.compare is not None and self.measure == COUNT:
            raise QuestionError(
                "A count has no rate or mean to compare.", "Group by the path instead."
            )
        _ = self.comparison
        parse_zone(self.timezone)
        self.period(datetime(2026, 1, 1, tzinfo=UTC))

    @property
    def zone(self) -> tzinfo:
        """The time zone."""
        return parse_zone(self.timezone)

    @property
    def groups(self) -> tuple[Field, ...]:
        """What `group_by` names."""
        return tuple(resolve(name) for name in self.group_by)

    @property
    def comparison(self) -> Comparison | None:
        """What `compare` names."""
        return None if self.compare is None else parse_comparison(self.compare)

    def period(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """Return `since` and `until` in UTC, None where open."""
        since, until = (
            None if text is None else parse_moment(text, now=now, zone=self.zone)
            for text in (self.since, self.until)
        )
        return since, until


def _check_measure(measure: str) -> None:
    if measure in {WEIGHTED, COUNT}:
        return
    field = resolve(measure)
    if field.types == (Type.TIME,):
        raise QuestionError(
            f"{measure} is a time, which has no statistics.",
            "Ask for count, with a bucket for its course over time.",
        )


def check_project(project: str | None) -> None:
    """Raise `QuestionError` for what is no project; None is all of them."""
    good = project is None or is_project(project)
    if not good:
        raise QuestionError(
            "A project is 1 to 64 letters, digits and . _ -.", "Leave it out to ask over all."
        )


def _check_groups(names: tuple[str, ...]) -> None:
    if len(names) > MAX_GROUPS:
        raise QuestionError(
            f"{len(names)} groups; a question has up to {MAX_GROUPS}.", "Make the others filters."
        )
    fields = [resolve(name) for name in names]
    for field in fields:
        if field.is_wildcard:
            raise QuestionError(
                f"The group {field.name!r} has a wildcard, which only a measure may have.",
                "Name one position, such as feedback.edits.0.value.",
            )
        if field.types == (Type.TIME,):
            raise QuestionError(f"{field.name} is a time.", "Ask for a bucket: minute to month.")
    if len({field.column or field.name for field in fields}) < len(fields):
        raise QuestionError("Both groups are the same.", "Name one of them.")


def _check_bucket(bucket: str | None) -> None:
    if bucket is not None and bucket not in set(Bucket):
        raise QuestionError(f"There is no bucket {bucket!r}.", f"Write {', '.join(Bucket)}.")
