"""Publish the events of a request, and wait until Kafka has acknowledged every one of them.

    errors = await publisher.publish(items)       # [None, StoreError(…), …], one an item

The transport reports from a thread of its own; the event loop is woken once a request, by the last
of its reports.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Final

from afterword._transport import Transport
from afterword.gateway.intake import Item
from afterword_schemas.errors import AfterwordError, StoreError
from afterword_schemas.event import SCHEMA_HEADER

_SCHEMA: Final = ("schema", SCHEMA_HEADER.encode())
_LATE: Final = StoreError("Kafka did not acknowledge it in time")


class Publisher:
    """Publishes through a transport, for the event loop that calls it.

    Args:
        transport: What carries the messages.
        timeout_s: How long a request waits. The transport should give up no later, or what a client was
            told is `unavailable` may arrive all the same; under its id it counts once even so.
    """

    def __init__(self, transport: Transport, timeout_s: float) -> None:
        self._transport = transport
        self._timeout_s = timeout_s

    async def publish(self, items: Sequence[Item]) -> Sequence[StoreError | None]:
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
            except StoreError as error:
                report(error)
            except AfterwordError as error:  # closed: the process is on its way out
                report(StoreError(str(error)))
        late = loop.call_later(self._timeout_s, reports.finish)
        await reports.complete
        late.cancel()
        return list(reports.errors)


class _Reports:
    """The delivery reports of one request, counted from any thread."""

    def __init__(self, expected: int, loop: asyncio.AbstractEventLoop) -> None:
        self.errors: list[StoreError | None] = [_LATE] * expected
        self.complete: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._expected = expected
        self._settled = count(1)  # one step of it cannot be interrupted

    def settle(self, position: int, error: StoreError | None) -> None:
        self.errors[position] = error
        if next(self._settled) == self._expected:
            with contextlib.suppress(RuntimeError):  # the loop ended before Kafka answered
                self._loop.call_soon_threadsafe(self.finish)

    def finish(self) -> None:
        if not self.complete.done():
            self.complete.set_result(None)
