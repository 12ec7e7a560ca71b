"""The OpenAPI 3.1 description of the gateway, made from the models that judge and answer.

    openapi()["paths"]["/v1/feedback"]["post"]

A test asks every route of the app for its description, and schemathesis holds the app to it.
"""

from functools import cache
from importlib.metadata import version
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from afterword.gateway.answers import Answer
from afterword.gateway.beacon import LIMITS, MAX_EVENTS
from afterword.gateway.intake import MAX_ITEMS
from afterword.gateway.receipts import RECEIPT_SCHEMA
from afterword_schemas.documents import json_schema
from afterword_schemas.limits import MAX_ARRAY_LEVELS, MAX_OBJECT_LEVELS

_Json = dict[str, Any]

_COMPONENTS: Final = "#/components/schemas/"

_ABOUT: Final = (
    "Feedback on AI answers, over HTTP to Kafka. 200 means that Kafka has acknowledged every event. "
    "Each event is judged by itself: a refused one never takes the others with it, and `errors` says "
    "which, where and why. Bodies may be compressed with gzip or zstd."
)

_FAULTS: Final = {
    400: "The body is no JSON, or damaged.",
    401: "No key, or none that is known.",
    403: "The key may not do this, or belongs to another project.",
    404: "No such address.",
    408: "The body took too long.",
    413: "The body is too large, or holds too many events.",
    415: "Another type than JSON, or a compression that is not known.",
    429: "Too many events from this address; `Retry-After` says when to go on.",
    503: "Kafka is away or the queue is full: send it again after `Retry-After`, under the same ids.",
}
_ACCEPTED: Final = {
    200: "Kafka has all events.",
    207: "Kafka has some of the events; `errors` names the others.",
    422: "No event was accepted; `errors` says why.",
}


@cache
def openapi() -> _Json:
    """Return the document; do not change it."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Afterword gateway",
            "version": version("afterword"),
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"bearer": []}, {"portkey": []}, {}],
        "paths": _feedback() | _beacon() | _operations(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "portkey": {"type": "apiKey", "in": "header", "name": "x-portkey-api-key"},
            },
        },
    }


def _feedback() -> _Json:
    one = _ref("Feedback")
    batch = {"type": "array", "items": one}
    update = {"type": "object", "minProperties": 1, "properties": _event()["properties"]}
    identity = [
        {
            "name": "feedback_id",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"},
        },
    ]
    project = {
        "name": "project",
        "in": "query",
        "description": "Where no keys are configured, the project; else the key's or nothing.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,64}$"},
    }
    return {
        "/v1/feedback": {
            "post": _operation(
                "createFeedback",
                f"Accept one event, or an array of at most {MAX_ITEMS:,} of them.",
                body={"oneOf": [one, batch]},
                answers=_ACCEPTED,
                parameters=[project],
            ),
        },
        "/v1/feedback/{feedback_id}": {
            "parameters": identity,
            "put": _operation(
                "updateFeedback",
                "Merge into an event; what is left out stays as it is. Creates it if need be.",
                body=update,
                answers=_ACCEPTED,
                parameters=[project],
            ),
            "post": _operation(
                "updateFeedbackByPost",
                "As PUT.",
                body=update,
                answers=_ACCEPTED,
                parameters=[project],
            ),
            "delete": _operation(
                "clearFeedback", "Take an event back.", answers=_ACCEPTED, parameters=[project]
            ),
            "get": _operation(
                "readReceipt",
                "Tell what became of an event; takes a key that may read.",
                answers={200: "What is known of it."},
                result="Receipt",
                parameters=[project],
            ),
        },
    }


def _beacon() -> _Json:
    events = {"type": "array", "items": _ref("Feedback")}
    body = {
        "type": "object",
        "required": ["events"],
        "properties": {"key": {"type": "string"}, "events": events},
        "additionalProperties": False,
    }
    return {
        "/v1/beacon": {
            "post": _operation(
                "receiveBeacon",
                "Accept events from a browser, with a publishable key in the body. At most "
                f"{MAX_EVENTS} events and {LIMITS.max_bytes // 1024} KiB; `set` and `clear` only.",
                body=body,
                answers=_ACCEPTED,
                kinds=("application/json", "text/plain"),
            ),
        },
        "/afterword.js": {"get": _plain("snippet", "The script for web pages.", "text/javascript")},
    }


def _operations() -> _Json:
    return {
        "/healthz": {"get": _plain("healthz", "Whether the process lives.", "application/json")},
        "/readyz": {
            "get": _plain("readyz", "Whether events can be published.", "application/json")
            | {
                "responses": {
                    "200": _content("They can.", "application/json", {"type": "object"}),
                    "503": _content("They cannot now.", "application/json", {"type": "object"}),
                }
            },
        },
        "/metrics": {"get": _plain("metrics", "Counters for Prometheus.", "text/plain")},
        "/openapi.json": {"get": _plain("openapi", "This document.", "application/json")},
    }


def _operation(
    operation_id: str,
    summary: str,
    *,
    answers: dict[int, str],
    body: _Json | None = None,
    result: str = "Answer",
    kinds: tuple[str, ...] = ("application/json",),
    parameters: list[_Json] | None = None,
) -> _Json:
    made: _Json = {"operationId": operation_id, "summary": summary}
    if parameters:
        made["parameters"] = parameters
    if body is not None:
        made["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": body} for kind in kinds},
        }
    made["responses"] = {
        str(status): _content(text, "application/json", _ref(result))
        for status, text in answers.items()
    } | {
        str(status): _content(text, "application/json", _ref("Answer"))
        for status, text in _FAULTS.items()
        if status not in answers
    }
    return made


def _plain(operation_id: str, summary: str, kind: str) -> _Json:
    """Describe a route that takes and needs nothing."""
    return {
        "operationId": operation_id,
        "summary": summary,
        "security": [],
        "responses": {"200": _content(summary, kind, {})},
    }


def _content(text: str, kind: str, schema: _Json) -> _Json:
    return {"description": text, "content": {kind: {"schema": schema}}}


def _schemas() -> _Json:
    _, made = models_json_schema([(Answer, "serialization")], ref_template=_COMPONENTS + "{model}")
    return {"Feedback": _event(), "Receipt": RECEIPT_SCHEMA, **made["$defs"]}


def _event() -> _Json:
    """Return the event's schema, with what may be left out here, and what only the gateway takes."""
    schema = json_schema()
    properties = {name: _open(field) for name, field in schema["properties"].items()}
    text = {
        "type": "string",
        "contentMediaType": "application/json",
        "description": "As JSON text.",
    }
    properties["metadata"] = {"oneOf": [properties["metadata"], text]}
    properties["traceID"] = properties["trace_id"] | {"description": "Portkey's `trace_id`."}
    properties["traceparent"] = {
        "type": ["string", "null"],
        "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
        "description": "W3C Trace Context, handed on as a header of the message.",
    }
    return {
        "description": schema["description"],
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _open(field: _Json) -> _Json:
    """Leave what may be nested to the event's JSON Schema: its recursion is too much for generators."""
    if "object" not in field["type"]:
        return field
    depth = f"At most {MAX_OBJECT_LEVELS} objects and {MAX_ARRAY_LEVELS} arrays deep."
    return {"type": field["type"], "description": f"{field['description']} {depth}"}


def _ref(name: str) -> _Json:
    return {"$ref": f"{_COMPONENTS}{name}"}
