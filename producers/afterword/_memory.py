"""A transport for tests of code that sends feedback: no Kafka, no threads, no waiting.

    transport = MemoryTransport()
    client = Client(project="acme", transport=transport)
    client.feedback(trace_id="tr-1", value=1)
    assert transport.events[0]["value"] == 1

It keeps what Kafka would have stored, and can be told to be slow, full or broken.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from afterword._errors import ClosedError, QueueFullError
from afterword._transport import DeliveryCallback, Headers, report
from afterword_schemas.errors import RetryableError


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it would stand on the topic.

    Attributes:
        timestamp_ms: As it was asked for; None for the time of sending.
    """

    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]
    timestamp_ms: int | None = None


class MemoryTransport:
    """Keeps messages in a list; deliveries are reported before `send` returns, unless held.

    Args:
        capacity: How many messages may wait while deliveries are held.
    """

    def __init__(self, *, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._lock = threading.RLock()
        self._delivered: list[Message] = []
        self._waiting: list[tuple[Message, DeliveryCallback]] = []
        self._holding = False
        self._closed = False
        self._failure: str | None = None

    @property
    def messages(self) -> Sequence[Message]:
        """What was delivered, oldest first."""
        with self._lock:
            return tuple(self._delivered)

    @property
    def events(self) -> Sequence[dict[str, Any]]:
        """The payloads of `messages`, parsed."""
        return [orjson.loads(message.value) for message in self.messages]

    def hold(self) -> None:
        """Let messages wait from now on, as when Kafka is slow or away."""
        self._holding = True

    def release(self) -> None:
        """End `hold`, and settle what waits."""
        self._holding = False
        self._settle()

    def fail(self, detail: str = "the broker is away") -> None:
        """Let deliveries fail from now on, for this reason."""
        self._failure = detail

    def recover(self) -> None:
        """End `fail`."""
        self._failure = None

    def send(
        self,
        key: bytes,
        value: bytes,
        headers: Headers,
        on_delivery: DeliveryCallback,
        *,
        timestamp_ms: int | None = None,
    ) -> None:
        """See `Transport.send`."""
        with self._lock:
            if self._closed:
                raise ClosedError
            if len(self._waiting) >= self._capacity:
                raise QueueFullError("the queue is full, this event was not taken")
            self._waiting.append((Message(key, value, tuple(headers), timestamp_ms), on_delivery))
        if not self._holding:
            self._settle()

    def flush(self, timeout_s: float) -> None:
        """See `Transport.flush`; returns at once, because nothing here comes with time."""

    def close(self, timeout_s: float) -> None:
        """See `Transport.close`; `messages` and `events` stay readable."""
        with self._lock:
            self._closed = True
        if self._waiting:
            self.fail("closed before it was delivered")
            self._settle()

    def after_fork(self) -> None:
        """See `Transport.after_fork`."""
        self._lock = threading.RLock()
        self._waiting = []

    def _settle(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    return
                message, on_delivery = self._waiting.pop(0)
                error = RetryableError(self._failure) if self._failure is not None else None
                if error is None:
                    self._delivered.append(message)
            report(on_delivery, error)
