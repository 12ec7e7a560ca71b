"""One look for all who ask within a second.

    lag = CachedRead(lambda: read_lag(…), kept_s=1.0)
    await lag.look()

What is kept was looked up earlier, so of freshness it says too little rather than too much.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from afterword_schemas import AfterwordError

_Seen = TypeVar("_Seen")


class CachedRead(Generic[_Seen]):
    """Looks in a thread of its own; for one event loop.

    Args:
        look: What to call; raises `AfterwordError` where there is nothing to see.
        kept_s: For how long the result, or the error, is good; longer where the look took long.
    """

    def __init__(self, look: Callable[[], _Seen], *, kept_s: float) -> None:
        self._look, self._kept_s = look, kept_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="afterword-look")
        self._looking = asyncio.Lock()
        self._kept_until_s = 0.0
        self._seen: _Seen | AfterwordError

    async def look(self) -> _Seen:
        """Return what there was to see lately, or raise the error."""
        loop = asyncio.get_running_loop()
        async with self._looking:
            if (began_s := loop.time()) >= self._kept_until_s:
                self._seen = await loop.run_in_executor(self._thread, self._try)
                took_s = loop.time() - began_s
                # Or everybody would wait all the time for what does not answer.
                self._kept_until_s = loop.time() + max(self._kept_s, 5 * took_s)
        if isinstance(self._seen, AfterwordError):
            raise self._seen
        return self._seen

    def close(self) -> None:
        """Look no more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _try(self) -> _Seen | AfterwordError:
        try:
            return self._look()
        except AfterwordError as error:
            return error
