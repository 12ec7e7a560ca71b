"""Which traces have feedback, and what it says in short.

    found = find_traces(database, parse(Question(COUNT, project="acme", since="7d"), now), limit=50)
    found[0].trace_id, found[0].weighted_avg, found[0].pairs

Each feedback counts once, in its latest state, and never after it was taken back. Traces of two projects
that have the same id are two traces. `trace_feedback` reads all of one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from afterword_consumers.explore.newest import newest_since
from afterword_consumers.query import Budget, Cell, Database, Plan
from afterword_consumers.query.compile.conditions import conditions
from afterword_consumers.query.compile.parameters import Parameters, of_project
from afterword_consumers.query.compile.source import Source
from afterword_consumers.query.database import whole

MAX_PAIRS: Final = 100
"""Value:weight pairs told of one trace, the most frequent ones."""

MAX_SESSIONS: Final = 10
"""Session ids told of one trace."""

GROUND_TRUTH: Final = "feedback.ground_truth"
"""The path, and the beginning of the paths, that say what the answer should have been."""


class Order(StrEnum):
    """Which traces come first."""

    NEWEST = "newest"
    """Those with the newest feedback."""

    WORST = "worst"
    """Those of the lowest weighted average; without any value they are left out."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A value with its weight, and how often they were given together."""

    value: int
    weight: float
    count: int


@dataclass(frozen=True, slots=True)
class Trace:
    """What the feedback that passed the filter says of one trace.

    Attributes:
        feedback: How many there are.
        sessions: In how many sessions.
        session_ids: Their ids, or any `MAX_SESSIONS` of them, in order.
        first_ms: The first `created_at`, in milliseconds since 1970.
        last_ms: The last one.
        weighted_avg: Sum of value by weight over the sum of weights; None where that is 0.
        pairs: The most frequent first, at most `MAX_PAIRS`.
        ground_truth: Whether any of it says what the answer should have been.
    """

    project: str
    trace_id: str
    feedback: int
    sessions: int
    session_ids: tuple[str, ...]
    first_ms: int
    last_ms: int
    weighted_avg: float | None
    pairs: tuple[Pair, ...]
    ground_truth: bool

    @property
    def place(self) -> "TracePlace":
        """Where it stands in the order."""
        return TracePlace(self.last_ms, self.project, self.trace_id)


@dataclass(frozen=True, slots=True)
class TracePlace:
    """A place in the order of traces; the next page begins behind it."""

    last_ms: int
    project: str
    trace_id: str


def find_traces(
    database: Database,
    plan: Plan,
    *,
    limit: int,
    after: TracePlace | None = None,
    order: Order = Order.NEWEST,
    search: str = "",
    trace_id: str | None = None,
    budget: Budget | None = None,
) -> list[Trace]:
    """Return traces in an order.

    Args:
        database: Where to look.
        plan: Its project, filters and period choose the feedback that is looked at, and counted.
        limit: How many traces at most.
        after: Where the page before ended, of the newest.
        order: Which come first.
        search: A trace, session or user of this id has it, or a comment with this text; empty for all.
        trace_id: Only this one, of any project that the plan looks at.
        budget: What each of the statements may cost.
    """
    settings = (budget or Budget()).settings()
    choice = _Choice(plan, search, trace_id, after, order, limit)
    by_time = order is Order.NEWEST and trace_id is None
    keys = _newest(database, choice, settings) if by_time else []
    if len(keys) < limit:
        keys = _first(database, choice, settings)
    if not keys:
        return []
    parameters = Parameters()
    ids = [trace_id for _, trace_id in keys]
    where = _and([*_conditions(plan, parameters), of_traces(ids, plan.project, parameters)])
    summaries = _summaries(database, where, parameters, settings)
    pairs = _pairs(database, where, parameters, settings)
    return [_trace(key, summaries[key], pairs.get(key, [])) for key in keys if key in summaries]


def of_traces(trace_ids: Sequence[str], project: str | None, parameters: Parameters) -> str:
    """Return the condition that keeps to traces; the ids of their feedback are looked up first.

    The table is in the order of those, so that little else of it is read. What was on such a trace in any state
    is looked up, and what is on one now is kept.
    """
    among = f"trace_id IN ({', '.join(parameters.text(trace_id) for trace_id in trace_ids)})"
    ids = f"SELECT toUInt128(feedback_id) FROM feedback WHERE {of_project(project, parameters)} AND {among}"
    return f"toUInt128(feedback_id) IN ({ids}) AND {among}"


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which traces are wanted."""

    plan: Plan
    search: str
    trace_id: str | None
    after: TracePlace | None
    order: Order
    limit: int


_Key = tuple[str, str]
"""Project and trace id."""

_PATHS: Final = "arrayConcat(mapKeys(numbers), mapKeys(booleans), mapKeys(strings))"
_SUMMARY: Final = f"""\
SELECT
    project,
    trace_id,
    count(),
    uniqExactIf(session_id, session_id != ''),
    toJSONString(arraySort(groupUniqArrayIf({MAX_SESSIONS})(session_id, session_id != ''))),
    toUnixTimestamp64Milli(min(created_at)),
    toUnixTimestamp64Milli(max(created_at)),
    sumIf(weight, value IS NOT NULL) AS weights,
    if(weights > 0, sum(value * weight) / weights, NULL),
    max(arrayExists(path -> path = '{GROUND_TRUTH}' OR startsWith(path, '{GROUND_TRUTH}.'), {_PATHS}))
