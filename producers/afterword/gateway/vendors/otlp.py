"""Feedback that comes with telemetry: in HoneyHive's span attributes, and in evaluation events.

    span   honeyhive_feedback.edits.0.value = "Oslo"    →  patch  feedback.edits.0.value
    log    gen_ai.evaluation.result, name "relevance",  →  set    metrics.relevance.score,
           score.value 0.9, score.label "relevant"                metrics.relevance.label

Spans: HoneyHive's SDK flattens what `enrich_span` is given; here it is put together again, so that
the limits of nesting are those of the document. `honeyhive_metrics`, `honeyhive_metadata` and
`honeyhive_user_properties` come along. The time is the span's end: a batch that is exported twice
changes nothing the second time, and what was said of the span later stands.

Logs: evaluations are made by judges, not by users, so they go to `metrics`; and each under its name,
for scores of two evaluations have no common scale. `metrics.relevance.score` has percentiles of its
own, and groups by `metrics.relevance.label`. The id comes of time and content, so a record that is
exported twice counts once.

A span may hold such evaluations, too, as events of the same name. They are read as log records are.

Everything else in spans and logs is passed over. What is wrong with it does not matter.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import orjson

from afterword._identity import derived_id
from afterword._signals import without_none
from afterword.gateway.vendors import otlp_json, otlp_protobuf
from afterword.gateway.vendors.honeyhive import update_event
from afterword.gateway.vendors.otlp_messages import MAX_ATTRIBUTES, SESSION_IDS, LogRecord, Span
from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.flatten import json_path
from afterword_schemas.times import ns_to_ms
from afterword_schemas.unflatten import unflatten

Encoding = Literal["protobuf", "json"]

_ROOTS: Final = ("feedback", "metrics", "metadata", "user_properties")
_PARTS: Final = {
    "score": "gen_ai.evaluation.score.value",
    "label": "gen_ai.evaluation.score.label",
    "explanation": "gen_ai.evaluation.explanation",
    "error": "error.type",
}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def spans_to_events(
    body: bytes, encoding: Encoding, project: str
) -> Iterator[dict[str, Any] | InvalidEventError]:
    """Yield what the spans of an `ExportTraceServiceRequest` say, or why it cannot be.

    Raises:
        MalformedError: It is none.
    """
    read = otlp_json.read_spans if encoding == "json" else otlp_protobuf.read_spans
    return _translate(read(body), project)


def logs_to_events(
    body: bytes, encoding: Encoding, project: str
) -> Iterator[dict[str, Any] | InvalidEventError]:
    """Yield what the evaluations in an `ExportLogsServiceRequest` say, or why it cannot be.

    Raises:
        MalformedError: It is none.
    """
    read = otlp_json.read_log_records if encoding == "json" else otlp_protobuf.read_log_records
    return _translate(read(body), project)


def _translate(
    items: Iterable[Span | LogRecord | InvalidEventError], project: str
) -> Iterator[dict[str, Any] | InvalidEventError]:
    for item in items:
        try:
            event = _to_event(item, project)
        except InvalidEventError as error:
            event = error
        if event is not None:
            yield event


def _to_event(
    item: Span | LogRecord | InvalidEventError, project: str
) -> dict[str, Any] | InvalidEventError | None:
    if not isinstance(item, InvalidEventError) and len(item.attributes) > MAX_ATTRIBUTES:
        detail = f"more than {MAX_ATTRIBUTES:,} attributes, and an event holds fewer values"
        raise InvalidEventError(RejectCode.TOO_MANY_LEAVES, "$.attributes", detail)
    if isinstance(item, Span):
        return _span_to_event(item, project)
    return _log_to_event(item, project) if isinstance(item, LogRecord) else item


def _span_to_event(span: Span, project: str) -> dict[str, Any] | None:
    if not span.span_id:
        detail = "a span without an id, so nothing could be merged with it"
        raise InvalidEventError(RejectCode.MISSING_FIELD, "$.spanId", detail)
    documents = {root: unflatten(root, _entries(span.attributes, root)) for root in _ROOTS}
    said = {root: document for root, document in documents.items() if document}
    event_id = span.attributes.get("honeyhive_event_id") or span.span_id
    event = update_event(event_id, said, project)
    if event is not None:
        event.pop("session_id", None)  # of an event id of the caller's own, which is no session's
        event |= _context(span)
        if span.end_time_ns:
            time_ms = ns_to_ms(span.end_time_ns, "endTimeUnixNano")
            event["created_at"] = event["updated_at"] = _rfc3339(time_ms)
    return event


def _entries(attributes: Mapping[str, Any], root: str) -> Iterator[tuple[str | None, object]]:
    whole = f"honeyhive_{root}"
    for key, value in attributes.items():
        if key == whole:
            yield None, value
        elif key.startswith(f"{whole}."):
            yield key[len(whole) + 1 :], value


def _log_to_event(record: LogRecord, project: str) -> dict[str, Any]:
    attributes = record.attributes
    name = attributes.get("gen_ai.evaluation.name")
    if not name or not isinstance(name, str):
        path = json_path(["attributes", "gen_ai.evaluation.name"])
        raise InvalidEventError(
            RejectCode.MISSING_FIELD, path, "an evaluation takes a name, as text"
        )
    if not record.time_ns:
        detail = "a record without a time, so a repeated one could not be told from a new one"
        raise InvalidEventError(RejectCode.MISSING_FIELD, "$.timeUnixNano", detail)
    time_ms = ns_to_ms(record.time_ns, "timeUnixNano")
    result = {part: attributes.get(key) for part, key in _PARTS.items()}
    response_id = attributes.get("gen_ai.response.id")
    target = _context(record) or without_none(trace_id=response_id)
    return {
        "feedback_id": _record_id(record, project),
        "project": project,
        "updated_at": _rfc3339(time_ms),
        **target,
        "metrics": {name: without_none(**result)},
        "metadata": without_none(response_id=response_id),
    }


def _record_id(record: LogRecord, project: str) -> str:
    content = [record.trace_id, record.span_id, str(record.time_ns)]
    try:
        attributes = orjson.dumps(record.attributes, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # half of a surrogate pair, in a part that may be dropped
        attributes = json.dumps(record.attributes, sort_keys=True)
    return derived_id(record.time_ns // 1_000_000, project, *content, attributes)


def _context(item: Span | LogRecord) -> dict[str, Any]:
    named = [item.attributes]
    if isinstance(item, LogRecord):
        named.append(item.span_attributes)
    sessions = (attributes.get(name) for attributes in named for name in SESSION_IDS)
    return without_none(
        trace_id=item.trace_id or None,
        span_id=item.span_id or None,
        session_id=next((session for session in sessions if session), None),
    )


def _rfc3339(time_ms: int) -> str:
    time = _EPOCH + timedelta(milliseconds=time_ms)
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
