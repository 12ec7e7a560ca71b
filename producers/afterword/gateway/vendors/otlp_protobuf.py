"""Read OTLP in protobuf, which nearly all exporters send."""

from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar

from google.protobuf.message import DecodeError

from afterword.gateway.unicode_text import decode_leniently
from afterword.gateway.vendors import otlp_wire as wire
from afterword.gateway.vendors.otlp_ids import span_id, trace_id
from afterword.gateway.vendors.otlp_messages import (
    CUT,
    EVALUATION,
    EVENT_NAME,
    MAX_LEVELS,
    READ_OF_SPANS,
    SAID_IN_SPANS,
    LogRecord,
    MalformedError,
    Span,
    check_spans,
)
from afterword_schemas.errors import InvalidEventError, RejectCode

_Read = TypeVar("_Read")

_EVALUATION: Final = EVALUATION.encode()
_EVENT_NAME: Final = EVENT_NAME.encode()
_SAID: Final = tuple(prefix.encode() for prefix in SAID_IN_SPANS)
_READ: Final = tuple(prefix.encode() for prefix in READ_OF_SPANS)


def read_spans(body: bytes) -> Iterator[Span | LogRecord | InvalidEventError]:
    """Yield the spans that hold feedback and the evaluations in spans, or what is wrong with them.

    Raises:
        MalformedError: The body is not an `ExportTraceServiceRequest`.
    """
    for span in _messages(body, wire.Span, "ExportTraceServiceRequest", (*_SAID, _EVALUATION)):
        if isinstance(span, InvalidEventError):
            yield span
            continue
        if any(attribute.key.startswith(_SAID) for attribute in span.attributes):
            yield _attempt(_read_span, span)
        for event in span.events:
            if event.name == _EVALUATION:
                yield _attempt(_read_span_event, span, event)


def read_log_records(body: bytes) -> Iterator[LogRecord | InvalidEventError]:
    """Yield the log records that are evaluations, or what is wrong with them.

    Raises:
        MalformedError: The body is not an `ExportLogsServiceRequest`.
    """
    for record in _messages(body, wire.LogRecord, "ExportLogsServiceRequest", (_EVALUATION,)):
        if isinstance(record, InvalidEventError):
            yield record
            continue
        name = _attempt(_event_name, record)
        if isinstance(name, InvalidEventError):
            yield name
        elif name == _EVALUATION:
            yield _attempt(_read_log_record, record)


def _messages(body: bytes, kind: Any, name: str, words: tuple[bytes, ...]) -> Iterator[Any]:
    """Yield the spans or log records in which one of some words stands; the others are not parsed."""
    try:
        request = wire.Request.FromString(body)
    except DecodeError:
        raise MalformedError(f"The body is not an {name} in protobuf.") from None
    count = 0
    for resource in request.resources:
        count += 1 + len(resource.scopes)
        check_spans(count)
        for scope in resource.scopes:
            count += len(scope.items)
            check_spans(count)
            for raw in scope.items:
                if any(word in raw for word in words):
                    yield _attempt(kind.FromString, raw)


def _attempt(read: Callable[..., _Read], *parts: Any) -> _Read | InvalidEventError:
    try:
        return read(*parts)
    except InvalidEventError as error:
        return error
    except DecodeError:
        detail = "the bytes are not what OTLP has here"
        return InvalidEventError(RejectCode.INVALID_FORMAT, "$", detail)


def _read_span(span: Any) -> Span:
    return Span(
        trace_id=trace_id(span.trace_id),
        span_id=span_id(span.span_id),
        end_time_ns=span.end_time_unix_nano,
        attributes=_attributes(filter(_is_read, span.attributes)),
    )


def _read_span_event(span: Any, event: Any) -> LogRecord:
    return LogRecord(
        trace_id=trace_id(span.trace_id),
        span_id=span_id(span.span_id),
        time_ns=event.time_unix_nano,
        attributes=_attributes(event.attributes),
        span_attributes=_attributes(filter(_is_read, span.attributes)),
    )


def _read_log_record(record: Any) -> LogRecord:
    return LogRecord(
        trace_id=trace_id(record.trace_id),
        span_id=span_id(record.span_id),
        time_ns=record.time_unix_nano or record.observed_time_unix_nano,
        attributes=_attributes(record.attributes),
    )


def _is_read(attribute: Any) -> bool:
    return bool(attribute.key.startswith(_READ))


def _event_name(record: Any) -> bytes:
    if record.event_name:
        return bytes(record.event_name)
    named = (entry.value for entry in record.attributes if entry.key == _EVENT_NAME)
    return bytes(wire.AnyValue.FromString(next(named, b"")).string_value)


def _attributes(entries: Iterable[Any], level: int = 0) -> dict[str, object]:
    return {decode_leniently(entry.key): _value(entry.value, level) for entry in entries}


def _value(raw: bytes, level: int) -> object:
    if level > MAX_LEVELS:
        return CUT
    value = wire.AnyValue.FromString(raw)
    kind = value.WhichOneof("value")
    return _READERS[kind](getattr(value, kind), level) if kind else None


def _text(raw: bytes, _: int) -> str:
    return decode_leniently(raw)


def _scalar(scalar: float, _: int) -> float:
    return scalar


def _base64(raw: bytes, _: int) -> str:
    return b64encode(raw).decode()


def _array(raw: bytes, level: int) -> list[object]:
    return [_value(item, level + 1) for item in wire.ArrayValue.FromString(raw).values]


def _key_values(raw: bytes, level: int) -> dict[str, object]:
    return _attributes(wire.KeyValueList.FromString(raw).values, level + 1)


_READERS: Final[dict[str, Callable[[Any, int], object]]] = {
    "string_value": _text,
    "bool_value": _scalar,
    "int_value": _scalar,
    "double_value": _scalar,
    "bytes_value": _base64,
    "array_value": _array,
    "kvlist_value": _key_values,
}
