"""`/` and `/api`: which routes there are, for a person who looks for them."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword_consumers.api.json_answers import json_answer

_ABOUT: Final = {
    "/api/query": "A question about any path: measure, group_by, where, since, until, bucket and others.",
    "/api/paths": "Which paths there are: prefix, measured, limit.",
    "/api/traces": "Traces with feedback, the newest first: where, since, until, limit, cursor.",
    "/api/traces/{trace_id}": "All feedback on one trace: limit, cursor.",
    "/api/status": "How fresh the tables are, and how far the workers are behind.",
    "/api/rejected": "Refused messages: code, limit, cursor, payload.",
    "/openapi.json": "All of this for programs.",
}


async def index(_: Request) -> Response:
    """List the routes."""
    return json_answer({"name": "Afterword", "routes": _ABOUT})


ROUTES: Final = [
    Route("/", index, methods=["GET"]),
    Route("/api", index, methods=["GET"]),
]
