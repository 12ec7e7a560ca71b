"""The OpenAPI 3.1 description of the gateway, made from the models that judge and answer.

    openapi()["paths"]["/v1/feedback"]["post"]

A test asks every route of the app for its description, and schemathesis holds the app to it.
"""

from functools import cache
from importlib.metadata import version
from typing import Final

from pydantic.json_schema import models_json_schema

from afterword.gateway.browser.beacon import LIMITS, MAX_EVENTS
from afterword.gateway.http.responses import Answer
from afterword.gateway.intake import MAX_ITEMS
from afterword.gateway.openapi.parts import (
    ACCEPTED,
    COMPONENTS,
    PROJECT,
    Json,
    content,
    operation,
    plain,
    ref,
)
from afterword.gateway.openapi.vendors import vendor_paths
from afterword.gateway.receipts import RECEIPT_SCHEMA
from afterword_schemas.documents import json_schema
from afterword_schemas.limits import MAX_ARRAY_LEVELS, MAX_OBJECT_LEVELS
from afterword_schemas.patterns import TRACEPARENT, whole

_ABOUT: Final = (
    "Feedback on AI answers, over HTTP to Kafka. 200 means that Kafka has acknowledged every event. "
    "Each event is judged by itself: a refused one never takes the others with it, and `errors` says "
    "which, where and why. Bodies may be compressed with gzip or zstd."
)


@cache
def openapi() -> Json:
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
        "paths": _feedback() | vendor_paths() | _beacon() | _operations(),
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "portkey": {"type": "apiKey", "in": "header", "name": "x-portkey-api-key"},
            },
        },
    }


def _feedback() -> Json:
    one = ref("Feedback")
    update = {"type": "object", "minProperties": 1, "properties": _event()["properties"]}
    identity = [
        {
            "name": "feedback_id",
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"},
        },
    ]
    return {
        "/v1/feedback": {
            "post": operation(
                "createFeedback",
                f"Accept one event, or an array of at most {MAX_ITEMS:,} of them.",
                body={"oneOf": [one, *_bulk(one)]},
                answers=ACCEPTED,
                parameters=[PROJECT],
            ),
        },
        "/v1/feedback/{feedback_id}": {
            "parameters": identity,
            "put": operation(
                "updateFeedback",
                "Merge into an event; what is left out stays as it is. Creates it if need be.",
                body=update,
                answers=ACCEPTED,
                parameters=[PROJECT],
            ),
            "post": operation(
                "updateFeedbackByPost",
                "As PUT.",
                body=update,
                answers=ACCEPTED,
                parameters=[PROJECT],
            ),
            "delete": operation(
                "clearFeedback", "Take an event back.", answers=ACCEPTED, parameters=[PROJECT]
            ),
            "get": operation(
                "readReceipt",
                "Tell what became of an event; takes a key that may read.",
                answers={200: "What is known of it."},
                result="Receipt",
                parameters=[PROJECT],
            ),
        },
    }


def _beacon() -> Json:
    events = {"oneOf": _bulk(ref("Feedback"))}
    body = {
        "type": "object",
        "required": ["events"],
        "properties": {"key": {"type": "string"}, "events": events},
        "additionalProperties": False,
    }
    return {
        "/v1/beacon": {
            "post": operation(
                "receiveBeacon",
                "Accept events from a browser, with a publishable key in the body. At most "
                f"{MAX_EVENTS} events and {LIMITS.max_bytes // 1024} KiB; `set` and `clear` only. Events are "
                "stored under ids of their own, which the answer names.",
                body=body,
                answers=ACCEPTED,
                kinds=("application/json", "text/plain"),
            ),
        },
        "/afterword.js": {"get": plain("snippet", "The script for web pages.", "text/javascript")},
    }


def _bulk(one: Json) -> list[Json]:
    """Return the forms of many events."""
    return [
        {"type": "array", "items": one},
        {
            "description": "An array as an object: its keys are 0, 1, 2 and so on, without a gap.",
            "type": "object",
            "required": ["0"],
            "properties": {"0": one},
            "patternProperties": {"^[1-9][0-9]*$": one},
            "additionalProperties": False,
        },
    ]


def _operations() -> Json:
    return {
        "/healthz": {"get": plain("healthz", "Whether the process lives.", "application/json")},
        "/readyz": {
            "get": plain("readyz", "Whether events can be published.", "application/json")
            | {
                "responses": {
                    "200": content("They can.", "application/json", {"type": "object"}),
                    "503": content("They cannot now.", "application/json", {"type": "object"}),
                }
            },
        },
        "/metrics": {"get": plain("metrics", "Counters for Prometheus.", "text/plain")},
        "/openapi.json": {"get": plain("openapi", "This document.", "application/json")},
    }


def _schemas() -> Json:
    _, made = models_json_schema([(Answer, "serialization")], ref_template=COMPONENTS + "{model}")
    return {"Feedback": _event(), "Receipt": RECEIPT_SCHEMA, **made["$defs"]}


def _event() -> Json:
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
        "pattern": whole(TRACEPARENT),
        "description": "W3C Trace Context, handed on as a header of the message.",
    }
    return {
        "description": schema["description"],
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _open(field: Json) -> Json:
    """Leave what may be nested to the event's JSON Schema: its recursion is too much for generators."""
    if "object" not in field["type"]:
        return field
    depth = f"At most {MAX_OBJECT_LEVELS} objects and {MAX_ARRAY_LEVELS} arrays deep."
    return {"type": field["type"], "description": f"{field['description']} {depth}"}
