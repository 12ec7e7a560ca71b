"""What came in since the last look, to be watched.

    tail = Tail(parse(Question(COUNT, project="acme", where=("thumbs = down",)), now), begin=now)
    while True:
        for one in tail.look(database): print(one.title)

Rows of several workers do not become visible in the order of their times, so each look goes back a minute and leaves
out what was told already. What is stored more than a minute after it was read, as after an outage of ClickHouse,
is not told.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from afterword_consumers.query import Budget, Cell, Database, Plan
from afterword_consumers.query.compile.conditions import conditions
from afterword_consumers.query.compile.parameters import Parameters, of_project
from afterword_consumers.query.compile.source import Source
from afterword_consumers.query.database import whole

LOOK_BACK: Final = timedelta(seconds=60)
MAX_NEW: Final = 500
"""Told by one look, the newest ones."""

_MAX_SEEN: Final = 200_000


@dataclass(frozen=True, slots=True)
class NewFeedback:
    """Feedback that was stored lately, in its latest state.

    Attributes:
        created_ms: In milliseconds since 1970.
        value: None where it has none.
        thumbs_up: None where it is no vote.
        comment: The first 500 characters; empty where it has none.
        deeds: What somebody did with the answer: `copied`, `regenerated`, `edited`.
    """

    project: str
    feedback_id: str
    created_ms: int
    trace_id: str
    source: str
    user: str
    prompt: str
    value: int | None
    weight: float
    thumbs_up: bool | None
    comment: str
    deeds: tuple[str, ...]


class Tail:
    """Remembers what it told.

    Args:
        plan: Its project and filters choose the feedback.
        begin: The earliest time of storing that is told.
    """

    def __init__(self, plan: Plan, begin: datetime) -> None:
        self._plan, self._begin = plan, begin
        self._seen: OrderedDict[tuple[str, str, int], None] = OrderedDict()

    def look(self, database: Database, budget: Budget | None = None) -> list[NewFeedback]:
        """Return what came in since the last look, the oldest first; of very much the newest."""
        settings = (budget or Budget()).settings()
        stored = self._stored(database, settings)
        new = [row for row in stored if row not in self._seen]
        for row in new:
            self._seen[row] = None
        while len(self._seen) > _MAX_SEEN:
            self._seen.popitem(last=False)
        return self._read(database, settings, new[-MAX_NEW:]) if new else []

    def _stored(
        self, database: Database, settings: Mapping[str, int | float]
    ) -> list[tuple[str, str, int]]:
        """Return project, id and version of what was stored in the last minute, the oldest first."""
        since = max(self._begin, datetime.now(UTC) - LOOK_BACK)
        parameters = Parameters()
        sql = f"""\
SELECT project, toString(feedback_id), version
FROM feedback
WHERE {of_project(self._plan.project, parameters)} AND ingested_at >= {parameters.moment(since)}
ORDER BY ingested_at DESC
LIMIT {parameters.count(_MAX_SEEN // 4)}"""
        rows = database.query(sql, parameters.values, settings).rows
        return [(str(name), str(key), whole(version)) for name, key, version in reversed(rows)]

    def _read(
        self,
        database: Database,
        settings: Mapping[str, int | float],
        rows: Sequence[tuple[str, str, int]],
    ) -> list[NewFeedback]:
        """Return the feedback of these ids that passes the filters."""
        parameters = Parameters()
        ids = ", ".join(f"toUInt128({parameters.uuid(key)})" for _, key, _ in rows)
        where = [f"toUInt128(feedback_id) IN ({ids})", *conditions(self._plan, Source(parameters))]
        deeds = ", ".join(f"ifNull(booleans['feedback.{deed}'], false)" for deed in _DEEDS)
        sql = f"""\
SELECT project, toString(feedback_id), toUnixTimestamp64Milli(created_at), trace_id, toString(source),
    user_id, prompt, value, weight, thumbs_up,
    substringUTF8(ifNull(strings['feedback.comment'], ''), 1, 500), {deeds}
FROM feedback_current
WHERE {" AND ".join(where)}
ORDER BY created_at, toUInt128(feedback_id)"""
        return [_feedback(row) for row in database.query(sql, parameters.values, settings).rows]


_DEEDS: Final = ("copied", "regenerated", "edited")


def _feedback(row: Sequence[Cell]) -> NewFeedback:
    (
        project,
        feedback_id,
        created_ms,
        trace_id,
        source,
        user,
        prompt,
        value,
        weight,
        vote,
        comment,
    ) = row[:11]
    return NewFeedback(
        project=str(project),
        feedback_id=str(feedback_id),
        created_ms=whole(created_ms),
        trace_id=str(trace_id),
        source=str(source),
        user=str(user),
        prompt=str(prompt),
        value=None if value is None else whole(value),
        weight=float(weight or 0),
        thumbs_up=None if vote is None else bool(vote),
        comment=str(comment),
        deeds=tuple(deed for deed, did in zip(_DEEDS, row[11:], strict=True) if did),
    )
