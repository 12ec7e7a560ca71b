"""The OpenAPI 3.1 description of the API.

    openapi()["paths"]["/api/query"]["get"]

Of the routes of the package alone: whatever serves it adds its own, and the keys that it takes. A test asks
every route of the app for its description, and schemathesis holds the app to it.
"""

from functools import cache
from importlib.metadata import version
from typing import Final

from afterword_consumers.api import known_paths, rejected, trace_routes
from afterword_consumers.api.openapi_parts import (
    PROJECT,
    Json,
    content,
    count,
    operation,
    parameter,
    plain,
)
from afterword_consumers.api.openapi_schemas import SCHEMAS
from afterword_consumers.query import Bucket
from afterword_consumers.query.language.question import DEFAULT_TOP, MAX_TOP
from afterword_schemas import RejectCode

_ABOUT: Final = (
    "Questions about feedback, over HTTP from ClickHouse. It only reads. A key sees its project and no "
    "other. Each request has a budget of time, rows and memory: beyond it, the answer is 422."
)
_TEXT: Final = {"type": "string"}
_FLAG: Final = {"type": "string", "enum": ["true", "false"]}
_FILTERS: Final = parameter(
    "where",
    {"type": "array", "items": _TEXT},
    "A condition; repeat it for and.",
    example=["metadata.model = gpt-5"],
)
_PERIOD: Final = [
    parameter(
        "since",
        _TEXT,
        "The earliest created_at: 7d, 24h, 2026-01-31, 2026-01-31T09:30:00Z.",
        example="7d",
    ),
    parameter("until", _TEXT, "The end of created_at, itself excluded; written as since."),
]
_ZONE: Final = parameter("timezone", _TEXT, "Where days begin.", example="Europe/Berlin")
_CURSOR: Final = parameter("cursor", _TEXT, "`next` of the page before.")


@cache
def openapi() -> Json:
    """Return the document; do not change it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Afterword dashboard",
            "version": version("afterword"),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": _questions() | _paths() | _traces() | _rest() | _index(),
        "components": {"schemas": SCHEMAS},
    }


def _questions() -> Json:
    described = operation(
        "query",
        "Answer a question about any path, as `afterword query` does.",
        "Answer",
        [
            parameter(
                "measure",
                _TEXT,
                "A path, a column, thumbs, weighted or count.",
                required=True,
                example="feedback.score",
            ),
            parameter(
                "group_by",
                {"type": "array", "items": _TEXT, "maxItems": 2},
                "A path or a column; up to two.",
                example=["metadata.model"],
            ),
            _FILTERS,
            *_PERIOD,
            parameter("bucket", {"type": "string", "enum": [*Bucket]}, "A row for each."),
            _ZONE,
            count("top", "Groups shown; the rest is other.", usual=DEFAULT_TOP, most=MAX_TOP),
            parameter(
                "compare",
                _TEXT,
                "How B differs from A; `before`: the period from `since` from the one before it.",
                example="metadata.prompt=A,B",
            ),
            parameter(
                "approximate",
                _FLAG,
                "Percentiles within 0.8 % of the value at their rank, sooner and in little memory.",
            ),
            parameter("sql", _FLAG, "Add the SQL that ran; JSON only."),
            parameter(
                "format",
                {"type": "string", "enum": ["json", "csv"]},
                "The form of the answer, whatever `Accept` says.",
            ),
            parameter(
                "spreadsheet",
                _FLAG,
                "CSV that a spreadsheet opens safely: it runs no formulas and begins with a "
                "byte order mark.",
            ),
            PROJECT,
        ],
    )
    described["responses"]["200"]["content"]["text/csv"] = {"schema": _TEXT}
    described["responses"]["406"] = content(
        "Neither JSON nor CSV is acceptable.", "application/json", "Error"
    )
    return {"/api/query": {"get": described}}


def _paths() -> Json:
    return {
        "/api/paths": {
            "get": operation(
                "paths",
                "List every path that feedback has.",
                "Paths",
                [
                    parameter("prefix", _TEXT, "What a path begins with.", example="feedback."),
                    parameter("measured", _FLAG, "Add how common each is; reads all feedback."),
                    _limit(known_paths.DEFAULT_LIMIT, known_paths.MAX_LIMIT),
                    PROJECT,
                ],
            )
        }
    }


def _traces() -> Json:
    limit = _limit(trace_routes.DEFAULT_LIMIT, trace_routes.MAX_LIMIT)
    identity = {
        "name": "trace_id",
        "in": "path",
        "required": True,
        "schema": {**_TEXT, "minLength": 1},
        "example": "tr-1",
    }
    return {
        "/api/traces": {
            "get": operation(
                "traces",
                "List traces with feedback, the newest first.",
                "Traces",
                [_FILTERS, *_PERIOD, _ZONE, limit, _CURSOR, PROJECT],
            )
        },
        "/api/traces/{trace_id}": {
            "parameters": [identity],
            "get": operation(
                "trace",
                "Return all feedback on one trace, the newest first.",
                "TraceFeedback",
                [limit, _CURSOR, PROJECT],
            ),
        },
    }


def _rest() -> Json:
    return {
        "/api/status": {
            "get": operation("status", "Tell how far everything is.", "Status", [PROJECT])
        },
        "/api/rejected": {
            "get": operation(
                "rejected",
                "List rejected messages, the newest first.",
                "Rejected",
                [
                    parameter(
                        "code", {"type": "string", "enum": [*RejectCode]}, "Only this reason."
                    ),
                    parameter(
                        "payload",
                        _FLAG,
                        f"Add the bytes; then limit is at most {rejected.MAX_PAYLOADS}.",
                    ),
                    _limit(rejected.DEFAULT_LIMIT, rejected.MAX_LIMIT),
                    _CURSOR,
                    PROJECT,
                ],
            )
        },
    }


def _limit(usual: int, most: int) -> Json:
    return count("limit", "How many at most.", usual=usual, most=most)


def _index() -> Json:
    return {
        "/api": {"get": plain("index", "The routes.")},
    }
