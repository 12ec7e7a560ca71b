"""What the gateway reads of OTLP, whatever it was encoded in.

`otlp_protobuf` and `otlp_json` make these of a request; a fault of one span or record is an
`EventError` in its place, and `MalformedError` is one of the request as a whole.
"""

from dataclasses import dataclass
from typing import Any, Final

from afterword_schemas.errors import AfterwordError
from afterword_schemas.limits import MAX_ARRAY_LEVELS, MAX_OBJECT_LEVELS

MAX_LEVELS: Final = MAX_OBJECT_LEVELS + MAX_ARRAY_LEVELS + 1
"""Arrays and key-value lists that are read within one attribute: one more than an event may hold."""

CUT: Final = "…"
"""Stands for whatever is nested deeper: it is refused for its depth, and need not be read."""

EVENT_NAME: Final = "event.name"
"""The attribute that names a log record's event where its own field does not, as before OTLP 1.5."""


class MalformedError(AfterwordError):
    """The request is not what its content type says."""


@dataclass(frozen=True, slots=True)
class Span:
    """A span.

    Attributes:
        trace_id: Hexadecimal, in lower case; empty where there is none, which all zeros mean too.
        span_id: Likewise.
        end_time_ns: Since 1970; 0 where it is not known.
        attributes: In the order of the span; of a key that stands twice, the last.
    """

    trace_id: str
    span_id: str
    end_time_ns: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log record.

    Attributes:
        trace_id: As of a span.
        span_id: As of a span.
        time_ns: When it happened, else when it was observed; 0 where neither is known.
        attributes: As of a span.
    """

    trace_id: str
    span_id: str
    time_ns: int
    attributes: dict[str, Any]
