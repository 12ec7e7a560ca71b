"""The queue of events in front of the gateway, and the thread that works it off.

    queue = HttpSendQueue(gateway, message_timeout_s=3600, max_events=100_000, max_bytes=2**26)
    queue.put(Entry(key, item), report)

One batch is under way at a time. What the gateway does not take is sent again, before anything that came
later under the same id, until it is taken, refused for good, or given up.

A signal handler may call anything here in the midst of anything else here, so the thread and its
callers share no lock: entries and those who wait for them go through one queue, a counter has one writer
at a time, and an entry is reported by whoever takes it out of `_open`.
"""

import queue  # by its full name: gunicorn lets gevent patch it after this was imported
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from math import inf
from queue import Empty
from time import monotonic
from typing import Final

from afterword._errors import DeliveryFailure, QueueFullError, RefusedError
from afterword._http.connection import GatewayConnection
from afterword._http.retry_schedule import RetrySchedule
from afterword._threads import Background
from afterword._transport import DeliveryCallback, report
from afterword_schemas.errors import RetryableError

_BATCH_EVENTS: Final = 500
_BATCH_BYTES: Final = 1_000_000  # below the 1 MiB that nginx lets through
_LINGER_S: Final = 0.005
_SURE: Final = 2
_BLINK_S: Final = 0.001
_IN_HAND_S: Final = 0.1
_END_S: Final = 5.0


@dataclass(eq=False, slots=True)
class Entry:
    """One event on its way.

    Attributes:
        key: Its id.
        item: As of `to_item`.
        since_s: When it was taken, on the monotonic clock.
        refusals: How often it was refused alone, others having been taken in between.
    """

    key: bytes
    item: bytes
    since_s: float = field(default_factory=monotonic)
    refusals: int = 0


_Settled = queue.SimpleQueue[None]
"""Where whoever flushes waits for a word."""

_Arrival = tuple[Entry, DeliveryCallback] | _Settled | None
"""What goes to the thread; None only wakes it."""


