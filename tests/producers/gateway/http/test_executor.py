"""Slow work beside the event loop: bounded, and no kind in the way of another."""

import asyncio
import gzip
import threading
from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request

from afterword import MemoryTransport, RetryableError
from afterword.gateway.http.bodies import BodyLimits, read_body
from afterword.gateway.http.executor import BoundedExecutor
from afterword.gateway.http.responses import RequestError
from afterword.gateway.intake import Item
from afterword.gateway.publisher import Publisher

if TYPE_CHECKING:
    from tests.producers.gateway.conftest import GatewayHarness

    from afterword import DeliveryCallback, Headers

ITEM = Item(0, "019c12e9-8b3d-7000-8000-000000000000", b"{}", None)


def test_a_job_beyond_the_queue_is_told_to_come_again() -> None:
    """And there is room again once a job is done."""
    may_end = threading.Event()

    async def fill() -> None:
        executor = BoundedExecutor("test", threads=1, max_jobs=2)
        jobs = [asyncio.create_task(executor.run(may_end.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(RequestError) as refused:
            await executor.run(lambda: None)
        assert (refused.value.status, refused.value.headers) == (503, {"retry-after": "2"})
        may_end.set()
        assert await asyncio.gather(*jobs) == [True, True]
        assert await executor.run(lambda: 3) == 3
        executor.close()

    asyncio.run(fill())


@pytest.mark.parametrize(
    ("raw", "aside"),
    [
        (b" " * 16_384, False),
        (b" " * 16_385, True),
        (b"," * 300, False),
        (b"," * 301, True),
    ],
)
def test_slow_work_is_done_beside_the_event_loop(
    gateway: "GatewayHarness", raw: bytes, *, aside: bool
) -> None:
    """A small body of many events takes as long as a large one; what needs no key has a thread of its own."""
    service = gateway.app.state.gateway

    async def work() -> tuple[str, str]:
        return (
            await service.work(raw, lambda: threading.current_thread().name),
            await service.work_for_anyone(raw, lambda: threading.current_thread().name),
        )

    names = asyncio.run(work())
    assert [name.startswith("afterword-") for name in names] == [aside, aside]
    assert (names[0] != names[1]) is aside


@pytest.mark.parametrize(
    ("packed", "size"),
    [(gzip.compress(b" " * 8_000_000, mtime=0), 8_000_000), (gzip.compress(b"", mtime=0) * 200, 0)],
)
def test_other_requests_are_served_while_a_body_is_expanded(packed: bytes, size: int) -> None:
    """A few kilobytes expand to megabytes, or to nothing many times, piece by piece."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": packed, "more_body": False}

    async def serve_others(served: list[None]) -> None:
        while True:
            await asyncio.sleep(0)
            served.append(None)

    async def read() -> int:
        headers = [(b"content-encoding", b"gzip")]
        request = Request({"type": "http", "headers": headers}, receive)
        served: list[None] = []
        others = asyncio.create_task(serve_others(served))
        body = await read_body(request, BodyLimits(), lambda _: None)
        others.cancel()
        assert len(body) == size
        return len(served)

    assert asyncio.run(read()) > 100


def test_what_a_job_raises_is_raised() -> None:
    """The executor goes on."""

    async def fail() -> None:
        executor = BoundedExecutor("test", threads=1, max_jobs=1)
        for _ in range(2):
            with pytest.raises(RetryableError, match="away"):
                await executor.run(_raise)
        executor.close()

    asyncio.run(fail())


def _raise() -> None:
    raise RetryableError("away")


class PolledTransport(MemoryTransport):
    """Reports when it is asked to, and fails the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.hold()

    def collect(self) -> None:
        """Report what came."""
        self.asked += 1
        if self.asked == 1:
            raise OSError("once")
        self.release()
        self.hold()


def test_a_collection_that_fails_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    """The requests that wait get their reports by the next, and it ends when none waits."""
    transport = PolledTransport()

    async def publish() -> None:
        publisher = Publisher(transport, 30.0, transport.collect)
        reports = await asyncio.gather(*(publisher.publish([ITEM]) for _ in range(10)))
        assert reports == [[None]] * 10
        while publisher._asking:
            await asyncio.sleep(0)

    asyncio.run(publish())
    assert len(transport.messages) == 10
    assert "OSError: once" in caplog.text


class UnansweredTransport:
    """Carries nothing, and keeps the callbacks."""

    def __init__(self) -> None:
        self.callbacks: list[DeliveryCallback] = []

    def send(
        self,
        key: bytes,
        value: bytes,
        headers: "Headers",
        on_delivery: "DeliveryCallback",
        *,
        timestamp_ms: int | None = None,
    ) -> None:
        """See `Transport.send`."""
        self.callbacks.append(on_delivery)

    def flush(self, timeout_s: float) -> None:
        """See `Transport.flush`."""

    def close(self, timeout_s: float) -> None:
        """See `Transport.close`."""

    def after_fork(self) -> None:
        """See `Transport.after_fork`."""


def test_a_report_after_the_loop_has_ended_harms_nobody() -> None:
    """Kafka may answer when nobody is there any more."""
    slow = UnansweredTransport()

    async def give_up() -> None:
        (late,) = await Publisher(slow, 0.0).publish([ITEM])
        assert str(late) == "Kafka did not acknowledge it in time"

    asyncio.run(give_up())
    slow.callbacks[0](None)
