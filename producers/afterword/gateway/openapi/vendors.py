"""The part of the OpenAPI document that is the vendors': HoneyHive's and OpenTelemetry's routes.

Their bodies are described by those who made them; what is not feedback in them is accepted unseen.
"""

from typing import Final

from afterword.gateway.openapi.parts import ACCEPTED, FAULTS, PROJECT, Json, content, operation

_HONEYHIVE: Final = "https://docs.honeyhive.ai"
_OTLP: Final = "https://opentelemetry.io/docs/specs/otlp/"


def vendor_paths() -> Json:
    """Return the vendors' part of `paths`."""
    return {
        "/session/start": {"post": _honeyhive("startSession", "Give a session its id.")},
        "/events": {
            "post": _honeyhive("createEvent", "Give an event its id, and take its feedback."),
            "put": _honeyhive("updateEvent", "Merge into the session or event of `event_id`."),
        },
        "/events/batch": {"post": _honeyhive("createEvents", "As `createEvent`, for `events`.")},
        "/v1/events": {"post": _honeyhive("createBareEvent", "As `createEvent`.")},
        "/v1/events/{event_id}": {
            "parameters": [
                {"name": "event_id", "in": "path", "required": True, "schema": {"type": "string"}}
            ],
            "put": _honeyhive("updateNamedEvent", "Merge into a session or event."),
        },
    } | {
        f"{prefix}/v1/{signal}": {"post": _otlp(f"{name}{signal.capitalize()}", signal)}
        for signal in ("traces", "logs")
        for prefix, name in (("", "export"), ("/opentelemetry", "exportHoneyHive"))
    }


def _honeyhive(operation_id: str, summary: str) -> Json:
    described = operation(
        operation_id,
        f"{summary} Called by HoneyHive's SDK.",
        body={"type": "object"},
        answers=ACCEPTED,
        parameters=[PROJECT],
    )
    return described | {"externalDocs": {"url": _HONEYHIVE}}


def _otlp(operation_id: str, signal: str) -> Json:
    summary = f"Take the feedback in OTLP {signal}; the other {signal} are accepted and dropped."
    described = operation(
        operation_id, summary, body={"type": "object"}, answers={}, parameters=[PROJECT]
    )
    described["requestBody"]["content"]["application/x-protobuf"] = {}
    accepted = "Read, and what was accepted of it is in Kafka; `partialSuccess` names the rest."
    described["responses"] = {
        str(status): _in_both_encodings(text) for status, text in {200: accepted, **FAULTS}.items()
    }
    return described | {"externalDocs": {"url": _OTLP}}


def _in_both_encodings(text: str) -> Json:
    answer = content(text, "application/json", {"type": "object"})
    answer["content"]["application/x-protobuf"] = {}
    return answer
