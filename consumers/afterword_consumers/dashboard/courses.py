"""From the rows of an answer by time and group to a course for each group: a point for each bucket.

courses = read_courses(rows, period.buckets, period.bucket, "up_percent")
courses["aurora-2"][3]      # Point(58.3, 56.7, 60.0, 3373), or None where there was nothing
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from afterword_consumers.dashboard.figures import Point
from afterword_consumers.query import Bucket
from afterword_consumers.query.statistics.intervals import Share, share_interval

OTHER: Final = "other"
NONE: Final = "none"
"""What feedback without the path of a group is called."""

Course = list[Point | None]


def read_courses(
    rows: Sequence[Mapping[str, Any]], buckets: Sequence[datetime], bucket: Bucket, value: str
) -> dict[str, Course]:
    """Return a course for each group, the one with the most observations first.

    Args:
        rows: With `bucket`, `n`, the value and its ends, and `group_1` where they are grouped.
        buckets: When each point's time begins.
        bucket: How long it is.
        value: The column that is drawn; its ends are called the same with `_low` and `_high`.
    """
    places = places_of(buckets, bucket)
    found: dict[str, Course] = {}
    for row in rows:
        index = places.get(str(row["bucket"]))
        if index is None or row[value] is None:
            continue
        course = found.setdefault(name_of(row), [None] * len(buckets))
        low, high = row.get(f"{value}_low"), row.get(f"{value}_high")
        course[index] = Point(float(row[value]), low, high, int(row["n"]))
    last = {OTHER: 1}
    return dict(sorted(found.items(), key=lambda each: (last.get(each[0], 0), -_count(each[1]))))


def places_of(buckets: Sequence[datetime], bucket: Bucket) -> dict[str, int]:
    """Return the index of each bucket, by the name that an answer has for it."""
    return {bucket_name(at, bucket): index for index, at in enumerate(buckets)}


def bucket_name(at: datetime, bucket: Bucket) -> str:
    """Return how an answer writes the beginning of a bucket."""
    if bucket in {Bucket.HOUR, Bucket.MINUTE}:
        return at.isoformat()
    return at.date().isoformat()


def name_of(row: Mapping[str, Any], column: str = "group_1") -> str:
    """Return what a row's group is called."""
    if row.get("other_groups"):
        return OTHER
    name = row.get(column)
    return NONE if name is None else str(name)


def point_of(share: Share) -> Point | None:
    """Return a share in percent with its interval; None of nothing."""
    interval = share_interval(share)
    if interval is None:
        return None
    return Point(100 * share.part / share.n, *interval, share.n)


def _count(course: Course) -> int:
    return sum(point.n for point in course if point is not None)
