"""Threads beside the event loop, a few for each kind of slow work, so that no kind holds up another.

judged = await executor.run(lambda: list(judge(raw, rules)))
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from afterword.gateway.http.responses import RETRY_AFTER_S, RequestError

_Made = TypeVar("_Made")


class BoundedExecutor:
    """Runs jobs in threads of its own.

    Args:
        name: Of the threads.
        threads: How many jobs run at the same time.
        max_jobs: How many may run or wait; one more is told to come again.
    """

    def __init__(self, name: str, *, threads: int, max_jobs: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"afterword-{name}")
        self._free = max_jobs

    async def run(self, job: Callable[[], _Made]) -> _Made:
        """Return what a job returns, or raise what it raises.

        Raises:
            RequestError: 503 where too many wait already.
        """
        if not self._free:
            headers = {"retry-after": str(RETRY_AFTER_S)}
            detail = "Too many requests of this kind at once; send it again soon."
            raise RequestError(503, "unavailable", detail, headers)
        self._free -= 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, job)
        finally:
            self._free += 1

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
