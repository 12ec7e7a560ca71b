"""The errors that only a sender meets; they hang in the tree of `afterword_schemas.errors`.

    AfterwordError
    ├── EventError           the event is wrong: fix the call, nothing was sent
    ├── StoreError           Kafka did not take it now
    │   ├── QueueFullError   nothing was taken: drop the event knowingly, or try later
    │   ├── RefusedError     gateway or Kafka refused this one event for good: never send it again
    │   └── DeliveryError    at `close()`: this many events that were taken never arrived
    ├── ClosedError          the call came after `close()`: fix the program
    └── ConfigurationError   an argument or setting is wrong: stop and say what

`feedback()` and its siblings raise EventError, QueueFullError and ClosedError, and StoreError itself
where a spool's disk fails, or Kafka does not let this client write. A `Delivery` says with one why an event
did not arrive: a RefusedError never will, any other may if it is sent again under its id.
"""

from afterword_schemas.counted import counted
from afterword_schemas.errors import AfterwordError, InvalidEventError, StoreError

EventError = InvalidEventError
"""What this package calls it."""


class QueueFullError(StoreError):
    """The queue, in memory or on disk, is at its limit: this event was not taken, and so failed."""


class RefusedError(StoreError):
    """The gateway or Kafka refused this event: to send it again would end alike.

    Attributes:
        code: The reason, a `RejectCode` as far as this version knows it.
        path: Where in the event, as in `EventError`.
    """

    def __init__(self, code: str, path: str, detail: str) -> None:
        super().__init__(detail)
        self.args = (code, path, detail)  # what unpickling calls the class with
        self.code, self.path = code, path

    def __str__(self) -> str:
        return f"{self.detail} [{self.code} at {self.path}]"


class DeliveryError(StoreError):
    """Events that were taken were not delivered; raised once, by `close()`.

    Attributes:
        undelivered: How many. Kafka may still hold some of them, if its answer was what got lost.
        reason: Why the last of them was not.
    """

    def __init__(self, undelivered: int, reason: str) -> None:
        lost = counted(undelivered, "event was", "events were")
        super().__init__(f"{lost} not delivered; the last because: {reason}")
        self.args = (undelivered, reason)  # what unpickling calls the class with
        self.undelivered, self.reason = undelivered, reason


class ClosedError(AfterwordError):
    """The client or its transport was closed before; nothing was sent."""

    def __str__(self) -> str:
        return "closed: an event can be sent only before close()"