FROM feedback_current
WHERE {{where}}
GROUP BY project, trace_id"""
_PAIRS: Final = f"""\
SELECT project, trace_id, value, weight, count() AS n
FROM feedback_current
WHERE {{where}} AND value IS NOT NULL
GROUP BY project, trace_id, value, weight
ORDER BY n DESC, value DESC, weight DESC
LIMIT {MAX_PAIRS} BY project, trace_id"""


def _conditions(plan: Plan, parameters: Parameters) -> list[str]:
    return ["trace_id != ''", *conditions(plan, Source(parameters))]


def _search(text: str, parameters: Parameters) -> list[str]:
    if not text:
        return []
    sought = parameters.text(text)
    ids = " OR ".join(f"{column} = {sought}" for column in ("trace_id", "session_id", "user_id"))
    comment = f"positionCaseInsensitiveUTF8(strings['feedback.comment'], {sought}) > 0"
    return [f"({ids} OR ifNull({comment}, false))"]


def _newest(database: Database, choice: _Choice, settings: Mapping[str, int | float]) -> list[_Key]:
    """Return the traces of a page as far as they are among the newest rows, which are all that is read."""
    before_ms = None if choice.after is None else choice.after.last_ms
    since = newest_since(database, choice.plan, settings, before_ms=before_ms)
    return [] if since is None else _first(database, choice, settings, since)


def _first(
    database: Database,
    choice: _Choice,
    settings: Mapping[str, int | float],
    since: datetime | None = None,
) -> list[_Key]:
    """Return the traces of a page, in its order; of feedback since a time where one is given."""
    parameters = Parameters()
    where = [*_conditions(choice.plan, parameters), *_search(choice.search, parameters)]
    if choice.trace_id is not None:
        where.append(of_traces([choice.trace_id], choice.plan.project, parameters))
    if since is not None:
        where.append(f"created_at >= {parameters.moment(since)}")
    having = [] if choice.after is None else [_behind(choice.after, parameters)]
    first = ""
    if choice.order is Order.WORST:
        having.append("sumIf(weight, value IS NOT NULL) > 0")
        first = "sum(value * weight) / sumIf(weight, value IS NOT NULL), "
    kept = f"\nHAVING {_and(having)}" if having else ""
    sql = f"""\
SELECT project, trace_id, toUnixTimestamp64Milli(max(created_at)) AS last_ms
FROM feedback_current
WHERE {_and(where)}
GROUP BY project, trace_id{kept}
ORDER BY {first}last_ms DESC, project DESC, trace_id DESC
LIMIT {parameters.count(choice.limit)}"""
    rows = database.query(sql, parameters.values, settings).rows
    return [(str(project), str(trace_id)) for project, trace_id, _ in rows]


def _summaries(
    database: Database,
    where: str,
    parameters: Parameters,
    settings: Mapping[str, int | float],
) -> dict[_Key, Sequence[Cell]]:
    table = database.query(_SUMMARY.format(where=where), parameters.values, settings)
    return {(str(row[0]), str(row[1])): row[2:] for row in table.rows}


def _pairs(
    database: Database,
    where: str,
    parameters: Parameters,
    settings: Mapping[str, int | float],
) -> dict[_Key, list[Pair]]:
    found: dict[_Key, list[Pair]] = {}
    table = database.query(_PAIRS.format(where=where), parameters.values, settings)
    for project, trace_id, value, weight, count in table.rows:
        pair = Pair(whole(value), float(weight or 0), whole(count))
        found.setdefault((str(project), str(trace_id)), []).append(pair)
    return found


def _trace(key: _Key, summary: Sequence[Cell], pairs: Sequence[Pair]) -> Trace:
    count, sessions, session_ids, first_ms, last_ms, _, average, ground_truth = summary
    return Trace(
        *key,
        feedback=whole(count),
        sessions=whole(sessions),
        session_ids=tuple(json.loads(str(session_ids))),
        first_ms=whole(first_ms),
        last_ms=whole(last_ms),
        weighted_avg=None if average is None else float(average),
        pairs=tuple(pairs),
        ground_truth=bool(ground_truth),
    )


def _behind(after: TracePlace, parameters: Parameters) -> str:
    last = parameters.integer(after.last_ms)
    project, trace_id = parameters.text(after.project), parameters.text(after.trace_id)
    return f"(last_ms, project, trace_id) < ({last}, {project}, {trace_id})"


def _and(conditions: Sequence[str]) -> str:
    return "\n  AND ".join(conditions)
