"""The errors that only a sender meets; they hang in the tree of `afterword_schemas.errors`.

    AfterwordError
    ├── EventError           the event is wrong: fix the call, nothing was sent
    ├── RetryableError       Kafka did not take it now
    │   ├── QueueFullError   nothing was taken: drop the event knowingly, or try later
    │   └── DeliveryError    at `close()`: this many events that were taken never arrived
    ├── RefusedError         gateway or Kafka refused this one event for good: never send it again
    ├── ClosedError          the call came after `close()`: fix the program
    └── ConfigurationError   an argument or setting is wrong: stop and say what

`feedback()` and its siblings raise EventError, QueueFullError, RefusedError and ClosedError, and
RetryableError itself where a spool's disk fails, or Kafka does not let this client write. A `Delivery`
says with one why an event did not arrive. After a RefusedError it never will; after any other it may,
if it is sent again under its id.
"""

from afterword_schemas.counted import counted
from afterword_schemas.errors import AfterwordError, InvalidEventError, RetryableError

EventError = InvalidEventError
"""What this package calls it."""

StoreError = RetryableError
"""Its name in earlier versions, which still works."""


class QueueFullError(RetryableError):
    """The queue, in memory or on disk, is at its limit: this event was not taken, and so failed."""


class RefusedError(AfterwordError):
    """The gateway or Kafka refused this event: to send it again would end alike.

    Attributes:
        code: The reason, a `RejectCode` as far as this version knows it.
        path: Where in the event, as in `EventError`.
        detail: A sentence for a person.
    """

    def __init__(self, code: str, path: str, detail: str) -> None:
        super().__init__(code, path, detail)  # all three: it must survive pickling
        self.code, self.path, self.detail = code, path, detail

    def __str__(self) -> str:
        return f"{self.detail} [{self.code} at {self.path}]"


DeliveryFailure = RetryableError | RefusedError
"""Why one message did not arrive: another try may help, or never will."""


class DeliveryError(RetryableError):
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
