"""The transport over HTTP, for services that reach the gateway and not Kafka.

    transport = HttpTransport("https://feedback.example.org", "aw_secret_…")

The gateway answers when Kafka has the events, so what is reported delivered is on the topic. Memory is
bounded, order per id is kept, and an event that is sent twice counts once under its id.
"""

import threading
from ssl import SSLContext

from afterword._errors import ClosedError
from afterword._http.connection import GatewayConnection
from afterword._http.send_queue import Entry, HttpSendQueue
from afterword._http.target import Target
from afterword._http.wire import to_item
from afterword._transport import DeliveryCallback, Headers
from afterword_schemas.errors import ConfigurationError


class HttpTransport:
    """Sends to the gateway; see `Transport`.

    Besides a `RetryableError`, whose event may be sent again, a delivery can end in a `RefusedError`, whose
    event never will be taken.

    Args:
        url: The gateway's address: `http` or `https`, a host, and a path if it has one.
        api_key: A key that may write.
        ssl_context: For a certificate authority, or a client certificate, of one's own.
        timeout_s: For each of connecting, sending, and having the whole answer.
        message_timeout_s: How long an event is sent again and again before it is given up.
        max_events: How many may wait.
        max_bytes: How much they may hold together.

    Raises:
        ConfigurationError: An argument has not its form. Whether a gateway answers is not looked at.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        ssl_context: SSLContext | None = None,
        timeout_s: float = 30.0,
        message_timeout_s: float = 3600.0,
        max_events: int = 100_000,
        max_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        if min(timeout_s, message_timeout_s, max_events, max_bytes) <= 0:
            raise ConfigurationError("Timeouts and limits are greater than 0.")
        target = Target.of(url, api_key)

        def new_queue() -> HttpSendQueue:
            return HttpSendQueue(
                GatewayConnection(target, ssl_context=ssl_context, timeout_s=timeout_s),
                message_timeout_s=message_timeout_s,
                max_events=max_events,
                max_bytes=max_bytes,
            )

        self._new_queue = new_queue
        self._closed = False
        self._lock = threading.RLock()  # re-entrant: a signal handler may send or close
        self._queue: HttpSendQueue | None = new_queue()

    def send(
        self,
        key: bytes,
        value: bytes,
        headers: Headers,
        on_delivery: DeliveryCallback,
        *,
        timestamp_ms: int | None = None,
    ) -> None:
        """See `Transport.send`; the value is an event, and the key its id."""
        entry = Entry(key, to_item(key, value, headers, timestamp_ms))
        with self._lock:
            if self._closed:
                raise ClosedError
            if self._queue is None:
                self._queue = self._new_queue()
            self._queue.put(entry, on_delivery)

    def flush(self, timeout_s: float) -> None:
        """See `Transport.flush`."""
        if queue := self._queue:
            queue.flush(timeout_s)

    def close(self, timeout_s: float) -> None:
        """See `Transport.close`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            queue, self._queue = self._queue, None
        if queue:
            queue.close(timeout_s)

    def after_fork(self) -> None:
        """See `Transport.after_fork`; the child connects anew with its first event."""
        self._lock = threading.RLock()
        if self._queue is not None:
            self._queue.abandon()
            self._queue = None
