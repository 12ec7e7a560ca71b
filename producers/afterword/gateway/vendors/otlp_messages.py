"""What the gateway reads of OTLP, whatever it was encoded in.

`otlp_protobuf` and `otlp_json` make these of a request; a fault of one span or record is an
`InvalidEventError` in its place, and `MalformedError` is one of the request as a whole.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from afterword.gateway.http.responses import RequestError
from afterword_schemas.errors import AfterwordError
from afterword_schemas.limits import MAX_ARRAY_LEVELS, MAX_LEAVES, MAX_OBJECT_LEVELS

MAX_LEVELS: Final = MAX_OBJECT_LEVELS + MAX_ARRAY_LEVELS + 1
"""Arrays and key-value lists that are read within one attribute: one more than an event may hold."""

CUT: Final = "…"
"""Stands for whatever is nested deeper: it is refused for its depth, and need not be read."""

EVALUATION: Final = "gen_ai.evaluation.result"
"""Name of the event in the semantic conventions for generative AI."""

SAID_IN_SPANS: Final = ("honeyhive_feedback", "honeyhive_metrics")
"""How attributes begin that are feedback. A span without any is passed over."""

SESSION_IDS: Final = (
    "honeyhive.session_id",
    "traceloop.association.properties.session_id",
    "gen_ai.conversation.id",
    "session.id",
)
"""Attributes that name the session, the first of them first."""

READ_OF_SPANS: Final = (
    *SAID_IN_SPANS,
    "honeyhive_metadata",
    "honeyhive_user_properties",
    "honeyhive_event_id",
    *SESSION_IDS,
)
"""How attributes of spans begin that are read at all: what is wrong with the others does not matter."""

MAX_ATTRIBUTES: Final = 5 * MAX_LEAVES
"""Attributes of one span that are read, and of one log record: five for each value of an event."""

MAX_SPANS: Final = 100_000
"""Spans or log records of one request: the largest body has room for a third of that many real ones."""

EVENT_NAME: Final = "event.name"
"""The attribute that names a log record's event where its own field does not, as before OTLP 1.5."""


class MalformedError(AfterwordError):
    """The request is not what its content type says."""


def check_spans(count: int) -> None:
    """Refuse a request of too many spans or log records, or of what holds them.

    Raises:
        RequestError: 413.
    """
    if count > MAX_SPANS:
        detail = f"More than {MAX_SPANS:,} spans or log records; send smaller batches."
        raise RequestError(413, "too_large", detail)


@dataclass(frozen=True, slots=True)
class Span:
    """A span.

    Attributes:
        trace_id: Hexadecimal, in lower case; empty where there is none, which all zeros mean too.
        span_id: Likewise.
        end_time_ns: Since 1970; 0 where it is not known.
        attributes: Those that are read, in the order of the span; of a key that stands twice, the last.
    """

    trace_id: str
    span_id: str
    end_time_ns: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A log record, or an event of a span.

    Attributes:
        trace_id: As of a span.
        span_id: As of a span.
        time_ns: When it happened, else when it was observed; 0 where neither is known.
        attributes: All of them, as of a span.
        span_attributes: Of the span, for an event of one.
    """

    trace_id: str
    span_id: str
    time_ns: int
    attributes: dict[str, Any]
    span_attributes: dict[str, Any] = field(default_factory=dict)
