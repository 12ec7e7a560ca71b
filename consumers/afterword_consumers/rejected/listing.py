"""Rejected messages for whoever may read one project: page by page, and counted.

    find_rejected(database, project="acme", code="unknown_field", limit=50)
    count_rejected(database, project="acme", since=now - timedelta(days=1))

A message is of the project that it names; what names none can be seen by the operator alone. `rejected`
replays them.
"""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from afterword_consumers.query import Bucket, Budget, Cell, Database
from afterword_consumers.query.compile.parameters import Parameters, of_project
from afterword_consumers.query.database import whole


@dataclass(frozen=True, slots=True)
class RejectedPlace:
    """A place in the order of rejected messages; the next page begins behind it."""

    rejected_ms: int
    topic_id: str
    partition: int
    offset: int

    def __str__(self) -> str:
        """Return `partition:offset`: the name to show or replay it by."""
        return f"{self.partition}:{self.offset}"


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A rejected message.

    Attributes:
        place: When it was rejected, in milliseconds since 1970, and where it stood.
        published_ms: When it was published at first, likewise. Its copy keeps that time, or old
            feedback would overrule newer.
        replayed_ms: When it was published again; None if it was not.
        project: The one that it names, or empty.
        feedback_id: Likewise; None.
        payload: The bytes as they came; None where not asked for.
    """

    place: RejectedPlace
    topic: str
    published_ms: int
    replayed_ms: int | None
    code: str
    path: str
    detail: str
    project: str
    feedback_id: str | None
    payload: bytes | None = None


REJECTED_COLUMNS: Final = """\
toUnixTimestamp64Milli(rejected_at) AS rejected_ms, topic_id, kafka_partition, kafka_offset,
    kafka_topic, toUnixTimestamp64Milli(published_at), toUnixTimestamp64Milli(replayed_at),
    code, path, detail, project, toString(feedback_id)"""
"""What `read_rejected_row` takes of a row of `feedback_rejected`, in this order."""


def read_rejected_row(row: Sequence[Cell]) -> RejectedRow:
    """Return the rejected message of a row; its payload is not read."""
    rejected_ms, topic_id, partition, offset, topic, published_ms, replayed_ms = row[:7]
    code, path, detail, project, feedback_id = row[7:]
    return RejectedRow(
        place=RejectedPlace(whole(rejected_ms), str(topic_id), whole(partition), whole(offset)),
        topic=str(topic),
        published_ms=whole(published_ms),
        replayed_ms=whole(replayed_ms) or None,
        code=str(code),
        path=str(path),
        detail=str(detail),
        project=str(project),
        feedback_id=None if feedback_id is None else str(feedback_id),
    )


def find_rejected(
    database: Database,
    *,
    project: str | None = None,
    code: str | None = None,
    limit: int,
    after: RejectedPlace | None = None,
    with_payload: bool = False,
    budget: Budget | None = None,
) -> list[RejectedRow]:
    """Return rejected messages, the newest first.

    Args:
        database: Where to look.
        project: The tenant; None looks at all, also at messages of no project.
        code: A `RejectCode`.
        limit: How many at most; with payloads each may be a megabyte and more.
        after: Where the page before ended.
        with_payload: Whether to read the bytes.
        budget: What each of the one or two statements may cost.
    """
    budget = budget or Budget()
    parameters = Parameters()
    conditions = [of_project(project, parameters)]
    if code is not None:
        conditions.append(f"code = {parameters.text(code)}")
    if after is not None:
        conditions.append(_behind(after, parameters))
    sql = f"""\
SELECT {REJECTED_COLUMNS}
FROM feedback_rejected FINAL
WHERE {" AND ".join(conditions)}
ORDER BY rejected_ms DESC, topic_id DESC, kafka_partition DESC, kafka_offset DESC
LIMIT {parameters.count(limit)}"""
    rows = database.query(sql, parameters.values, budget.settings()).rows
    found = [read_rejected_row(row) for row in rows]
    return _with_payloads(database, project, found, budget) if with_payload and found else found


def count_rejected(
    database: Database,
    *,
    project: str | None = None,
    since: datetime,
    budget: Budget | None = None,
) -> dict[str, int]:
    """Return how many were rejected since a time for each code, the most first."""
    parameters = Parameters()
    conditions = [of_project(project, parameters), f"rejected_at >= {parameters.moment(since)}"]
    sql = f"""\
SELECT code, count() AS n
FROM feedback_rejected FINAL
WHERE {" AND ".join(conditions)}
GROUP BY code
ORDER BY n DESC, code"""
    rows = database.query(sql, parameters.values, (budget or Budget()).settings()).rows
    return {str(code): whole(count) for code, count in rows}


def count_rejected_by_time(
    database: Database,
    *,
    project: str | None = None,
    since: datetime,
    bucket: Bucket,
    budget: Budget | None = None,
) -> dict[tuple[str, str], int]:
    """Return how many were refused since a time, by hour or day (UTC) and code.

    The beginning of an hour or day is written as an answer of `query` writes it.
    """
    parameters = Parameters()
    start = (
        "concat(formatDateTime(toStartOfHour(rejected_at, 'UTC'), '%Y-%m-%dT%H:%i:%S'), '+00:00')"
        if bucket is Bucket.HOUR
        else "toString(toDate32(toTimeZone(rejected_at, 'UTC')))"
    )
    conditions = [of_project(project, parameters), f"rejected_at >= {parameters.moment(since)}"]
    sql = f"""\
SELECT {start} AS bucket, code, count()
FROM feedback_rejected FINAL
WHERE {" AND ".join(conditions)}
GROUP BY bucket, code"""
    rows = database.query(sql, parameters.values, (budget or Budget()).settings()).rows
    return {(str(at), str(code)): whole(count) for at, code, count in rows}


def _with_payloads(
    database: Database, project: str | None, found: Sequence[RejectedRow], budget: Budget
) -> list[RejectedRow]:
    """Read the payloads by the primary key: a scan would read all there are."""
    parameters = Parameters()
    places = ", ".join(
        f"({parameters.text(one.place.topic_id)}, {parameters.count(one.place.partition)}, "
        f"{parameters.integer(one.place.offset)})"
        for one in found
    )
    # As base64: the driver would decode bytes that are no UTF-8.
    sql = f"""\
SELECT topic_id, kafka_partition, kafka_offset, any(base64Encode(payload))
FROM feedback_rejected
WHERE {of_project(project, parameters)} AND (topic_id, kafka_partition, kafka_offset) IN ({places})
GROUP BY topic_id, kafka_partition, kafka_offset"""
    rows = database.query(sql, parameters.values, budget.settings()).rows
    payloads = {
        (str(topic_id), whole(partition), whole(offset)): b64decode(str(text))
        for topic_id, partition, offset, text in rows
    }
    return [replace(one, payload=payloads.get(_key(one.place))) for one in found]


def _key(place: RejectedPlace) -> tuple[str, int, int]:
    return place.topic_id, place.partition, place.offset


def _behind(after: RejectedPlace, parameters: Parameters) -> str:
    place = (
        parameters.integer(after.rejected_ms),
        parameters.text(after.topic_id),
        parameters.integer(after.partition),
        parameters.integer(after.offset),
    )
    return f"(rejected_ms, topic_id, kafka_partition, kafka_offset) < ({', '.join(place)})"
