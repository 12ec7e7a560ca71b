"""Jobs in a few threads: places are taken, waited for, refused and given back."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from afterword_consumers.api import ApiError
from afterword_consumers.api.query_executor import QueryExecutor


def run(
    test: Callable[[QueryExecutor], Awaitable[None]],
    *,
    running: int,
    waiting: int,
    wait_s: float = 10,
    run_s: float = 10,
) -> None:
    """Run a test in an event loop with places of its own."""

    async def main() -> None:
        places = QueryExecutor(running=running, waiting=waiting, wait_s=wait_s, run_s=run_s)
        async with asyncio.timeout(10):
            await test(places)
        places.close()

    asyncio.run(main())


def nothing() -> None:
    """Stop nothing."""


def fail() -> None:
    """Fail as a job may."""
    raise ValueError("as expected")


def test_results_and_errors_come_through() -> None:
    """And both give the place back."""

    async def test(places: QueryExecutor) -> None:
        for _ in range(3):
            assert await places.run(lambda: 7, stop=nothing) == 7
            with pytest.raises(ValueError, match="as expected"):
                await places.run(fail, stop=nothing)

    run(test, running=1, waiting=0)


def test_no_more_run_than_may() -> None:
    """Those that wait run later, each once."""
    running, most, done = 0, 0, 0
    lock = threading.Lock()
    full = threading.Barrier(2)

    def job() -> None:
        nonlocal running, most, done
        with lock:
            running += 1
            most = max(most, running)
        full.wait(10)
        with lock:
            running -= 1
            done += 1

    async def test(places: QueryExecutor) -> None:
        await asyncio.gather(*(places.run(job, stop=nothing) for _ in range(6)))

    run(test, running=2, waiting=4)
    assert (most, done) == (2, 6)


def test_a_query_beyond_the_queue_is_refused() -> None:
    """With 503; who waits already keeps on waiting."""
    go = threading.Event()

    async def test(places: QueryExecutor) -> None:
        jobs = [
            asyncio.create_task(places.run(lambda: go.wait(15), stop=nothing)) for _ in range(2)
        ]
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as caught:
            await places.run(lambda: go.wait(15), stop=nothing)
        assert (caught.value.status, caught.value.code) == (503, "busy")
        go.set()
        assert await asyncio.gather(*jobs) == [True, True]

    run(test, running=1, waiting=1)


def test_a_client_that_leaves_the_queue_makes_room_at_once() -> None:
    """Its job never begins."""
    go, begun = threading.Event(), []

    async def test(places: QueryExecutor) -> None:
        first = asyncio.create_task(places.run(lambda: go.wait(15), stop=nothing))
        leaving = asyncio.create_task(places.run(lambda: begun.append(1), stop=nothing))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        staying = asyncio.create_task(places.run(lambda: 7, stop=nothing))
        await asyncio.sleep(0)
        go.set()
        assert [await first, await staying] == [True, 7]

    run(test, running=1, waiting=1)
    assert begun == []


def test_a_client_that_leaves_a_running_query_stops_it() -> None:
    """The place stays taken until then: ClickHouse is busy with it."""
    go, stops = threading.Event(), []

    def stop() -> None:
        stops.append(1)
        if len(stops) == 2:  # the first came too early
            go.set()

    async def test(places: QueryExecutor) -> None:
        running = asyncio.create_task(places.run(lambda: go.wait(15), stop=stop))
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])
        with pytest.raises(ApiError):
            await places.run(nothing, stop=nothing)
        while not go.is_set():
            await asyncio.sleep(0.01)
        while True:
            try:
                return await places.run(nothing, stop=nothing)
            except ApiError:
                await asyncio.sleep(0.01)

    run(test, running=1, waiting=0)
    assert len(stops) == 2


def test_a_job_that_does_not_end_is_not_waited_for() -> None:
    """It is stopped, and keeps its place until then."""
    go, stopped = threading.Event(), threading.Event()

    async def test(places: QueryExecutor) -> None:
        with pytest.raises(ApiError) as caught:
            await places.run(lambda: go.wait(15), stop=stopped.set)
        assert (caught.value.status, caught.value.code) == (503, "unavailable")
        with pytest.raises(ApiError, match="Too many queries"):
            await places.run(nothing, stop=nothing)
        await asyncio.to_thread(stopped.wait, 10)
        go.set()

    run(test, running=1, waiting=0, run_s=0.05)
    assert stopped.is_set()


def test_a_place_is_not_waited_for_without_end() -> None:
    """Who gets none in time is told so, and its job never begins."""
    go, begun = threading.Event(), []

    async def test(places: QueryExecutor) -> None:
        first = asyncio.create_task(places.run(lambda: go.wait(15), stop=nothing))
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as caught:
            await places.run(lambda: begun.append(1), stop=nothing)
        assert (caught.value.status, caught.value.code) == (503, "busy")
        go.set()
        assert await first

    run(test, running=1, waiting=1, wait_s=0.05)
    assert begun == []
