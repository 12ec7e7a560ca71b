"""Read OTLP in JSON, which HoneyHive's SDK sends.

The format is protobuf's JSON mapping with names in lowerCamelCase, but for the ids, which are
hexadecimal. An int64 may be a number or text. Fields that are null or unknown are passed over.
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import count
from json import JSONDecodeError
from typing import Any, Final, NoReturn, TypeVar

import orjson

from afterword.gateway.json_values import check_containers, elements, members
from afterword.gateway.unicode_text import decode_leniently
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
from afterword_schemas.json_text import is_text_too_deep, too_deep

_Json = dict[str, Any]
_Read = TypeVar("_Read")

_INTEGER: Final = re.compile("-?[0-9]{1,20}")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_NOT_FINITE: Final = frozenset({"NaN", "Infinity", "-Infinity"})


def read_spans(body: bytes) -> Iterator[Span | LogRecord | InvalidEventError]:
    """Yield the spans that hold feedback and the evaluations in spans, or what is wrong with them.

    Raises:
        MalformedError: The body is not an `ExportTraceServiceRequest`.
    """
    for span in _innermost(body, ("resourceSpans", "scopeSpans", "spans")):
        if isinstance(span, InvalidEventError):
            yield span
            continue
        if any(_key(entry).startswith(SAID_IN_SPANS) for entry in _entries(span)):
            yield _attempt(_read_span, span)
        for event in _objects(span.get("events")):
            if event.get("name") == EVALUATION:
                yield _attempt(_read_span_event, span, event)


def read_log_records(body: bytes) -> Iterator[LogRecord | InvalidEventError]:
    """Yield the log records that are evaluations, or what is wrong with them.

    Raises:
        MalformedError: The body is not an `ExportLogsServiceRequest`.
    """
    for record in _innermost(body, ("resourceLogs", "scopeLogs", "logRecords")):
        if isinstance(record, InvalidEventError):
            yield record
        elif _event_name(record) == EVALUATION:
            yield _attempt(_read_log_record, record)


def _innermost(body: bytes, names: tuple[str, ...]) -> Iterable[_Json | InvalidEventError]:
    """Return the spans or log records of a request."""
    check_containers(body)
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:  # also for NaN and half an emoji
        text = decode_leniently(body)
        if is_text_too_deep(text):
            return _one_by_one(text, names)
        try:
            document = json.loads(text)
        except JSONDecodeError:
            raise MalformedError("The body is not JSON.") from None
        except ValueError:  # an integer of more digits than Python reads
            return _one_by_one(text, names)
    nodes = [document]
    for name in names:
        nodes = [child for node in nodes for child in _children(node, name)]
        check_spans(len(nodes))
    if not all(isinstance(node, dict) for node in nodes):
        raise MalformedError(f"{names[-1]} takes objects.")
    return nodes


def _one_by_one(text: str, names: tuple[str, ...]) -> Iterator[_Json | InvalidEventError]:
    """Yield the spans or log records of a request that cannot be parsed as a whole."""
    try:
        for item in _texts(text, names, count(1)):
            node = _attempt(_parse, item)
            if isinstance(node, dict) or any(word in item for word in (*SAID_IN_SPANS, EVALUATION)):
                yield node
    except JSONDecodeError:
        raise MalformedError("The body is not JSON.") from None
    except InvalidEventError as error:
        raise MalformedError(f"The body as a whole: {error.detail}.") from None


def _texts(text: str, names: tuple[str, ...], counted: Iterator[int]) -> Iterator[str]:
    if not names:
        yield text
        return
    for name, value in members(text):
        if name == names[0] and value.given is not None:
            for child in elements(value.text):
                check_spans(next(counted))
                yield from _texts(child.text, names[1:], counted)


def _parse(text: str) -> _Json:
    if is_text_too_deep(text):
        raise too_deep()
    try:
        node = json.loads(text)
    except JSONDecodeError:
        raise
    except ValueError:  # an integer of more digits than Python reads
        raise InvalidEventError(
            RejectCode.OUT_OF_RANGE, "$", "a number of thousands of digits"
        ) from None
    if not isinstance(node, dict):
        raise MalformedError("Spans and log records are objects.")
    return node


def _children(node: object, name: str) -> list[Any]:
    children = node.get(name) if isinstance(node, dict) else name
    if children is not None and not isinstance(children, list):
        raise MalformedError(f"{name} takes an array, and stands in an object.")
    return children or []


def _entries(node: _Json) -> Iterable[_Json]:
    return _objects(node.get("attributes"))


def _read_entries(span: _Json) -> list[_Json]:
    return [entry for entry in _entries(span) if _key(entry).startswith(READ_OF_SPANS)]


def _key(entry: _Json) -> str:
    key = entry.get("key")
    return key if isinstance(key, str) else ""


def _objects(items: object) -> Iterable[_Json]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else ()


def _event_name(record: _Json) -> object:
    if record.get("eventName"):
        return record["eventName"]
    for entry in _entries(record):
        if entry.get("key") == EVENT_NAME and isinstance(entry.get("value"), dict):
            return entry["value"].get("stringValue")
    return None


def _attempt(read: Callable[..., _Read], *parts: Any) -> _Read | InvalidEventError:
    try:
        return read(*parts)
    except InvalidEventError as error:
        return error


def _read_span(span: _Json) -> Span:
    return Span(
        trace_id=trace_id(_id(span, "traceId")),
        span_id=span_id(_id(span, "spanId")),
        end_time_ns=_time(span, "endTimeUnixNano"),
        attributes=_attributes(_read_entries(span)),
    )


def _read_span_event(span: _Json, event: _Json) -> LogRecord:
    return LogRecord(
        trace_id=trace_id(_id(span, "traceId")),
        span_id=span_id(_id(span, "spanId")),
        time_ns=_time(event, "timeUnixNano"),
        attributes=_attributes(event.get("attributes")),
        span_attributes=_attributes(_read_entries(span)),
    )


def _read_log_record(record: _Json) -> LogRecord:
    return LogRecord(
        trace_id=trace_id(_id(record, "traceId")),
        span_id=span_id(_id(record, "spanId")),
        time_ns=_time(record, "timeUnixNano") or _time(record, "observedTimeUnixNano"),
        attributes=_attributes(record.get("attributes")),
    )


def _id(node: _Json, name: str) -> str:
    identifier = node.get(name) or ""
    if not isinstance(identifier, str):
        _refuse(f"$.{name}", f"{name} takes text of hexadecimal digits")
    return identifier


def _time(node: _Json, name: str) -> int:
    time_ns = _integer(node.get(name) or 0)
    if time_ns is None or not 0 <= time_ns < 2**64:
        _refuse(f"$.{name}", f"{name} takes nanoseconds since 1970")
    return time_ns


def _attributes(entries: object, level: int = 0) -> dict[str, Any]:
    found = {}
    for entry in _list(entries):
        key = entry.get("key", "") if isinstance(entry, dict) else None
        if not isinstance(key, str):
            _refuse("$.attributes", "an attribute takes key and value")
        found[key] = _value(entry.get("value"), level)
    return found


def _list(items: object) -> list[Any]:
    if items is not None and not isinstance(items, list):
        _refuse_value("attributes and values take an array")
    return items or []


def _value(value: object, level: int) -> object:
    if level > MAX_LEVELS:
        return CUT
    if value is None:
        return None
    if not isinstance(value, dict):
        _refuse("$.attributes", "a value takes an object, such as stringValue and a text")
    for name, read in _READERS.items():
        if value.get(name) is not None:
            return read(value[name], level)
    return None


def _text(text: object, _: int) -> str:
    return text if isinstance(text, str) else _refuse_value("stringValue takes text")


def _boolean(flag: object, _: int) -> bool:
    return flag if isinstance(flag, bool) else _refuse_value("boolValue takes true or false")


def _int64(number: object, _: int) -> int:
    integer = _integer(number)
    if integer is None or not -(2**63) <= integer < 2**63:
        _refuse_value("intValue takes an integer of 64 bits")
    return integer


def _integer(number: object) -> int | None:
    if isinstance(number, str):
        return int(number) if _INTEGER.fullmatch(number) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _double(number: object, _: int) -> float:
    if isinstance(number, str) and (number in _NOT_FINITE or _NUMBER.fullmatch(number)):
        return float(number)
    if isinstance(number, int | float) and not isinstance(number, bool):
        with suppress(OverflowError):
            return float(number)
    return _refuse_value("doubleValue takes a number of 64 bits")


def _base64(text: object, _: int) -> str:
    """Return base64 of either alphabet, padded or not, in one form."""
    try:
        standard = _text(text, 0).rstrip("=").replace("-", "+").replace("_", "/")
        raw = b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except ValueError:
        return _refuse_value("bytesValue takes base64")
    return b64encode(raw).decode()


def _array(array: object, level: int) -> list[object]:
    return [_value(item, level + 1) for item in _values(array)]


def _key_values(pairs: object, level: int) -> dict[str, Any]:
    return _attributes(_values(pairs), level + 1)


def _values(container: object) -> list[Any]:
    if not isinstance(container, dict):
        _refuse_value("arrayValue and kvlistValue take an object with values")
    return _list(container.get("values"))


_READERS: Final[dict[str, Callable[[object, int], object]]] = {
    "stringValue": _text,
    "boolValue": _boolean,
    "intValue": _int64,
    "doubleValue": _double,
    "bytesValue": _base64,
    "arrayValue": _array,
    "kvlistValue": _key_values,
}


def _refuse_value(detail: str) -> NoReturn:
    _refuse("$.attributes", detail)


def _refuse(path: str, detail: str) -> NoReturn:
    raise InvalidEventError(RejectCode.INVALID_FORMAT, path, detail)
