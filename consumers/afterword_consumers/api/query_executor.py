"""How many queries run at once: a few, a few more wait, and who goes away makes room.

    places = QueryExecutor(running=4, waiting=16, wait_s=10, run_s=15)
    found = await places.run(lambda: run_plan(plan, database), stop=database.stop)

Queries run in threads, so that the event loop never waits for one; nobody waits longer than these times.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from afterword_consumers.api.errors import ApiError
from afterword_consumers.api.failures import away, busy

_STOP_AGAIN_S: Final = 0.25
_FULL: Final = "Too many queries run and wait at once."
_Found = TypeVar("_Found")


class QueryExecutor:
    """Runs jobs in threads of its own; for one event loop.

    Args:
        running: How many jobs run at the same time.
        waiting: How many more may wait for that.
        wait_s: How long one of these waits.
        run_s: After so long a job is taken for one that hangs.
    """

    def __init__(self, *, running: int, waiting: int, wait_s: float, run_s: float) -> None:
        self._free = asyncio.Semaphore(running)
        self._wait_s, self._run_s = wait_s, run_s
        self._may_wait = waiting
        self._jobs = ThreadPoolExecutor(running, thread_name_prefix="afterword-query")
        self._stops = ThreadPoolExecutor(running, thread_name_prefix="afterword-stop")
        self._ending: set[asyncio.Task[None]] = set()

    async def run(
        self,
        job: Callable[[], _Found],
        *,
        stop: Callable[[], object],
        late: Callable[[], ApiError] = away,
    ) -> _Found:
        """Return what a job returns, or raise what it raises.

        A job that is left alone keeps its place until its thread has ended: ClickHouse is busy with
        it until then.

        Args:
            job: Called in a thread.
            stop: Makes the job end soon; called in another thread, again until it has ended.
            late: Says why it did not end in its time.

        Raises:
            ApiError: 503 where too many wait already; what `late` says.
        """
        await self._enter()
        running = asyncio.get_running_loop().run_in_executor(self._jobs, job)
        running.add_done_callback(self._leave)
        try:
            await asyncio.wait({running}, timeout=self._run_s)
        finally:
            if not running.done():
                ending = asyncio.create_task(self._end(running, stop))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
        if not running.done():
            raise late()
        return running.result()

    def close(self) -> None:
        """Begin nothing more."""
        for pool in (self._jobs, self._stops):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _enter(self) -> None:
        if self._free.locked():
            if not self._may_wait:
                raise busy(_FULL)
            self._may_wait -= 1
            try:
                async with asyncio.timeout(self._wait_s):
                    await self._free.acquire()
            except TimeoutError:
                raise busy(_FULL) from None
            finally:
                self._may_wait += 1
        else:
            await self._free.acquire()

    def _leave(self, ended: "asyncio.Future[Any]") -> None:
        self._free.release()
        if not ended.cancelled():
            ended.exception()  # of a job that nobody waits for any more, it is nobody's

    async def _end(self, running: "asyncio.Future[Any]", stop: Callable[[], object]) -> None:
        # Once would not do: the job may be between two statements, or in one not yet begun.
        while not running.done():
            await asyncio.get_running_loop().run_in_executor(self._stops, stop)
            await asyncio.wait({running}, timeout=_STOP_AGAIN_S)
