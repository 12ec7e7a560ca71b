"""The forms of a project, a UUID and a trace context: one pattern each, for every way in.

>>> is_project("support-bot"), is_uuid("019c12e9-8b3d-7000-8000-000000000000")
(True, True)
>>> read_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").trace_id
'0af7651916cd43dd8448eb211c80319c'

The patterns mean the same to Python, to pydantic and to JSON Schema. They have no anchors: a
published document adds them with `whole`.
"""

import re
from dataclasses import dataclass
from typing import Final

from afterword_schemas.errors import InvalidEventError, RejectCode

PROJECT: Final = r"[A-Za-z0-9._-]{1,64}"

UUID: Final = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"

_IDS: Final = r"(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})"
TRACEPARENT: Final = rf"(?!ff|00.{{54}})[0-9a-f]{{2}}-{_IDS}-([0-9a-f]{{2}})(-[ -~]*)?"
"""W3C Trace Context: version 00 has 55 characters, a later version may have more after a dash."""

_project, _uuid, _traceparent = re.compile(PROJECT), re.compile(UUID), re.compile(TRACEPARENT)


@dataclass(frozen=True, slots=True)
class Traceparent:
    """A trace context that W3C calls valid.

    Attributes:
        trace_id: 32 hexadecimal digits.
        header: The context as version 00 writes it, which every reader knows.
    """

    trace_id: str
    header: str


def whole(pattern: str) -> str:
    """Return a pattern that the whole text must match, for JSON Schema and pydantic."""
    return f"^{pattern}$"


def is_project(text: str) -> bool:
    """Return whether a text may name a project."""
    return _project.fullmatch(text) is not None


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID in its usual form, in upper or lower case."""
    return _uuid.fullmatch(text) is not None


def read_traceparent(text: str) -> Traceparent | None:
    """Read a `traceparent` as W3C Trace Context says; None for one that counts as absent.

    Version ff, ids of zeros and digits in upper case are not valid. A version later than 00 is read
    as far as version 00 goes. https://www.w3.org/TR/trace-context/#versioning-of-traceparent
    """
    found = _traceparent.fullmatch(text)
    if found is None:
        return None
    trace_id, parent_id, flags = found.group(1, 2, 3)
    return Traceparent(trace_id, f"00-{trace_id}-{parent_id}-{flags}")


def require_traceparent(given: object) -> Traceparent:
    """Read a `traceparent` that a caller passes on purpose.

    Raises:
        InvalidEventError: `INVALID_FORMAT` at `$.traceparent`.
    """
    context = read_traceparent(given) if isinstance(given, str) else None
    if context is None:
        detail = "traceparent takes W3C trace context: 00-<32 hex>-<16 hex>-<2 hex>"
        raise InvalidEventError(RejectCode.INVALID_FORMAT, "$.traceparent", detail)
    return context
