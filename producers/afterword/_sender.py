"""Hand judged events to a transport, and keep account of each until its end is known."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from afterword import _process
from afterword._counters import Counters, Stats
from afterword._errors import ClosedError, DeliveryError, DeliveryFailure
from afterword._spool.transport import SpoolTransport
from afterword._threads import may_start_threads
from afterword._transport import Headers, Transport
from afterword_schemas.errors import ConfigurationError

_log = logging.getLogger("afterword")


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one event that was taken.

    Attributes:
        feedback_id: The id that the call returned; empty if it is lost with a damaged spool.
        error: None when Kafka acknowledged the event; else why it was given up.
    """

    feedback_id: str
    error: DeliveryFailure | None


class Sender:
    """A transport with counters, for the life of one client, across forks and to the end."""

    def __init__(
        self,
        transport: Transport,
        on_delivery: Callable[[Delivery], None] | None,
        close_timeout_s: float,
    ) -> None:
        self._transport = transport
        self._on_delivery = on_delivery
        self._close_timeout_s = close_timeout_s
        self._counters = Counters()
        self._callback = threading.local()
        self._closed = False
        self._entered = True
        self._by_itself = not may_start_threads()
        self._spool = transport if isinstance(transport, SpoolTransport) else None
        if self._spool is not None:
            self._spool.listener = self._settle_key
        _process.enter(self)

    @property
    def stats(self) -> Stats:
        """The counters of this moment."""
        _process.notice_fork()
        stats = self._counters.snapshot()
        return stats if self._spool is None else replace(stats, adopted=self._spool.adopted)

    def send(self, feedback_id: str, event: bytes, headers: Headers) -> None:
        """Send one judged event; errors as for `Transport.send`."""
        if self._closed:
            raise ClosedError
        _process.notice_fork()
        if not self._entered:
            self._entered = True
            _process.enter(self)
        self._counters.count_sent()
        key = feedback_id.encode()
        try:
            if self._spool is not None:  # which knows the id of each: no callback need wait for it
                self._spool.send(key, event, headers, None)
            else:
                self._transport.send(key, event, headers, partial(self._settle, feedback_id))
        except Exception:
            self._counters.count_refused()
            raise
        if self._by_itself:
            self._deliver_here()

    def _deliver_here(self) -> None:
        """Deliver before the call returns, since nothing does so after it."""
        self._by_itself = not may_start_threads()
        if self._by_itself:
            self._transport.flush(self._close_timeout_s)

    def flush(self, timeout_s: float) -> int:
        """See `Client.flush`."""
        _process.notice_fork()
        self._refuse_in_callback("flush")
        self._transport.flush(timeout_s)
        return self.stats.waiting

    def close(self) -> None:
        """See `Client.close`."""
        self._refuse_in_callback("close")
        if self._closed:
            return
        _process.notice_fork()
        self._closed = True
        _process.leave(self)
        self._transport.close(self._close_timeout_s)
        undelivered, reason = self._counters.undelivered()
        if undelivered:
            raise DeliveryError(undelivered, reason)

    def after_fork(self) -> None:
        """Start afresh in a forked child."""
        self._counters = Counters()
        self._callback = threading.local()
        self._by_itself = not may_start_threads()
        self._entered = False  # what runs at this process's end is not inherited everywhere
        self._transport.after_fork()

    def _settle_key(self, key: bytes, error: DeliveryFailure | None) -> None:
        self._settle(key.decode(), error)

    def _settle(self, feedback_id: str, error: DeliveryFailure | None) -> None:
        first = self._counters.count_settled(error)
        if self._on_delivery is not None:
            self._report(self._on_delivery, Delivery(feedback_id, error))
        elif first:
            reason = str(error).rstrip(".")
            _log.warning("%s was not delivered: %s. Others are only counted.", feedback_id, reason)

    def _report(self, on_delivery: Callable[[Delivery], None], delivery: Delivery) -> None:
        self._callback.runs = True
        try:
            on_delivery(delivery)
        except Exception:  # noqa: BLE001  # the user's own code, and logged in full
            _log.exception("The delivery callback raised for %s", delivery.feedback_id)
        finally:
            self._callback.runs = False

    def _refuse_in_callback(self, name: str) -> None:
        if getattr(self._callback, "runs", False):
            raise ConfigurationError(
                f"{name}() was called from a delivery callback, where it would wait for itself.",
                "Call it from another thread.",
            )
