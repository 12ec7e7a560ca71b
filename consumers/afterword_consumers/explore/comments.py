"""What people wrote, the newest first.

    for comment in find_comments(database, plan, limit=20):
        print(comment.text, comment.thumbs_up, comment.prompt)

A comment is the text under `feedback.comment`, of feedback in its latest state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from afterword_consumers.explore.newest import newest_since
from afterword_consumers.query import Budget, Cell, Database, Plan
from afterword_consumers.query.compile.conditions import conditions
from afterword_consumers.query.compile.parameters import Parameters
from afterword_consumers.query.compile.source import Source
from afterword_consumers.query.database import whole

COMMENT: Final = "feedback.comment"
"""The path of what people write."""

_MAX_CHARS: Final = 2000


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody wrote.

    Attributes:
        text: Its first 2,000 characters.
        thumbs_up: How the same feedback votes; None where it does not.
        created_ms: In milliseconds since 1970.
        trace_id: Of the answer; empty where it names none.
        prompt: Empty where it names none.
        model: `metadata.model`; empty where it names none.
    """

    project: str
    text: str
    thumbs_up: bool | None
    created_ms: int
    trace_id: str
    prompt: str
    model: str


def find_comments(
    database: Database, plan: Plan, *, limit: int, budget: Budget | None = None
) -> list[Comment]:
    """Return comments, the newest first.

    Args:
        database: Where to look.
        plan: Its project, filters and period choose the feedback.
        limit: How many at most.
        budget: What each of the statements may cost.
    """
    settings = (budget or Budget()).settings()
    since = newest_since(database, plan, settings)
    found = [] if since is None else _find(database, plan, limit, settings, since)
    return found if len(found) == limit else _find(database, plan, limit, settings)


def _find(
    database: Database,
    plan: Plan,
    limit: int,
    settings: Mapping[str, int | float],
    since: datetime | None = None,
) -> list[Comment]:
    """Return the newest comments; of feedback since a time where one is given."""
    parameters = Parameters()
    path = f"strings[{parameters.text(COMMENT)}]"
    where = [f"{path} IS NOT NULL", *conditions(plan, Source(parameters))]
    if since is not None:
        where.append(f"created_at >= {parameters.moment(since)}")
    sql = f"""\
SELECT project, substringUTF8({path}, 1, {_MAX_CHARS}), thumbs_up, toUnixTimestamp64Milli(created_at),
    trace_id, prompt, ifNull(strings['metadata.model'], '')
FROM feedback_current
WHERE {" AND ".join(where)}
ORDER BY created_at DESC, toUInt128(feedback_id) DESC
LIMIT {parameters.count(limit)}"""
    rows = database.query(sql, parameters.values, settings).rows
    return [_comment(row) for row in rows]


def _comment(row: Sequence[Cell]) -> Comment:
    project, text, vote, created_ms, trace_id, prompt, model = row
    return Comment(
        project=str(project),
        text=str(text),
        thumbs_up=None if vote is None else bool(vote),
        created_ms=whole(created_ms),
        trace_id=str(trace_id),
        prompt=str(prompt),
        model=str(model),
    )
