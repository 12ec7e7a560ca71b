"""The OpenAPI 3.1 description of the API.

    openapi()["paths"]["/api/query"]["get"]

A test asks every route of the app for its description, and schemathesis holds the app to it.
"""

from functools import cache
from importlib.metadata import version
from typing import Final

from afterword_consumers.api.openapi_parts import (
    PROJECT,
    SCHEMAS,
    Json,
    content,
    operation,
    parameter,
    plain,
)
from afterword_consumers.query import Bucket
from afterword_consumers.query.question import MAX_TOP

_ABOUT: Final = (
    "Questions about feedback, over HTTP from ClickHouse. It only reads. A key sees its project and no "
    "other. Each request has a budget of time, rows and memory: beyond it, the answer is 422."
)
_TEXT: Final = {"type": "string"}
_FLAG: Final = {"type": "string", "enum": ["true", "false"]}
_FILTERS: Final = parameter(
    "where",
    {"type": "array", "items": _TEXT},
    "A filter such as `metadata.model = gpt-5`; repeat it for and.",
)
_PERIOD: Final = [
    parameter(
        "since", _TEXT, "The earliest created_at: 7d, 24h, 2026-01-31, 2026-01-31T09:30:00Z."
    ),
    parameter("until", _TEXT, "The end of created_at, itself excluded; likewise."),
]


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
        "security": [{"bearer": []}, {"portkey": []}, {}],
        "paths": _questions() | _operations(),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "portkey": {"type": "apiKey", "in": "header", "name": "x-portkey-api-key"},
            },
        },
    }


def _questions() -> Json:
    described = operation(
        "query",
        "Answer a question about any path, as `afterword query` does.",
        "Answer",
        [
            parameter("measure", _TEXT, "A path, a column, weighted or count.", required=True),
            parameter(
                "group_by",
                {"type": "array", "items": _TEXT, "maxItems": 2},
                "A path or a column; up to two.",
            ),
            _FILTERS,
            *_PERIOD,
            parameter("bucket", {"type": "string", "enum": [*Bucket]}, "A row for each."),
            parameter("timezone", _TEXT, "Where days begin, such as Europe/Berlin."),
            parameter(
                "top",
                {"type": "integer", "minimum": 1, "maximum": MAX_TOP, "default": 20},
                "Groups shown; the rest is other.",
            ),
            parameter("approximate", _FLAG, "Percentiles from a sketch."),
            parameter("sql", _FLAG, "Add the SQL that ran; JSON only."),
            PROJECT,
        ],
    )
    described["responses"]["200"]["content"]["text/csv"] = {"schema": _TEXT}
    described["responses"]["406"] = content(
        "Neither JSON nor CSV is acceptable.", "application/json", "Error"
    )
    return {"/api/query": {"get": described}}


def _operations() -> Json:
    return {
        "/": {"get": plain("root", "The routes.")},
        "/api": {"get": plain("index", "The routes.")},
        "/healthz": {"get": plain("healthz", "Whether the process lives.")},
        "/readyz": {
            "get": plain(
                "readyz", "Whether questions can be answered.", unready="They cannot now."
            ),
        },
        "/metrics": {"get": plain("metrics", "Counters for Prometheus.", "text/plain")},
        "/openapi.json": {"get": plain("openapi", "This document.")},
    }
