"""What can be asked: one measure, over which feedback, in which groups and buckets of time.

    Question("feedback.score", project="acme", group_by=("metadata.model",),
             where=("source = explicit",), since="7d", bucket="day", timezone="Europe/Berlin")

A question is text, as somebody wrote it. `parse` reads it, or says what is wrong with it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from afterword_schemas.errors import ConfigurationError

WEIGHTED: Final = "weighted"
"""The measure that is the average of `value` by `weight`, and the count of each pair of the two."""

COUNT: Final = "count"
"""The measure that is the number of feedback events."""

BEFORE: Final = "before"
"""The comparison of the period with the one just before it, which is as long."""

MAX_GROUPS: Final = 2
MAX_FILTERS: Final = 50
"""ClickHouse takes seconds to plan a thousand conditions, and minds no limit of time meanwhile."""

DEFAULT_TOP: Final = 20
MAX_TOP: Final = 10_000


class QuestionError(ConfigurationError):
    """A question names or compares something that cannot be; `next_step` says what to write."""


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
        until: The end of `created_at`, itself excluded; written like `since`.
        bucket: Which stretch of `created_at` makes a row of its own.
        timezone: Where days, weeks and months begin, and dates without an offset are meant.
        top: How many groups, and how many values of a text, are shown; the rest is "other".
        compare: `PATH = A, B`: how the measure of B differs from that of A, by what PATH is; or `before`: how
            the period from `since` differs from the one just before it, which is as long.
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
    top: int = DEFAULT_TOP
    approximate: bool = False
    compare: str | None = None
