"""Read OTLP in protobuf, which nearly all exporters send."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from afterword.gateway.otlp_ids import span_id, trace_id
from afterword.gateway.otlp_messages import (
    CUT,
    EVENT_NAME,
    MAX_LEVELS,
    LogRecord,
    MalformedError,
    Span,
)
from afterword_schemas.errors import EventError

_Given = TypeVar("_Given", trace_pb2.Span, logs_pb2.LogRecord)
_Read = TypeVar("_Read", Span, LogRecord)

_SCALARS: Final = frozenset({"string_value", "bool_value", "int_value", "double_value"})


def read_spans(body: bytes, prefixes: tuple[str, ...]) -> Iterator[Span | EventError]:
    """Yield the spans that have an attribute whose key begins so, or what is wrong with them.

    Raises:
        MalformedError: The body is no `ExportTraceServiceRequest`.
    """
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise MalformedError("The body is no ExportTraceServiceRequest in protobuf.") from None
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                if any(attribute.key.startswith(prefixes) for attribute in span.attributes):
                    yield _attempt(_read_span, span)


def read_log_records(body: bytes, event_name: str) -> Iterator[LogRecord | EventError]:
    """Yield the log records of events of this name, or what is wrong with them.

    Raises:
        MalformedError: The body is no `ExportLogsServiceRequest`.
    """
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError:
        raise MalformedError("The body is no ExportLogsServiceRequest in protobuf.") from None
    for resource in request.resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                if _event_name(record) == event_name:
                    yield _attempt(_read_log_record, record)


def _event_name(record: logs_pb2.LogRecord) -> str:
    if record.event_name:
        return record.event_name
    names = (entry.value.string_value for entry in record.attributes if entry.key == EVENT_NAME)
    return next(names, "")


def _attempt(read: Callable[[_Given], _Read], message: _Given) -> _Read | EventError:
    try:
        return read(message)
    except EventError as error:
        return error


def _read_span(span: trace_pb2.Span) -> Span:
    return Span(
        trace_id=trace_id(span.trace_id),
        span_id=span_id(span.span_id),
        end_time_ns=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
    )


def _read_log_record(record: logs_pb2.LogRecord) -> LogRecord:
    return LogRecord(
        trace_id=trace_id(record.trace_id),
        span_id=span_id(record.span_id),
        time_ns=record.time_unix_nano or record.observed_time_unix_nano,
        attributes=_attributes(record.attributes),
    )


def _attributes(entries: Iterable[KeyValue], level: int = 0) -> dict[str, object]:
    return {entry.key: _value(entry.value, level) for entry in entries}


def _value(value: AnyValue, level: int) -> object:
    if level > MAX_LEVELS:
        return CUT
    kind = value.WhichOneof("value")
    if kind in _SCALARS:
        return getattr(value, kind)
    if kind == "bytes_value":
        return b64encode(value.bytes_value).decode()
    if kind == "array_value":
        return [_value(item, level + 1) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values, level + 1)
    return None
