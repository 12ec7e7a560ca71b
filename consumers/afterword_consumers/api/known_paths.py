"""`/api/paths`: what can be asked about.

GET /api/paths?prefix=feedback.&measured=true
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_consumers.api.budgets import BudgetedDatabase
from afterword_consumers.api.json_answers import json_answer
from afterword_consumers.api.service import api_of
from afterword_consumers.explore.paths import KnownPath, find_paths, suggest_paths

_ONE: Final = ("prefix", "measured", "limit")
DEFAULT_LIMIT: Final = 1_000
MAX_LIMIT: Final = 10_000


async def paths(request: Request) -> Response:
    """List the paths that feedback has; where a prefix fits none, others that may have been meant."""
    api = api_of(request)
    asked = api.read(request, one=_ONE)
    measured = asked.arguments.flag("measured")
    limit = asked.arguments.count("limit", usual=DEFAULT_LIMIT, most=MAX_LIMIT)
    prefix = asked.arguments.text("prefix") or ""

    def find(database: BudgetedDatabase) -> tuple[list[KnownPath], list[str]]:
        project, budget = asked.project, database.budget
        found = find_paths(
            database,
            project=project,
            prefix=prefix,
            measured=measured,
            limit=limit + 1,
            budget=budget,
        )
        if found or not prefix:
            return found, []
        return [], suggest_paths(database, prefix, project=project, budget=budget)

    found, suggestions = await api.ask(request, find)
    listed = [one.fields() for one in found[:limit]]
    return json_answer({"paths": listed, "more": len(found) > limit, "suggestions": suggestions})


ROUTES: Final = [Route("/api/paths", paths, methods=["GET"])]
