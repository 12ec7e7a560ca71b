"""The trace that code works on, which a feedback is about where its call names nothing else.

    with trace("tr-7f3"):
        client.feedback(value=1)                        # about tr-7f3

The middleware opens one for each request, this for what is no request. It follows the code as a
`ContextVar` does: into awaited coroutines, tasks and `asyncio.to_thread`, not into a bare thread.
"""

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.patterns import read_traceparent

TRACE_HEADER: Final = "x-trace-id"
"""The header that an answer names its trace by."""

_ASKED: Final = (TRACE_HEADER, "x-portkey-trace-id")
READ_HEADERS: Final = (*_ASKED, "traceparent")
"""The headers that `read_trace` looks at."""

_ECHOED: Final = re.compile(r"[!-~]{1,256}")  # of what an event takes, what a header can carry
_MAX_LENGTH: Final = 256


@dataclass(frozen=True, slots=True)
class Trace:
    """What is being worked on.

    Attributes:
        trace_id: As in an event.
        traceparent: W3C trace context of the request, for the header of messages.
    """

    trace_id: str
    traceparent: str | None = None


_current: ContextVar[Trace | None] = ContextVar("afterword_trace", default=None)


def current_trace_id() -> str | None:
    """Return the id of the trace that this code works on; None outside of any."""
    current = _current.get()
    return None if current is None else current.trace_id


def current_traceparent() -> str | None:
    """Return the W3C trace context of the request that this code works on."""
    current = _current.get()
    return None if current is None else current.traceparent


@contextmanager
def trace(trace_id: str | None = None) -> Iterator[str]:
    """Work on a trace until the end of the block, and return its id.

    Args:
        trace_id: As in an event; a new one where left out.

    Raises:
        InvalidEventError: It is none that an event could hold.
    """
    if trace_id is None:
        trace_id = new_trace_id()
    elif not isinstance(trace_id, str) or not 1 <= len(trace_id) <= _MAX_LENGTH:
        detail = f"trace_id takes text of 1 to {_MAX_LENGTH} characters"
        raise InvalidEventError(RejectCode.OUT_OF_RANGE, "$.trace_id", detail)
    with bound(Trace(trace_id, current_traceparent())):
        yield trace_id


@contextmanager
def bound(current: Trace) -> Iterator[None]:
    """Make a trace the current one until the end of the block."""
    token = _current.set(current)
    try:
        yield
    finally:
        _current.reset(token)


def new_trace_id() -> str:
    """Mint an id in the form of W3C Trace Context: 32 hex digits."""
    return uuid.uuid4().hex


def read_trace(headers: Mapping[str, str]) -> Trace:
    """Return the trace that a request asks for, or a new one.

    Args:
        headers: Of the request, by name in lower case. What is no id is as if it were not there.
    """
    context = read_traceparent(headers.get("traceparent", ""))
    asked = [headers.get(name, "") for name in _ASKED]
    valid = [given for given in asked if _ECHOED.fullmatch(given)]
    inherited = context.trace_id if context else new_trace_id()
    return Trace(valid[0] if valid else inherited, context.header if context else None)
