"""`/api/traces`: which traces have feedback, and all of it on one.

GET /api/traces?where=metadata._environment = production&since=7d&limit=20
GET /api/traces/tr-1
"""

import re
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_consumers.api.errors import ApiError, ErrorCode
from afterword_consumers.api.json_answers import json_answer
from afterword_consumers.api.pages import Page, read_cursor
from afterword_consumers.api.service import Asked, api_of
from afterword_consumers.explore.trace import FeedbackPlace, TraceFeedback, read_trace
from afterword_consumers.explore.traces import Trace, TracePlace, find_traces
from afterword_consumers.query import Plan, Question, parse
from afterword_consumers.query.language.question import COUNT
from afterword_consumers.rfc3339 import rfc3339

_LIST_ONE: Final = ("since", "until", "timezone", "limit", "cursor")
_LIST_MANY: Final = ("where",)
_TRACE_ONE: Final = ("limit", "cursor")

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200


async def list_traces(request: Request) -> Response:
    """List traces with feedback, the newest first."""
    api = api_of(request)
    asked = api.read(request, one=_LIST_ONE, many=_LIST_MANY)
    arguments = asked.arguments
    limit = arguments.count("limit", usual=DEFAULT_LIMIT, most=MAX_LIMIT)
    cursor = read_cursor(arguments.text("cursor"), int, str, str)
    found = await api.ask(
        request,
        lambda database: find_traces(
            database,
            _plan(asked),
            limit=limit + 1,
            after=None if cursor is None else TracePlace(*cursor),
            budget=database.budget,
        ),
    )
    page = Page.of(found, limit)
    return json_answer({"traces": [_trace(one) for one in page.items], "next": page.next})


async def show_trace(request: Request) -> Response:
    """Return all feedback on one trace, the newest first."""
    api = api_of(request)
    trace_id = request.path_params["trace_id"]
    if not trace_id:  # or the feedback of no trace would be taken for that of one
        raise HTTPException(404)
    asked = api.read(request, one=_TRACE_ONE)
    limit = asked.arguments.count("limit", usual=DEFAULT_LIMIT, most=MAX_LIMIT)
    cursor = read_cursor(asked.arguments.text("cursor"), int, UUID)
    found = await api.ask(
        request,
        lambda database: read_trace(
            database,
            trace_id,
            project=asked.project,
            limit=limit + 1,
            after=None if cursor is None else FeedbackPlace(*cursor),
            budget=database.budget,
        ),
    )
    if not found and cursor is None:
        raise _unknown(asked.project)
    page = Page.of(found, limit)
    items = [_feedback(one) for one in page.items]
    return json_answer({"trace_id": trace_id, "feedback": items, "next": page.next})


def _across_lines(route: Route) -> Route:
    """Let the text in a path hold newlines, which Starlette's pattern for it leaves out."""
    route.path_regex = re.compile(route.path_regex.pattern, re.DOTALL)
    return route


ROUTES: Final = [
    Route("/api/traces", list_traces, methods=["GET"]),
    _across_lines(Route("/api/traces/{trace_id:path}", show_trace, methods=["GET"])),
]


def _plan(asked: Asked) -> Plan:
    arguments = asked.arguments
    question = Question(
        COUNT,
        project=asked.project,
        where=arguments.texts("where"),
        since=arguments.text("since"),
        until=arguments.text("until"),
        timezone=arguments.text("timezone") or "UTC",
    )
    return parse(question, datetime.now(UTC))


def _trace(one: Trace) -> dict[str, Any]:
    return {
        "project": one.project,
        "trace_id": one.trace_id,
        "feedback": one.feedback,
        "sessions": one.sessions,
        "session_ids": one.session_ids,
        "first_created_at": rfc3339(one.first_ms),
        "last_created_at": rfc3339(one.last_ms),
        "weighted_avg": one.weighted_avg,
        "pairs": [
            {"value": pair.value, "weight": pair.weight, "count": pair.count} for pair in one.pairs
        ],
        "ground_truth": one.ground_truth,
    }


def _feedback(one: TraceFeedback) -> dict[str, Any]:
    return {
        "feedback_id": one.feedback_id,
        **one.columns,
        "created_at": rfc3339(one.created_ms),
        "updated_at": rfc3339(one.updated_ms),
        "ingested_at": rfc3339(one.ingested_ms),
        "leaves": one.leaves,
        "ground_truth": one.ground_truth or None,
    }


def _unknown(project: str | None) -> ApiError:
    of = "" if project is None else f" of project {project}"
    return ApiError(
        404,
        ErrorCode.UNKNOWN_TRACE,
        f"No feedback{of} is on this trace.",
        "It may still be on its way, or was taken back; see /api/traces for those that have some.",
    )
