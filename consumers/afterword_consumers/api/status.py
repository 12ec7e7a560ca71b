"""`/api/status`: how fresh the tables are, how far the workers are behind, what is stored and rejected."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_consumers.api.budgets import BudgetedDatabase
from afterword_consumers.api.json_answers import json_answer
from afterword_consumers.api.service import api_of
from afterword_consumers.query.answer.formats import freshness_fields
from afterword_consumers.query.compile.parameters import Parameters
from afterword_consumers.rejected.listing import count_rejected

_REJECTED_WITHIN: Final = timedelta(hours=24)


async def status(request: Request) -> Response:
    """Tell how far everything is."""
    api = api_of(request)
    asked = api.read(request, one=())
    freshness = await api.freshness.look()  # before the tables are read
    stored, rejected = await api.ask(
        request,
        lambda database: (
            _count_stored(database, asked.project),
            count_rejected(
                database,
                project=asked.project,
                since=datetime.now(UTC) - _REJECTED_WITHIN,
                budget=database.budget,
            ),
        ),
    )
    return json_answer(
        {
            "project": asked.project,
            "freshness": freshness_fields(freshness),
            "lag": _lag(freshness.lags),
            "stored": stored,
            "rejected_24h": [{"code": code, "count": count} for code, count in rejected.items()],
        }
    )


ROUTES: Final = [Route("/api/status", status, methods=["GET"])]


def _lag(lags: Mapping[int, int] | None) -> list[dict[str, int]] | None:
    if lags is None:
        return None
    return [{"partition": partition, "lag": lag} for partition, lag in lags.items()]


def _count_stored(database: BudgetedDatabase, project: str | None) -> int:
    parameters = Parameters()
    where = "" if project is None else f" WHERE project = {parameters.text(project)}"
    sql = f"SELECT count() FROM feedback_current{where}"
    # All there is, however many rows that are: who asks has nothing to narrow.
    settings = database.budget.settings() | {"max_rows_to_read": 0}
    ((count,),) = database.query(sql, parameters.values, settings).rows
    return int(count or 0)