class HttpSendQueue:
    """A queue of events and the thread that sends them.

    Args:
        gateway: Where they go; from now on the thread's own.
        message_timeout_s: When an event is given up.
        max_events: How many may wait.
        max_bytes: How much they may hold together.
    """

    def __init__(
        self,
        gateway: GatewayConnection,
        *,
        message_timeout_s: float,
        max_events: int,
        max_bytes: int,
    ) -> None:
        self._gateway = gateway
        self._message_timeout_s = message_timeout_s
        self._max_events, self._max_bytes = max_events, max_bytes
        self._open: dict[Entry, DeliveryCallback] = {}
        self._arrivals: queue.SimpleQueue[_Arrival] = queue.SimpleQueue()
        self._taken = self._taken_bytes = 0
        self._settled = self._settled_bytes = 0
        self._closing = self._over = False
        # The rest is the thread's own.
        self._flushing: set[_Settled] = set()
        self._queued: dict[
            bytes, list[Entry]
        ] = {}  # by id, so that the ids need not wait for each other
        self._most = _BATCH_EVENTS
        self._strikes = 0
        self._schedule = RetrySchedule()
        self._thread = Background(self._run, "afterword")

    def put(self, entry: Entry, on_delivery: DeliveryCallback) -> None:
        """Take an event; one caller at a time.

        Raises:
            QueueFullError: No room.
        """
        size = len(entry.item)
        if (
            self._taken - self._settled >= self._max_events
            or self._taken_bytes - self._settled_bytes + size > self._max_bytes
        ):
            raise QueueFullError("the queue is full, this event was not taken")
        self._thread.start()
        self._taken += 1
        self._taken_bytes += size
        # All at once: a signal handler that comes before it does not wait for this event.
        self._arrivals.put((entry, on_delivery))

    def flush(self, timeout_s: float) -> bool:
        """Wait until nothing is on the way; False if something still is after `timeout_s`."""
        deadline_s = monotonic() + timeout_s
        settled: _Settled = queue.SimpleQueue()
        self._arrivals.put(settled)  # behind all that is to be waited for
        while not self._over and not self._thread.start() and monotonic() < deadline_s:
            self._work(deadline_s)
            if not settled.empty():
                break
        try:
            settled.get(timeout=max(0.0, deadline_s - monotonic()))
        except Empty:
            settled.put(None)  # nobody waits any more: see `_accept`
            self._flushing.discard(settled)
            return False
        return not self._over

    def close(self, timeout_s: float) -> None:
        """Flush, then report failed what is left; nothing may be put any more."""
        self._closing = True
        complete = self.flush(timeout_s)
        self._over = True
        with suppress(Empty):  # what the thread, in a request, has not looked at
            while True:
                self._accept(self._arrivals.get_nowait())
        for entry in tuple(self._open):
            self._settle(entry, self._closed_early())
        # The thread may be about to settle one more, which it had just taken out of the queue.
        until_s = monotonic() + _IN_HAND_S
        while self._settled < self._taken and monotonic() < until_s:
            time.sleep(_BLINK_S)
        self._wake_flushing()
        self._arrivals.put(None)
        if not self._thread.started:
            self._gateway.close()
        elif complete:  # else it may hang in a request, and ends after it
            self._thread.join(_END_S)

    def abandon(self) -> None:
        """In a forked child: leave all of it to the parent."""
        self._gateway.abandon()

    def _run(self) -> None:
        while not self._over:
            self._work()
        self._gateway.close()

    def _work(self, deadline_s: float = inf) -> None:
        self._gather(deadline_s)
        self._expire()
        if not self._over and (batch := self._pick()):
            self._deliver(batch, deadline_s)
        if not self._open:
            self._wake_flushing()

    def _gather(self, deadline_s: float) -> None:
        """Wait for events, for more of them, and for the end of a backoff."""
        until_s = 0.0
        if not self._queued:
            self._accept(self._arrivals.get())
            until_s = monotonic() + _LINGER_S
        while len(self._queued) < self._most or monotonic() < self._schedule.due_s:
            left_s = min(max(until_s, self._schedule.due_s), deadline_s) - monotonic()
            try:
                arrival = self._arrivals.get(timeout=max(left_s, 0.0))
            except Empty:
                return
            self._accept(arrival)

    def _accept(self, arrival: "_Arrival") -> None:
        if isinstance(arrival, tuple):
            entry, on_delivery = arrival
            self._open[entry] = on_delivery
            self._queued.setdefault(entry.key, []).append(entry)
            if self._over:  # `close` may have looked through the open ones before
                self._settle(entry, self._closed_early())
            return
        if arrival is not None and arrival.empty():
            self._flushing.add(arrival)
        if self._closing:
            self._schedule.hurry()

    def _closed_early(self) -> RetryableError:
        return RetryableError(self._schedule.explain("closed before the gateway took it"))

    def _expire(self) -> None:
        """Give up events whose time is over, as they come to the front."""
        limit_s = self._message_timeout_s
        while entry := next((entries[0] for entries in self._queued.values()), None):
            if monotonic() < entry.since_s + limit_s:
                return
            reason = self._schedule.explain(f"not taken within {limit_s:g} s")
            self._leave(entry, RetryableError(reason))

    def _pick(self) -> list[Entry]:
        """Choose the next batch, the first event of each id: none overtakes one that is sent again."""
        batch: list[Entry] = []
        room = _BATCH_BYTES
        for entries in islice(self._queued.values(), self._most):
            room -= len(entries[0].item)
            if batch and room < 0:
                break
            batch.append(entries[0])
        return batch

    def _deliver(self, batch: list[Entry], deadline_s: float) -> None:
        items, keys = [each.item for each in batch], [each.key for each in batch]
        answer = self._gateway.post(items, keys, until_s=deadline_s)
        complete = True
        for entry, verdict in zip(batch, answer.verdicts, strict=True):
            if verdict is None or isinstance(verdict, RefusedError):
                self._leave(entry, verdict)
            else:
                self._schedule.reason, complete = verdict.detail, False
        if complete:
            self._most = min(_BATCH_EVENTS, self._most * 2)
            self._strikes = 0
            self._schedule.succeed()
        elif answer.divisible and len(batch) > 1:
            self._most = len(batch) // 2  # at once, to find the one that it may be about
        else:
            self._schedule.fail(answer.retry_after_s)
            if answer.divisible:
                self._set_aside(batch[0])
            others_may_pass = answer.divisible and self._strikes < _SURE and len(self._queued) > 1
            if self._closing and answer.misdirected and not others_may_pass:
                self._give_up()

    def _set_aside(self, entry: Entry) -> None:
        """Put an event that was refused alone behind the others, as something may dislike its text.

        It is given up when that is sure: others were taken in between, again and again.
        """
        if not entry.refusals or not self._strikes:
            entry.refusals += 1
        self._strikes += 1
        if entry.refusals > _SURE:
            self._leave(entry, RetryableError(self._schedule.reason))
        else:
            self._queued[entry.key] = self._queued.pop(entry.key)

    def _give_up(self) -> None:
        """At the end, wait for no person to mend url or key."""
        for entry in chain.from_iterable(self._queued.values()):
            self._settle(entry, RetryableError(self._schedule.reason))
        self._queued.clear()

    def _leave(self, entry: Entry, error: DeliveryFailure | None) -> None:
        """End the wait of the first of its id; the next of that id goes behind the other ids."""
        entries = self._queued.pop(entry.key)
        del entries[0]
        if entries:
            self._queued[entry.key] = entries
        self._settle(entry, error)

    def _settle(self, entry: Entry, error: DeliveryFailure | None) -> None:
        on_delivery = self._open.pop(entry, None)
        if on_delivery is not None:
            report(on_delivery, error)
            self._settled += 1
            self._settled_bytes += len(entry.item)

    def _wake_flushing(self) -> None:
        while self._flushing:
            with suppress(KeyError):  # `close` took it, in another thread
                self._flushing.pop().put(None)
