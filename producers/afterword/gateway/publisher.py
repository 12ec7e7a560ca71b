"""Publish the events of a request, and wait until Kafka has acknowledged every one of them.

    errors = await publisher.publish(items)       # [None, RetryableError(…), …], one an item

The transport reports from a thread of its own, and the last report of a request wakes the event loop;
or it reports when it is asked to, which the loop then does while requests wait.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Final

from afterword._errors import DeliveryFailure, RefusedError
from afterword._transport import Transport
from afterword.gateway.intake import Item
from afterword_schemas.errors import AfterwordError, RetryableError
from afterword_schemas.event import SCHEMA_HEADER

_log = logging.getLogger(__name__)

_COLLECT_EVERY_S: Final = 0.001

_SCHEMA: Final = ("schema", SCHEMA_HEADER.encode())
_LATE: Final = RetryableError("Kafka did not acknowledge it in time")


class Publisher:
    """Publishes through a transport, for the event loop that calls it.

    Args:
        transport: What carries the messages.
        timeout_s: How long a request waits. The transport should give up no later, or what a client was
            told is `unavailable` may arrive all the same; under its id it counts once even so.
        collect: Lets the transport report what it knows, where it has no thread for that.
    """

    def __init__(
        self, transport: Transport, timeout_s: float, collect: Callable[[], None] | None = None
    ) -> None:
        self._transport = transport
        self._timeout_s = timeout_s
        self._collect = collect
        self._waiting = 0
        self._asking = False

    async def publish(self, items: Sequence[Item]) -> Sequence[DeliveryFailure | None]:
        """Return what became of each item: None once Kafka has it, else why it does not."""
        if not items:
            return []
        loop = asyncio.get_running_loop()
        reports = _Reports(len(items), loop)
        for position, item in enumerate(items):
            report = partial(reports.settle, position)
            headers = [_SCHEMA]
            if item.traceparent is not None:
                headers.append(("traceparent", item.traceparent.encode()))
            try:
                self._transport.send(item.feedback_id.encode(), item.value, headers, report)
            except (RetryableError, RefusedError) as error:
                report(error)
            except AfterwordError as error:  # closed: the process is on its way out
                report(RetryableError(str(error)))
        late = loop.call_later(self._timeout_s, reports.finish)
        self._waiting += 1
        if self._collect is not None and not self._asking:
            self._ask(loop, self._collect)
        try:
            await reports.complete
        finally:
            self._waiting -= 1
            late.cancel()
        return list(reports.errors)

    def _ask(self, loop: asyncio.AbstractEventLoop, collect: Callable[[], None]) -> None:
        """Collect reports now, and again for as long as a request waits for one."""
        try:
            collect()
        except Exception:  # noqa: BLE001  # whatever it is: requests wait for what the next one brings
            _log.exception("Kafka's reports could not be collected; trying again")
        self._asking = self._waiting > 0
        if self._asking:
            loop.call_later(_COLLECT_EVERY_S, self._ask, loop, collect)


class _Reports:
    """The delivery reports of one request, counted from any thread."""

    def __init__(self, expected: int, loop: asyncio.AbstractEventLoop) -> None:
        self.errors: list[DeliveryFailure | None] = [_LATE] * expected
        self.complete: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._expected = expected
        self._settled = count(1)  # one step of it cannot be interrupted

    def settle(self, position: int, error: DeliveryFailure | None) -> None:
        self.errors[position] = error
        if next(self._settled) == self._expected:
            with contextlib.suppress(RuntimeError):  # the loop ended before Kafka answered
                self._loop.call_soon_threadsafe(self.finish)

    def finish(self) -> None:
        if not self.complete.done():
            self.complete.set_result(None)
