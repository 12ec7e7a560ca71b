"""All feedback on one trace, whole: its columns and every leaf.

    for one in read_trace(database, "tr-1", project="acme", limit=100):
        print(one.columns["value"], one.leaves.get("feedback.comment"), one.ground_truth)

Each is in its latest state, and none is there that was taken back.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from afterword_consumers.explore.traces import GROUND_TRUTH, of_traces
from afterword_consumers.query import Budget, Cell, Database
from afterword_consumers.query.compile.parameters import Parameters, of_project

_LEAVES: Final = ("numbers", "booleans", "strings")
_TEXTS: Final = (
    *("project", "trace_id", "session_id", "span_id", "source"),
    *("user_id", "organisation", "prompt", "environment"),
)
_COLUMNS: Final = {
    **{name: f"nullIf(toString({name}), '')" for name in _TEXTS},
    "value": "value",
    "weight": "weight",
}
_TIMES: Final = ("created_at", "updated_at", "ingested_at")


@dataclass(frozen=True, slots=True)
class TraceFeedback:
    """One feedback on a trace, in its latest state.

    Attributes:
        created_ms: In milliseconds since 1970, as the other times.
        columns: The other columns by name, None for what it lacks.
        leaves: Path to value: a boolean, a number or text.
    """

    feedback_id: str
    created_ms: int
    updated_ms: int
    ingested_ms: int
    columns: Mapping[str, Cell]
    leaves: Mapping[str, bool | float | str]

    @property
    def ground_truth(self) -> dict[str, bool | float | str]:
        """The leaves that say what the answer should have been."""
        return {path: leaf for path, leaf in self.leaves.items() if _is_ground_truth(path)}

    @property
    def place(self) -> "FeedbackPlace":
        """Where it stands in the order."""
        return FeedbackPlace(self.created_ms, self.feedback_id)


@dataclass(frozen=True, slots=True)
class FeedbackPlace:
    """A place in the order of a trace's feedback; the next page begins behind it."""

    created_ms: int
    feedback_id: str


def read_trace(
    database: Database,
    trace_id: str,
    *,
    project: str | None = None,
    limit: int,
    after: FeedbackPlace | None = None,
    budget: Budget | None = None,
) -> list[TraceFeedback]:
    """Return the feedback on a trace, the newest first.

    Args:
        database: Where to look.
        trace_id: The trace.
        project: The tenant; None looks at all.
        limit: How many at most.
        after: Where the page before ended.
        budget: What the statement may cost.
    """
    parameters = Parameters()
    sql = f"""\
SELECT {_SELECTED}
FROM feedback_current
WHERE {" AND ".join(_conditions(trace_id, project, after, parameters))}
ORDER BY created_at DESC, toUInt128(feedback_id) DESC
LIMIT {parameters.count(limit)}"""
    rows = database.query(sql, parameters.values, (budget or Budget()).settings()).rows
    return [_feedback(row) for row in rows]


_SELECTED: Final = ", ".join(
    [
        "toString(feedback_id)",
        *(f"toUnixTimestamp64Milli({name})" for name in _TIMES),
        *(f"toJSONString({name})" for name in _LEAVES),
        *_COLUMNS.values(),
    ]
)


def _conditions(
    trace_id: str, project: str | None, after: FeedbackPlace | None, parameters: Parameters
) -> list[str]:
    conditions = [of_project(project, parameters), of_traces([trace_id], project, parameters)]
    if after is not None:
        conditions.append(
            "(toUnixTimestamp64Milli(created_at), toUInt128(feedback_id)) < "
            f"({parameters.integer(after.created_ms)}, "
            f"toUInt128({parameters.uuid(after.feedback_id)}))"
        )
    return conditions


def _feedback(row: Sequence[Cell]) -> TraceFeedback:
    feedback_id, created_ms, updated_ms, ingested_ms, *rest = row
    maps, columns = rest[: len(_LEAVES)], rest[len(_LEAVES) :]
    leaves: dict[str, bool | float | str] = {}
    for text in maps:
        leaves |= json.loads(str(text))
    return TraceFeedback(
        feedback_id=str(feedback_id),
        created_ms=int(created_ms or 0),
        updated_ms=int(updated_ms or 0),
        ingested_ms=int(ingested_ms or 0),
        columns=dict(zip(_COLUMNS, columns, strict=True)),
        leaves=dict(sorted(leaves.items())),
    )


def _is_ground_truth(path: str) -> bool:
    return path == GROUND_TRUTH or path.startswith(f"{GROUND_TRUTH}.")
