"""What becomes of times that clients make, for a wrong clock decides nothing.

>>> capped_ms(4_070_908_800_000, message_ms=1_769_851_800_125)
1769851800125

A time before 2015 is rejected: it comes from a wrong unit, which a developer can see and mend. A time
ahead of its message is capped, not rejected: a wrong clock is not the fault of the person who gave
the feedback. Nothing is lost then, and the order of such events is the order in which they arrive.
"""

from typing import Final

from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.limits import MAX_AHEAD_MS, MAX_TIME_MS, MIN_TIME_MS

_NS_IN_MS: Final = 1_000_000
_UNITS: Final = {"seconds": 1_000, "milliseconds": 1, "microseconds": 1 / 1_000}
"""How many milliseconds one of each unit has."""


def capped_ms(time_ms: int, message_ms: int) -> int:
    """Return a time of an event, or its message's time where it lies more than `MAX_AHEAD_MS` ahead.

    Args:
        time_ms: What the client says, in milliseconds since 1970.
        message_ms: When the message was published. Not the reader's clock: a message that is read
            again must make the same row.
    """
    return time_ms if time_ms <= message_ms + MAX_AHEAD_MS else message_ms


def is_in_range(time_ms: int) -> bool:
    """Return whether an event may carry a time: from 2015 to 2099, in milliseconds since 1970."""
    return MIN_TIME_MS <= time_ms < MAX_TIME_MS


def ns_to_ms(time_ns: int, name: str) -> int:
    """Return a time of OTLP in milliseconds since 1970.

    Args:
        time_ns: Nanoseconds since 1970.
        name: The field that holds it, for the error.

    Raises:
        InvalidEventError: `OUT_OF_RANGE`; the sentence names the unit that was probably sent.
    """
    if is_in_range(time_ns // _NS_IN_MS):
        return time_ns // _NS_IN_MS
    units = (unit for unit, ms in _UNITS.items() if is_in_range(int(time_ns * ms)))
    seems = "".join(f"; this looks like {unit}" for unit in units)
    detail = f"{name} takes nanoseconds since 1970, of a time from 2015 to 2099{seems}"
    raise InvalidEventError(RejectCode.OUT_OF_RANGE, f"$.{name}", detail)
