"""`/pipeline`: how far the workers are, what they stored lately, and what each insert took.

GET /pipeline
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_consumers.api.errors import ApiError
from afterword_consumers.dashboard.figures import Figure, stack
from afterword_consumers.dashboard.frame import Frame, Job
from afterword_consumers.dashboard.wording import ago, from_ms, whole
from afterword_consumers.query import Bucket
from afterword_consumers.query.compile.parameters import Parameters, of_project
from afterword_consumers.query.database import whole as integer

_MINUTES: Final = 60
_INSERTS: Final = 12


@dataclass(frozen=True, slots=True)
class Insert:
    """A batch that ClickHouse took."""

    at: datetime
    rows: int
    bytes: int
    took_ms: int


async def pipeline(request: Request) -> Response:
    """Show how far everything is."""
    frame = await Frame.read(request, "pipeline")
    jobs: dict[str, Job] = {"stored": _stored(frame)}
    if not frame.api.is_bound(request):  # inserts hold rows of all projects
        jobs["inserts"] = _inserts
    found = await frame.ask_all(jobs)
    title, evidence = _finding(frame)
    return frame.render(
        "pipeline.html",
        title=title,
        evidence=evidence,
        stored=found["stored"],
        inserts=found.get("inserts", []),
        lags=frame.freshness.lags,
        error_of=lambda each: each if isinstance(each, ApiError) else None,
    )


ROUTES: Final = [Route("/pipeline", pipeline, methods=["GET"])]


def _finding(frame: Frame) -> tuple[str, str]:
    freshness, now = frame.freshness, frame.period.now
    until, waiting = freshness.complete_until, freshness.waiting
    if until is None:
        return "It is not known how complete the data is", freshness.note
    messages = "Nothing waits." if not waiting else f"{whole(waiting)} messages wait."
    if frame.is_stale:
        return (
            f"The workers are behind: complete until {ago(until, now)}",
            f"{messages} {freshness.note}",
        )
    return f"Everything is stored up to {until:%H:%M:%S}", messages


def _stored(frame: Frame) -> Job:
    """Return the job that counts what was stored in each of the last minutes."""
    now = frame.period.now.replace(second=0, microsecond=0)
    minutes = [now - timedelta(minutes=at) for at in reversed(range(_MINUTES))]

    def count(database: Any) -> Figure:
        parameters = Parameters()
        sql = f"""\
SELECT toUnixTimestamp64Milli(toDateTime64(toStartOfMinute(ingested_at), 3)) AS minute, count()
FROM feedback
WHERE {of_project(frame.project, parameters)} AND ingested_at >= {parameters.moment(minutes[0])}
GROUP BY minute"""
        rows = database.query(sql, parameters.values, database.budget.settings()).rows
        counts = {from_ms(integer(at)): integer(n) for at, n in rows}
        course = {"stored": [counts.get(minute, 0) for minute in minutes]}
        tokens = {"stored": "explicit"}
        return stack(minutes, Bucket.MINUTE, course, axis="rows a minute", tokens=tokens)

    return count


def _inserts(database: Any) -> list[Insert]:
    sql = f"""\
SELECT toUnixTimestamp64Milli(toDateTime64(event_time_microseconds, 3)), written_rows, written_bytes,
    query_duration_ms
FROM system.query_log
WHERE type = 'QueryFinish' AND query_kind = 'Insert' AND event_date >= today() - 1
    AND has(tables, concat(currentDatabase(), '.feedback'))
ORDER BY event_time_microseconds DESC
LIMIT {_INSERTS}"""
    rows = database.query(sql, {}, database.budget.settings()).rows
    return [
        Insert(from_ms(integer(at)), integer(n), integer(size), integer(took))
        for at, n, size, took in rows
    ]
