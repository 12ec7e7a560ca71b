"""Where the newest feedback begins, so that what is newest is found without reading all.

    since = newest_since(database, plan, rows=5_000, settings=…)

Lists of the newest read from there, and all of the period only where that does not fill them.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from afterword_consumers.query import Database, Plan
from afterword_consumers.query.compile.parameters import Parameters, of_project
from afterword_consumers.query.database import whole

WINDOW_ROWS: Final = 5_000
"""Rows that fill nearly every page, and take milliseconds to read."""


def newest_since(
    database: Database,
    plan: Plan,
    settings: Mapping[str, int | float],
    *,
    before_ms: int | None = None,
    rows: int = WINDOW_ROWS,
) -> datetime | None:
    """Return the `created_at` of the row that has so many newer ones in the plan's project and period.

    Rows are counted in every state that is stored, so there may be less feedback than that from there on.

    Args:
        database: Where the feedback is.
        plan: Its project and period.
        settings: Of the statement.
        before_ms: Count from this time on back, in milliseconds since 1970; None counts from the end.
        rows: How many.

    Returns:
        None where there are not that many.
    """
    parameters = Parameters()
    where = [of_project(plan.project, parameters)]
    if plan.until is not None:
        where.append(f"created_at < {parameters.moment(plan.until.at)}")
    if before_ms is not None:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=before_ms)
        where.append(f"created_at <= {parameters.moment(moment)}")
    sql = f"""\
SELECT toUnixTimestamp64Milli(created_at)
FROM feedback
WHERE {" AND ".join(where)}
ORDER BY created_at DESC
LIMIT 1 OFFSET {parameters.count(rows)}"""
    found = database.query(sql, parameters.values, settings).rows
    if not found:
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=whole(found[0][0]))
