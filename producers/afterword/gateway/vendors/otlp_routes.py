"""OTLP over HTTP: spans and log records, in protobuf or JSON.

    POST /v1/traces, /opentelemetry/v1/traces   HoneyHive's feedback on spans, and evaluations in them
    POST /v1/logs, /opentelemetry/v1/logs       evaluations

The answers are the specification's. 200 says how many were refused, and why. 503 with `Retry-After`
makes exporters send the batch again, and then nothing in it counts twice. Any other status ends it.
https://opentelemetry.io/docs/specs/otlp/#otlphttp-response
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Status
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from afterword.gateway.auth.key_file import Scope
from afterword.gateway.http.responses import RETRY_AFTER_S, Outcome, RequestError
from afterword.gateway.service import gateway_of
from afterword.gateway.vendors.events import Translated, judge_translated
from afterword.gateway.vendors.otlp import Encoding, logs_to_events, spans_to_events
from afterword.gateway.vendors.otlp_messages import MalformedError

_Translate = Callable[[bytes, Encoding, str], Iterable[Translated]]
_Accept = Callable[[int, str], Message]

_ENCODINGS: Final[Mapping[str, Encoding]] = {
    "application/x-protobuf": "protobuf",
    "application/json": "json",
}
_MAX_REASONS: Final = 5


async def receive_spans(request: Request) -> Response:
    """Take the feedback in spans."""
    return await _receive(request, spans_to_events, _accept_spans)


async def receive_log_records(request: Request) -> Response:
    """Take the evaluations among log records."""
    return await _receive(request, logs_to_events, _accept_log_records)


ROUTES: Final = [
    Route(f"{prefix}/v1/{signal}", receive, methods=["POST"])
    for signal, receive in (("traces", receive_spans), ("logs", receive_log_records))
    for prefix in ("", "/opentelemetry")
]


async def _receive(request: Request, translate: _Translate, accept: _Accept) -> Response:
    encoding = _encoding(request)
    try:
        outcome = await _take(request, encoding, translate)
    except MalformedError as error:
        return _answer(400, _status(str(error)), encoding)
    except RequestError as error:
        return _answer(error.status, _status(error.detail), encoding, error.headers)
    if outcome.status == 503:  # noqa: PLR2004
        detail = "Kafka has not acknowledged all of it: send the batch again, nothing counts twice."
        return _answer(503, _status(detail), encoding, {"retry-after": str(RETRY_AFTER_S)})
    return _answer(200, accept(len(outcome.errors), _reasons(outcome)), encoding)


async def _take(request: Request, encoding: Encoding | None, translate: _Translate) -> Outcome:
    gateway = gateway_of(request)
    access = gateway.admit(request, Scope.WRITE)
    project, rules = gateway.project(request, access), gateway.rules(request, access)
    async with gateway.reading(request) as raw:
        if encoding is None:
            detail = f"Content-Type takes {' or '.join(_ENCODINGS)}."
            accepted = {"accept-post": ", ".join(_ENCODINGS)}
            raise RequestError(415, "unsupported_media_type", detail, accepted)
        return await gateway.accept(
            raw, lambda raw: judge_translated(translate(raw, encoding, project), rules)
        )


def _encoding(request: Request) -> Encoding | None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return _ENCODINGS.get(kind)


def _reasons(outcome: Outcome) -> str:
    told = [f"{error.detail} [{error.code} at {error.path}]" for error in outcome.errors]
    more = f"; and {len(told) - _MAX_REASONS} more" if len(told) > _MAX_REASONS else ""
    return "; ".join(told[:_MAX_REASONS]) + more


def _accept_spans(refused: int, reasons: str) -> Message:
    if not refused:
        return ExportTraceServiceResponse()
    partial = ExportTracePartialSuccess(rejected_spans=refused, error_message=reasons)
    return ExportTraceServiceResponse(partial_success=partial)


def _accept_log_records(refused: int, reasons: str) -> Message:
    if not refused:
        return ExportLogsServiceResponse()
    partial = ExportLogsPartialSuccess(rejected_log_records=refused, error_message=reasons)
    return ExportLogsServiceResponse(partial_success=partial)


def _status(detail: str) -> Message:
    """Return a `google.rpc.Status` with its message alone, which a span's status is on the wire."""
    return Status(message=detail)


def _answer(
    status: int,
    message: Message,
    encoding: Encoding | None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    if encoding == "protobuf":
        body: bytes | str = message.SerializeToString()
        return Response(body, status, headers=headers, media_type="application/x-protobuf")
    body = MessageToJson(message, indent=None)
    return Response(body, status, headers=headers, media_type="application/json")
